"""Comparisons in a report: with another source, or with the later steps of the same training."""

from dataclasses import replace

from prom_reward.errors import InputError, number_of
from prom_reward.reports.difference import Difference, compare_with, has_same_responses, other_texts
from prom_reward.reports.prompt_difference import PromptDifference, compare_prompts
from prom_reward.reports.report_data import ReportData

AnyDifference = Difference | PromptDifference


def compare(data: ReportData, *, against: ReportData | None = None, since: int | None = None) -> AnyDifference | None:
    """Set judgments beside others; None if there are no others.

    Args:
        data: The judgments.
        against: Judgments of the same responses by another judge or rubric, or of other responses to the same prompts.
        since: A training's step, from 1: the latest answers to each prompt up to it stand beside those after it.

    Raises:
        InputError: The two have no prompt in common, or there is no step, or none on one side of `since`.
    """
    if since is not None:
        return _steps_compared(data, since)
    if against is None:
        return None
    if has_same_responses(data, against):
        return compare_with(data, against)
    found = compare_prompts(data.judgments, against.judgments, names=(data.title, against.title))
    return replace(found, other_texts=other_texts(data, against))


def _steps_compared(data: ReportData, since: int) -> PromptDifference:
    if not data.has_steps:
        kind = "calls without a trainer" if data.is_training else "labels"
        raise InputError(
            f"{data.title}: got the step {since} to compare since, and {kind}, which have no steps; expected a training"
        )
    steps = data.step_outcomes.keys()
    if not min(steps) <= since < max(steps):
        raise InputError(
            f"{data.title}: got the step {since} to compare since, and judgments of the steps {min(steps)} to "
            f"{max(steps)}; expected one with steps before and after it"
        )
    before, after = ([one for one in data.judgments if (one.row <= since) == is_before] for is_before in (True, False))
    try:
        return compare_prompts(before, after, names=(f"steps to {since}", "later steps"))
    except InputError as error:
        if len(data.judgments) == data.num_judgments:
            raise
        kept = f"{len(data.judgments):,} of {number_of(data.num_judgments, 'judgment')}"
        raise InputError(f"{error}; {kept} are compared, and `prom-reward report --limit` takes more") from error
