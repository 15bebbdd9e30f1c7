"""The HTML page of a labeling or of a training's judgments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prom_reward.errors import number_of
from prom_reward.evaluation.agreement import Estimate
from prom_reward.explorer.page import render_explorer
from prom_reward.pages.page import Card
from prom_reward.reports.comparison import AnyDifference
from prom_reward.reports.difference import Difference
from prom_reward.reports.overview.agreement import agreement_rows
from prom_reward.reports.overview.figures import label_figures
from prom_reward.reports.overview.findings import findings
from prom_reward.reports.overview.rubric_rows import rubric_rows
from prom_reward.reports.overview.training_figures import asks_other_prompts, reward_curve, span, training_figures
from prom_reward.reports.prompt_difference import PromptDifference
from prom_reward.reports.report_data import ReportData
from prom_reward.reports.selection import whole_groups
from prom_reward.reports.training_folder import BeforeAfter, ends, summarize_curves

_MAX_EXAMPLES = 5  # on either side


def report_page(
    data: ReportData,
    *,
    comparison: AnyDifference | None = None,
    max_judgments: int | None = None,
    is_live: bool = False,
) -> str:
    """Return the page as HTML.

    Args:
        data: The judgments.
        comparison: The same judgments beside others.
        max_judgments: About how many judgments to show, in whole groups; the figures are of all that `data` holds. None
            shows all.
        is_live: Leave the judgments to the events of `prom_reward.reports.live`.
    """
    data = data if comparison is None else replace(data, judgments=comparison.judgments)
    rubrics = rubric_rows(data.judgments)
    shown = data.judgments if max_judgments is None else whole_groups(data.judgments, max_judgments)
    return render_explorer(
        "reports/assets/page.html",
        shown,
        scale=data.scale,
        rubrics=data.known_rubrics,
        is_training=data.is_training,
        is_live=is_live,
        can_label=True,
        kind=_kind(data),
        has_steps=data.has_steps,
        title=data.title,
        facts=list(data.facts.items()),
        cards=_cards(data, len(shown)),
        missing=data.missing,
        figures=[*training_figures(data), *label_figures(data)],
        agreement=agreement_rows(data.pairs),
        examples=_examples(data.before_after),
        share=_share,
        rubric_rows=rubrics,
        difference=comparison if isinstance(comparison, Difference) else None,
        moved=comparison if isinstance(comparison, PromptDifference) else None,
        other_texts=comparison.other_texts if comparison else (),
        findings=findings(data, rubrics),
        number=_number,
        percent=_percent,
    )


def report_figures_json(data: ReportData) -> dict[str, Any]:
    """Return the figures as JSON values: counts, the agreement with its intervals, a training's curves."""
    return {
        "judgments": data.num_judgments,
        "outcomes": dict(data.outcomes),
        "agreement": dict(data.agreement),
        "training": summarize_curves(data.curves) if data.curves else {},
        "missing": data.missing,
        "pairwise_accuracy": {row.group: row.to_dict() for row in agreement_rows(data.pairs)},
    }


def _kind(data: ReportData) -> str:
    if not data.is_training:
        return "Labeling report"
    return "Training report" if data.has_steps else "Report of a judgment log"


def _cards(data: ReportData, num_shown: int) -> list[Card]:
    """Return the large figures at the top: a training's reward first."""
    total, unscored = max(1, data.num_judgments), data.num_judgments - data.num_scored
    cards = _reward_cards(data) if data.is_training else []
    cards += _agreement_cards(data)
    cards.append(Card(f"{data.num_judgments:,}", "judgments", f"{num_shown:,} with their texts below"))
    remark = f"{unscored:,} have none" if unscored else "none is missing"
    mood = "" if not unscored else "warn" if data.num_scored else "fail"
    kind = "score" if data.scores or not data.pairs else "verdict"  # a ranking gives no scores
    cards.append(Card(f"{data.num_scored / total:.1%}", f"have a {kind}", remark, mood))
    if data.outcomes["forced"]:
        cards.append(
            Card(f"{data.outcomes['forced'] / total:.1%}", "were forced", "the judge did not finish by itself")
        )
    values = [score for scores in data.scores.values() for score in scores]
    if values and data.has_one_scale:
        low, high = data.scale
        cards.append(
            Card(f"{sum(values) / len(values):.2f}", "mean expected score", f"on a scale from {low} to {high}")
        )
    if data.entropies:
        middle = sorted(data.entropies)[len(data.entropies) // 2]
        cards.append(Card(f"{middle:.2f}", "median entropy", "nats; 0 is certain"))
    return [*cards, *_token_cards(data)]


def _token_cards(data: ReportData) -> list[Card]:
    """Return what the judge read, if it tells."""
    if not data.num_with_tokens:
        return []
    read, computed, written = (round(data.tokens[name]) for name in ("read", "computed", "written"))
    told = f"{computed / max(1, read):.0%} computed, the rest shared; {written:,} written"
    part = f"; of {number_of(data.num_with_tokens, 'judgment')}" if data.num_with_tokens < data.num_judgments else ""
    return [Card(f"{read:,}", "tokens read", told + part)]


def _agreement_cards(data: ReportData) -> list[Card]:
    unscored = data.agreement["unscored"]
    pairs = sum(data.agreement.values()) - unscored
    if not pairs:
        return []
    counts = f"{data.agreement['disagrees']:,} disagree, {data.agreement['tie']:,} tied"
    remark = f"{counts}, {unscored:,} unscored" if unscored else counts
    return [Card(f"{data.agreement['agrees'] / pairs:.1%}", "of pairs agree with the given order", remark)]


def _reward_cards(data: ReportData) -> list[Card]:
    curve = reward_curve(data)
    if not curve:
        step = "training step's " if data.has_steps else ""
        return [Card("–", "reward", f"the log holds no {step}reward", "warn")]
    first, last = ends(curve)
    if len(curve) == 1:
        return [Card(f"{last:.3f}", "mean reward", "of one step" if data.has_steps else "of calls without a trainer")]
    remark = f"{last - first:+.3f} against the first" + (", on other prompts" if asks_other_prompts(data) else "")
    return [Card(f"{last:.3f}", f"mean reward of the last {span(curve)}", remark)]


def _examples(answers: Sequence[BeforeAfter]) -> list[tuple[str, Sequence[BeforeAfter]]]:
    """Return the answers before and after with the largest rises, and those with the smallest."""
    shown = min(_MAX_EXAMPLES, (len(answers) + 1) // 2)
    parts = [("Largest gains", answers[:shown]), ("Smallest gains, or losses", answers[shown:][::-1][:shown])]
    return [(heading, part) for heading, part in parts if part]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{round(100 * value) + 0:d} %"


def _share(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    interval = "" if estimate.low is None else f" ({estimate.low:.1%} to {estimate.high:.1%})"
    return f"{estimate.value:.1%}{interval}"
