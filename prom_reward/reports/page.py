"""One self-contained HTML page of a labelling or of a training's judgments.

It does not know how judgments are read (`report_data`) or plotted (`report_figures`). The page needs no network:
plotly, style and script stand in it. What judges and policies wrote goes in as JSON without a single `<`, and comes
out as text.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from prom_reward.evaluation.agreement import Estimate
from prom_reward.reports.data import ReportData
from prom_reward.reports.figures import COLORS, AgreementRow, agreement_rows, figures
from prom_reward.reports.training_figures import training_figures
from prom_reward.reports.training_folder import BeforeAfter, summarize_curves

_MAX_EXAMPLES = 5  # on either side


def report_page(data: ReportData) -> str:
    """Return the page's HTML."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"share": _share, "score": lambda score: "–" if score is None else f"{score:.2f}"}
    drawn = [*training_figures(data), *figures(data)]
    return environment.from_string(_asset("page.html")).render(
        data=data,
        cards=_cards(data),
        figures=drawn,
        agreement=agreement_rows(data.pairs),
        examples=_examples(data.before_after),
        style=Markup(_asset("page.css")),  # noqa: S704  # the package's own files
        script=Markup(_asset("page.js")),  # noqa: S704
        plotly=Markup(get_plotlyjs()),  # noqa: S704
        plots=_embedded([figure.plot for figure in drawn]),
        judgments=_embedded([asdict(one) for one in data.judgments]),
        colors=_embedded(COLORS),
    )


def report_figures_json(data: ReportData) -> dict[str, Any]:
    """Return the figures that a machine wants: counts, the agreement with its intervals, a training's curves."""
    return {
        "judgments": data.num_judgments,
        "outcomes": dict(data.outcomes),
        "agreement": dict(data.agreement),
        "training": summarize_curves(data.curves) if data.curves else {},
        "pairwise_accuracy": {row.group: _agreement_json(row) for row in agreement_rows(data.pairs)},
    }


def _agreement_json(row: AgreementRow) -> dict[str, Any]:
    parts = {"expected": row.judge, "integer": row.integer, "length": row.length}
    return {"n": row.num_pairs, **{name: part.to_dict() for name, part in parts.items() if part is not None}}


def _cards(data: ReportData) -> list[tuple[str, str, str]]:
    """Return the large figures at the top: a value, what it is, and a remark."""
    total = max(1, data.num_judgments)
    scored = data.outcomes["scored"] + data.outcomes["forced"]
    cards = [
        (f"{data.num_judgments:,}", "judgments", f"{len(data.judgments):,} shown below"),
        (f"{scored / total:.1%}", "have a score", f"{total - scored:,} do not" if scored < total else "all of them"),
    ]
    if data.outcomes["forced"]:
        cards.append((f"{data.outcomes['forced'] / total:.1%}", "were forced", "closed and read"))
    if data.agreement:
        pairs = sum(data.agreement.values())
        told = f"{data.agreement['disagrees']:,} the other way, {data.agreement['tie']:,} ties"
        cards.append((f"{data.agreement['agrees'] / pairs:.1%}", "agree with the given order", told))
    values = [score for scores in data.scores.values() for score in scores]
    if values:
        cards.append((f"{sum(values) / len(values):.2f}", "mean expected score", "on the rubric's scale"))
    if data.entropies:
        ordered = sorted(data.entropies)
        cards.append((f"{ordered[len(ordered) // 2]:.2f}", "median entropy", "nats; 0 is certain"))
    return cards


def _examples(answers: Sequence[BeforeAfter]) -> list[tuple[str, Sequence[BeforeAfter]]]:
    """Return what is shown of the answers before and after, in order of change: the best, and the worst first."""
    shown = min(_MAX_EXAMPLES, (len(answers) + 1) // 2)
    parts = [("What gained most", answers[:shown]), ("What lost most, or gained least", answers[shown:][::-1][:shown])]
    return [(heading, part) for heading, part in parts if part]


def _share(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    interval = "" if estimate.low is None else f" ({estimate.low:.1%} to {estimate.high:.1%})"
    return f"{estimate.value:.1%}{interval}"


def _embedded(values: Sequence[Any] | dict[str, Any]) -> Any:
    """Return JSON that can stand inside of a script element, whatever text is in it."""
    from markupsafe import Markup

    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704  # nothing that could end the element is left


def _asset(name: str) -> str:
    return resources.files("prom_reward").joinpath("reports", "assets", name).read_text(encoding="utf-8")
