"""`prom-reward grade`: one response, or a file of them."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import typer
from rich.table import Table

from prom_reward.cli.console import (
    check_writable,
    distribution_bar,
    progress_bar,
    quiet_libraries,
    stderr,
    stdout,
)
from prom_reward.config import PromptRenderer, load_judge, load_rubric, prompt_renderer
from prom_reward.data.grading import RequestBatch, batch_rows, grade_batch, row_requests
from prom_reward.data.rows import BrokenRow, Row, count_rows, read_rows
from prom_reward.errors import InputError
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.runs import load_grading_run
from prom_reward.types import GradingRequest, Outcome, Rubric


def grade(
    input: Annotated[
        Path | None, typer.Argument(help="A JSONL, JSON, CSV or Parquet file, or a `datasets` folder.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file with judge, rubric, input and out.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="A preset (`prom-reward judges`), a folder, a hub id or a YAML file.")
    ] = None,
    rubric: Annotated[
        str | None,
        typer.Option(help="For rows without one: a built-in name, a YAML file, or a rubric's text."),
    ] = None,
    instruction: Annotated[str | None, typer.Option(help="Grade one response: what was asked.")] = None,
    response: Annotated[
        str | None, typer.Option(help="Grade one response: what was answered; `-` reads standard input.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", "--reference-answer", help="Grade one response: a reference answer.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The JSONL file to write; without it, standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the --out file.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Grade at most this many rows.")] = None,
    mode: Annotated[
        Literal["feedback", "score"] | None,
        typer.Option(help="Write feedback, then the score; or read the score at once. Default: the judge's own."),
    ] = None,
    num_samples: Annotated[int | None, typer.Option(min=1, help="Feedbacks a response, aggregated.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the feedback.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="The longest feedback, in tokens.")] = None,
    model: Annotated[str | None, typer.Option(help="Where the judge's weights are, if not where it says.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Where the judge's tokenizer is.")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(help="What the judge computes in."),
    ] = None,
    quantization: Annotated[Literal["int8"] | None, typer.Option(help="Load the weights in int8.")] = None,
    guard: Annotated[
        bool | None, typer.Option("--guard/--no-guard", help="Neutralize judge text in responses (default).")
    ] = None,
    truncate_response: Annotated[
        Literal["middle"] | None, typer.Option(help="Cut responses that do not fit the judge's context.")
    ] = None,
    show_prompt: Annotated[
        bool,
        typer.Option("--show-prompt", help='Write `{"prompt": ...}` a row: the exact text, without the BOS.'),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output: the rows, or with --out a summary.")
    ] = False,
) -> None:
    """Grade responses by a rubric, with or without a reference answer.

    A file's rows have `instruction` (or `prompt`), `response` (or `completion`) and perhaps `reference_answer`
    and `rubric`. Each row is written back with `score`, `expected_score`, `score_probs`, `entropy`, `feedback`
    and `outcome`; a row that cannot be graded is named and left out, and the exit status is then 1.

    Example: `prom-reward grade rows.jsonl --rubric helpfulness --out graded.jsonl`

    Example: `prom-reward grade --instruction "Name a prime." --response "Seven." --rubric helpfulness`
    """
    quiet_libraries()
    judge_settings: str | dict[str, Any] = judge or "smollm2-135m"
    rubric_value: Any = rubric
    if config is not None:
        run = load_grading_run(config)
        judge_settings, rubric_value = judge or run.judge, rubric if rubric is not None else run.rubric
        input, out, limit = (
            input or Path(run.input),
            out or (Path(run.out) if run.out else None),
            limit or run.limit,
        )
    settings: dict[str, Any] = {
        "mode": mode,
        "num_samples": num_samples,
        "model": model,
        "tokenizer": tokenizer,
        "dtype": dtype,
        "quantization": quantization,
        "guard": guard,
        "truncate_response": truncate_response,
        "sampling": {k: v for k, v in {"seed": seed, "max_new_tokens": max_new_tokens}.items() if v is not None}
        or None,
    }
    overrides = {key: value for key, value in settings.items() if value is not None}
    made = load_judge(judge_settings, **overrides)
    rubrics = load_rubric(rubric_value) if rubric_value is not None else ()
    show = prompt_renderer(judge_settings, **overrides) if show_prompt else None
    if input is not None and (instruction is not None or response is not None):
        raise InputError("got a file and --instruction or --response; give either the file or one response")
    if out is not None:
        check_writable(out, force=force, source=input)
    if input is not None:
        total = count_rows(input)
        total = min(total, limit) if total and limit else total
        _grade_rows(made, islice(read_rows(input), limit), rubrics, str(input), total, out, show, as_json)
        return
    row = _one_row(instruction, response, reference, rubrics)
    if as_json or show or out:
        _grade_rows(made, iter([row]), rubrics, "the response", 1, out, show, as_json)
    else:
        _show_one(made, row_requests(row.values, rubrics))


def _one_row(instruction: str | None, response: str | None, reference: str | None, rubrics: tuple[Rubric, ...]) -> Row:
    if instruction is None:
        raise InputError(
            "got no input; give a file, or --instruction with --response (or the response on standard input)"
        )
    if not instruction:
        raise InputError("got an empty --instruction; give what was asked")
    if response is None and sys.stdin.isatty():
        raise InputError("got no --response; give one, or pipe the response into standard input")
    if response in (None, "-"):
        response = sys.stdin.read()
    if not rubrics:
        raise InputError("got no --rubric; give a built-in name such as helpfulness, a YAML file or a rubric's text")
    return Row("the response", {"instruction": instruction, "response": response, "reference_answer": reference})


def _show_one(judge: PrometheusJudge, requests: list[GradingRequest]) -> None:
    judgments = judge.grade(requests)
    table = Table()
    for heading in ("rubric", "score", "expected", "distribution", "entropy", "outcome", "feedback"):
        table.add_column(heading, overflow="fold")
    for request, judgment in zip(requests, judgments, strict=True):
        expected, entropy = (
            "-" if value is None else f"{value:.2f}" for value in (judgment.expected_score, judgment.entropy)
        )
        table.add_row(
            request.rubric.name,
            "-" if judgment.score is None else str(judgment.score),
            expected,
            distribution_bar(judgment.score_probs),
            entropy,
            judgment.outcome.value,
            judgment.feedback or judgment.error or "",
        )
    stdout.print(table)
    if not any(judgment.is_scored for judgment in judgments):
        raise typer.Exit(1)


def _grade_rows(
    judge: PrometheusJudge,
    rows: Iterator[Row | BrokenRow],
    rubrics: tuple[Rubric, ...],
    where: str,
    total: int | None,
    out: Path | None,
    show: PromptRenderer | None,
    as_json: bool,
) -> None:
    outcomes: Counter[str] = Counter()
    broken: list[BrokenRow] = []
    written = 0
    with closing(_Sink(out)) as sink, progress_bar() as progress:
        task = progress.add_task("grading", total=total)
        for batch in batch_rows(rows, rubrics):
            lines = _prompt_lines(judge, batch, show) if show else grade_batch(judge, batch)
            sink.write(lines)
            written += len(lines)
            outcomes.update(line["outcome"] for line in lines if "outcome" in line)
            broken += batch.broken
            for row in batch.broken:
                stderr.print(f"{row.place}: {row.problem}; left out", highlight=False, soft_wrap=True)
            shown = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            progress.update(task, advance=batch.num_rows, description=f"grading ({shown})" if shown else "grading")
    if not written:
        first = f"; the first problem, {broken[0].place}: {broken[0].problem}" if broken else "; it has no rows"
        raise InputError(f"{where}: no row could be graded{first}")
    if as_json and out is not None:
        left_out = [f"{row.place}: {row.problem}" for row in broken]
        typer.echo(json.dumps({"written": written, "outcomes": outcomes, "left_out": left_out}))
    if outcomes and not any(Outcome(outcome).is_scored for outcome in outcomes):
        stderr.print(f"{where}: no response could be scored; `outcome` and `error` say why")
        raise typer.Exit(1)
    if broken:
        stderr.print(f"{where}: {len(broken)} rows left out, the others graded", soft_wrap=True)
        raise typer.Exit(1)


def _prompt_lines(judge: PrometheusJudge, batch: RequestBatch, show: PromptRenderer) -> list[dict[str, Any]]:
    return [{"prompt": show(judge.grading_prompt(request))} for _, request in batch.pairs]


class _Sink:
    """Writes JSON lines to a file, which is opened (and emptied) with the first line, or to standard output."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._file: IO[str] | None = None

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Write lines at once; lone surrogates, which no UTF-8 output can hold, become question marks."""
        if not lines:
            return
        if self._file is None:
            self._file = sys.stdout if self._out is None else self._out.open("w", encoding="utf-8")
        text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
        self._file.write(text.encode("utf-8", "replace").decode())
        self._file.flush()

    def close(self) -> None:
        """Close the file, if one was opened."""
        if self._out is not None and self._file is not None:
            self._file.close()
