"""Output of `prom-reward grade`: JSON lines, tables and a summary."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import IO, Any, Self

import typer
from rich.table import Table

from prom_reward.cli.parts.console import distribution_bar, plain_json, print_json, stderr, stdout
from prom_reward.cli.parts.left_out import show_left_out
from prom_reward.data.grading import RequestBatch, graded_rows, renamed_columns
from prom_reward.data.rows import BrokenRow
from prom_reward.errors import InputError, number_of
from prom_reward.files import check_json_lines_name
from prom_reward.labeling.verdicts import ResponseVerdict
from prom_reward.pages.text import json_escaped
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import GradingRequest, Judgment, Outcome

_NUM_SHOWN = 20
_NUM_MEANS = 6


class GradedFile:
    """Writes graded rows as they come, and shows a table and a summary at the end.

    Args:
        out: The JSONL file to write, opened (and emptied) with the first row; None writes no file.
        as_json: Print a JSON summary if there is an `out`.
        as_lines: If there is no `out`, print rows as JSON lines instead of a table.
        integer: Show integer scores beside expected scores.

    Raises:
        InputError: The name of `out` says another format.
    """

    def __init__(self, out: Path | None, *, as_json: bool, as_lines: bool, integer: bool) -> None:
        if out is not None:
            check_json_lines_name(out)
        self._out, self._as_json, self._as_lines, self._integer = out, as_json, as_lines, integer
        self._file: IO[str] | None = None
        self._shown: list[dict[str, Any]] = []
        self._broken: list[BrokenRow] = []
        self._outcomes: Counter[str] = Counter()
        self._scores: dict[tuple[str, str], list[float]] = {}  # by the name and the digest of the rubric
        self._verdicts: list[ResponseVerdict] = []
        self._num_written = 0
        self._renamed: set[str] = set()

    @property
    def progress(self) -> str:
        """The counts so far, for a progress bar."""
        shown = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.items())
        return f"grading ({shown})" if shown else "grading"

    def leave_out(self, broken: Sequence[BrokenRow]) -> None:
        """Note rows that cannot be graded."""
        self._broken += broken

    def add_judgments(self, batch: RequestBatch, judgments: Sequence[Judgment]) -> None:
        """Write a batch's rows at once, one a rubric."""
        self._tell_renamed(renamed_columns(batch))
        self.add(graded_rows(batch, judgments))
        judged = zip(batch.pairs, judgments, strict=True)
        for _, of_row in groupby(judged, key=lambda one: id(one[0][0])):
            pairs = [(request.rubric, judgment) for (_, request), judgment in of_row]
            self._verdicts.append(_verdict(pairs))

    def _tell_renamed(self, columns: Mapping[str, str]) -> None:
        """Say, once for each column, under which name it is written."""
        new = {name: columns[name] for name in columns if name not in self._renamed}
        if new and (self._out is not None or self._as_lines):
            shown = ", ".join(f"{name} -> {written}" for name, written in new.items())
            text = f"columns of the input with a judgment's name are written under another: {shown}"
            stderr.print(text, highlight=False, markup=False, soft_wrap=True)
        self._renamed |= new.keys()

    def add(self, lines: list[dict[str, Any]]) -> None:
        """Write graded rows, or prompts, at once."""
        self._num_written += len(lines)
        self._outcomes.update(line["outcome"] for line in lines if "outcome" in line)
        self._shown += lines[: _NUM_SHOWN - len(self._shown)]
        for line in lines:
            if line.get("expected_score") is not None:
                rubric = line["rubric_name"], line["rubric_digest"]
                self._scores.setdefault(rubric, []).append(line["expected_score"])
        if lines and (self._out is not None or self._as_lines):
            self._write(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Close the file, if one was opened, and say what an interrupted run has written."""
        if self._out is not None and self._file is not None:
            self._file.close()
            if kind is KeyboardInterrupt:
                text = (
                    f"stopped; {self._out} has {number_of(self._num_written, 'row')}: --force writes all of them "
                    "anew; `prom-reward label` goes on where it was stopped"
                )
                stderr.print(text, highlight=False, soft_wrap=True)

    def failure(self, where: str) -> InputError:
        """Name the rows that were left out, and return the error to raise if no row could be graded."""
        problems = self._problems()
        first = f"the first problem, {problems[0]}" if problems else "it has no rows"
        return InputError(f"{where}: no row could be graded; {first}")

    def _problems(self) -> list[str]:
        problems = [f"{row.place}: {row.problem}" for row in self._broken]
        show_left_out(problems)
        return problems

    def finish(self, where: str) -> None:
        """Show table and summary; fail if rows were left out or nothing was scored.

        Args:
            where: The input, for messages.

        Raises:
            InputError: No row could be graded.
            typer.Exit: Rows were left out, or no response could be scored.
        """
        if not self._num_written:
            raise self.failure(where)
        problems = self._problems()
        if self._as_json and self._out is not None:
            print_json({**self._summary(), "left_out": problems})
        elif self._outcomes:
            self._show(where)
        if self._outcomes and not any(Outcome(outcome).is_scored for outcome in self._outcomes):
            stderr.print(f"{where}: no response could be scored; `outcome` and `error` say why", soft_wrap=True)
            raise typer.Exit(1)
        if self._broken:
            stderr.print(f"{where}: {number_of(len(self._broken), 'row')} left out, the others graded", soft_wrap=True)
            raise typer.Exit(1)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        """Write JSON lines; lone surrogates, which no UTF-8 output can hold, become question marks."""
        if self._file is None:
            self._file = sys.stdout if self._out is None else self._out.open("w", encoding="utf-8")
        text = "".join(json.dumps(plain_json(line), ensure_ascii=False, default=str) + "\n" for line in lines)
        text = text.encode("utf-8", "replace").decode()
        self._file.write(json_escaped(text) if self._out is None else text)  # standard output may be a terminal
        self._file.flush()

    def _summary(self) -> dict[str, Any]:
        summary = {"written": self._num_written, "outcomes": self._outcomes, "mean_scores": self._means()}
        return {**summary, "weighted_mean": _unit_mean(self._verdicts)} if self._has_weights else summary

    def _means(self) -> dict[str, float]:
        """Return the mean score by each rubric; rubrics of one name are told apart by their digests."""
        names = Counter(name for name, _ in self._scores)
        return {
            name if names[name] == 1 else f"{name} ({digest})": fmean(scores)
            for (name, digest), scores in self._scores.items()
        }

    @property
    def _has_weights(self) -> bool:
        return any(len(verdict.rubrics) > 1 for verdict in self._verdicts)

    def _show(self, where: str) -> None:
        """Show a table in a terminal, and a summary; JSON lines keep standard output to themselves."""
        if stdout.is_terminal and not self._as_lines:
            stdout.print(_rows_table(self._shown, integer=self._integer))
            if self._num_written > len(self._shown):
                stdout.print(f"... and {self._num_written - len(self._shown)} more", highlight=False)
        shown = [f"{mean:.2f} by {name}" for name, mean in self._means().items()]
        means = ", ".join(shown[:_NUM_MEANS])
        if len(shown) > _NUM_MEANS:
            means += f" and {number_of(len(shown) - _NUM_MEANS, 'more rubric')}"
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.items())
        text = f"{where}: {number_of(self._num_written, 'judgment')} ({outcomes}); mean score {means or '-'}"
        text += f"; {_weighted_mean(self._verdicts)}" if self._has_weights else ""
        console = stderr if self._out is None and self._as_lines else stdout
        console.print(f"{text}; written to {self._out}" if self._out else text, highlight=False, soft_wrap=True)


def _verdict(pairs: Iterable[tuple[AnyRubric, Judgment]]) -> ResponseVerdict:
    rubrics, judgments = zip(*pairs, strict=True)
    return ResponseVerdict(rubrics=rubrics, judgments=judgments)


def _unit_mean(verdicts: Iterable[ResponseVerdict]) -> float | None:
    """Return the mean of the responses' weighted means, on [0, 1], of those that every rubric scored."""
    known = [verdict.unit_score for verdict in verdicts if verdict.unit_score is not None]
    return fmean(known) if known else None


def _weighted_mean(verdicts: Sequence[ResponseVerdict]) -> str:
    """Return the mean by the rubrics' weights in words, with the number of responses that it leaves out."""
    mean, left_out = _unit_mean(verdicts), sum(verdict.unit_score is None for verdict in verdicts)
    shown = "-" if mean is None else f"{mean:.3f}"
    without = f", without {number_of(left_out, 'response')} that a rubric left unscored" if left_out else ""
    return f"weighted mean {shown} on [0, 1]{without}"


def _rows_table(lines: Sequence[dict[str, Any]], *, integer: bool) -> Table:
    table = _table("response", integer=integer)
    for line in lines:
        score, integers = _shown_score(line["expected_score"], line["score"])
        response = next((line[name] for name in ("response", "completion") if isinstance(line.get(name), str)), "")
        cells = [line["rubric_name"], score, *([integers] if integer else []), distribution_bar(line["score_probs"])]
        table.add_row(
            *cells,
            _shown_outcome(line["outcome"], line["flags"]),
            _short(line["feedback"] or line["error"] or response),
        )
    return table


def show_judgments(requests: Sequence[GradingRequest], judgments: Sequence[Judgment], *, integer: bool) -> None:
    """Show one response's judgments, one a rubric.

    Raises:
        typer.Exit: None of them has a score.
    """
    table = _table("feedback", integer=integer)
    for request, judgment in zip(requests, judgments, strict=True):
        score, integers = _shown_score(judgment.expected_score, judgment.score)
        cells = [request.rubric.name, score, *([integers] if integer else []), distribution_bar(judgment.score_probs)]
        said = "\n".join(map(str, judgment.parts)) or judgment.feedback or judgment.error or ""
        table.add_row(*cells, _shown_outcome(judgment.outcome.value, judgment.flags), said)
    stdout.print(table)
    if len(requests) > 1:
        verdict = _verdict([(request.rubric, one) for request, one in zip(requests, judgments, strict=True)])
        weights = ", ".join(f"{rubric.name} {rubric.weight:g}" for rubric in verdict.rubrics)
        stdout.print(f"{_weighted_mean([verdict])} (weights: {weights})", markup=False, highlight=False, soft_wrap=True)
    if not any(judgment.is_scored for judgment in judgments):
        raise typer.Exit(1)


def _table(last: str, *, integer: bool) -> Table:
    table = Table()
    for heading in ("rubric", "score", *(["integer"] if integer else []), "distribution", "outcome", last):
        table.add_column(heading, overflow="fold")
    return table


def _shown_score(expected: float | None, integer: int | None) -> tuple[str, str]:
    """Return the expected score, or the integer if the judge gave no distribution, and the integer."""
    shown = "-" if integer is None else str(integer)
    return (shown if expected is None else f"{expected:.2f}"), shown


def _shown_outcome(outcome: str, flags: Sequence[str]) -> str:
    """Return an outcome, with the detectors that flagged the response."""
    return f"{outcome}, flagged: {', '.join(flags)}" if flags else outcome


def _short(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."
