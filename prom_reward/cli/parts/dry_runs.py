"""The dry runs of `label` and `grade`: what was recognized, a prompt, tokens and time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from prom_reward.cli.parts.console import load_now, print_json, stderr, stdout
from prom_reward.cli.parts.left_out import show_problems
from prom_reward.config import prompt_renderer
from prom_reward.data.formats import KINDS
from prom_reward.errors import ConfigError, number_of
from prom_reward.judging.base import Judge
from prom_reward.judging.checklists import Expansion
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.labeling.dry_run import DryRun
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import ComparisonRequest, GradingRequest, JudgePrompt, JudgeRequest


def load_for_sample(judge: Judge) -> None:
    """Load the judge of a dry run, and say that a sample of the rows is judged then."""
    load_now(judge)
    stderr.print("judging a sample of the rows ...", highlight=False)


def show_dry_run(found: DryRun, prompt: str | None, *, as_json: bool) -> None:
    """Print what a labeling or grading would do."""
    timing = found.timing
    if as_json:
        figures = {
            "kind": found.kind,
            "columns": found.recognition.columns,
            "unread": found.recognition.unseen,
            "rows": found.num_rows,
            "problems": found.num_problems,
            "requests": found.num_requests,
            "repeated": found.num_repeated,
            "prompt_tokens": found.num_prompt_tokens,
            "generated_tokens": found.num_generated_tokens,
            "seconds": found.seconds,
            "sample": timing and asdict(timing),
        }
        print_json({**figures, "prompt": prompt})
        return
    if prompt is not None:
        stdout.rule("a prompt, as the judge sees it")
        stdout.print(prompt, highlight=False)
    stdout.rule("forecast")
    show_problems(found.problems, "would be left out")
    table = Table(show_header=False)
    table.add_row("recognized as", KINDS[found.kind])
    for role, names in found.recognition.columns.items():
        table.add_row(role, f"from {', '.join(names)}")
    if found.recognition.unseen:
        table.add_row("unread", ", ".join(found.recognition.unseen))
    table.add_row("rows", f"{found.num_rows:,}, of which {found.num_problems:,} would be left out")
    table.add_row("judgments", f"{found.num_requests:,}, and {found.num_repeated:,} that repeat one of them")
    tokens = f"{found.num_prompt_tokens:,} of prompts, {found.num_generated_tokens:,} of feedback"
    table.add_row("tokens", f"about {tokens}")
    table.add_row("time", f"about {duration(found.seconds)} in one process")
    if timing:
        outcomes = ", ".join(f"{count} {name}" for name, count in timing.outcomes.items())
        table.add_row(
            "sample", f"{number_of(timing.num_requests, 'judgment')} at {timing.seconds_each:.2f} s each: {outcomes}"
        )
    stdout.print(table)


def first_prompt(
    sample: Sequence[JudgeRequest], judge: Judge, settings: Any, overrides: Mapping[str, Any]
) -> str | None:
    """Return a prompt as the judge sees it; None if other processes make its prompts, or checks by code decide all.

    Args:
        sample: Requests, of which the first with a prompt is shown.
        judge: The judge.
        settings: What `--judge` or a YAML file named.
        overrides: The settings that win over the judge's own.
    """
    if not isinstance(judge, PrometheusJudge):
        return None
    prompt = next(filter(None, (_prompt(judge, request) for request in sample)), None)
    if prompt is None:
        return None
    try:
        return prompt_renderer(settings, **overrides)(prompt)
    except ConfigError:  # the chat template is the server's
        return "\n\n".join(filter(None, (prompt.system, prompt.user, prompt.response_prefix)))


def _prompt(judge: PrometheusJudge, request: JudgeRequest) -> JudgePrompt | None:
    """Return a request's first prompt; without ranking both responses are graded. None if checks by code decide."""
    if isinstance(request, ComparisonRequest) and judge.ranks and isinstance(request.rubric, Rubric):
        return judge.comparison_prompt(request)
    response = request.response if isinstance(request, GradingRequest) else request.response_a
    shared = {name: getattr(request, name) for name in ("instruction", "rubric", "reference_answer")}
    asked = Expansion.of([GradingRequest(response=response, **shared)]).requests
    return judge.grading_prompt(asked[0]) if asked else None


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return number_of(round(seconds), "second")
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
