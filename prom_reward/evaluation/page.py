"""One self-contained HTML page with the plots of an evaluation.

It does not know judges or files of labels; plotly draws.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from prom_reward.evaluation.scores import ScoredRow

_BINS = 10


def evaluation_page(scored: Sequence[ScoredRow], *, title: str) -> str:
    """Return HTML with a reliability diagram, a confusion matrix, and entropy against error.

    Args:
        scored: Rows with judgments, at least one of them scored, all on one scale.
        title: The heading.
    """
    import plotly.io

    rows = [row for row in scored if row.judgment.is_scored]
    figures = [_reliability(rows), _confusion(rows), _entropy(rows)]
    parts = [
        plotly.io.to_html(figure, full_html=False, include_plotlyjs=not number, div_id=f"plot-{number}")
        for number, figure in enumerate(figures)
    ]
    heading = escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title></head>\n'
        f'<body style="font-family: sans-serif; max-width: 60em; margin: auto"><h1>{heading}</h1>\n'
        f"<p>{len(rows)} rows scored, {len(scored) - len(rows)} not.</p>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _reliability(rows: Sequence[ScoredRow]) -> Any:
    """Mean label over mean expected score, in bins of equally many rows."""
    from plotly import graph_objects as go

    expected = np.array([row.prediction("expected") for row in rows])
    labels = np.array([row.labelled.mean_score for row in rows])
    parts = np.array_split(np.argsort(expected), min(_BINS, len(rows)))
    points = [(expected[part].mean(), labels[part].mean(), labels[part].std(), len(part)) for part in parts]
    means, found, spreads, counts = zip(*points, strict=True)
    scale = rows[0].labelled.request.rubric.scale
    figure = go.Figure(layout=_layout("Reliability: what a score means", "mean expected score", "mean label"))
    ends = [scale.low, scale.high]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="calibrated", line={"dash": "dot"}))
    error = {"type": "data", "array": spreads}
    texts = [f"{count} rows" for count in counts]
    figure.add_trace(go.Scatter(x=means, y=found, error_y=error, text=texts, mode="markers+lines", name="judge"))
    return figure


def _confusion(rows: Sequence[ScoredRow]) -> Any:
    from plotly import graph_objects as go

    labels = rows[0].labelled.request.rubric.scale.labels
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for row in rows:
        told = min(max(int(row.labelled.mean_score + 0.5), labels[0]), labels[-1])
        given = min(max(int(row.prediction("integer") + 0.5), labels[0]), labels[-1])
        counts[told - labels[0], given - labels[0]] += 1
    names = [str(label) for label in labels]
    heat = go.Heatmap(x=names, y=names, z=counts, text=counts, texttemplate="%{text}", colorscale="Blues")
    layout = _layout("Confusion: label against the judge's integer", "judge", "label")
    return go.Figure(heat, {**layout, "xaxis_type": "category", "yaxis_type": "category"})


def _entropy(rows: Sequence[ScoredRow]) -> Any:
    from plotly import graph_objects as go

    known = [row for row in rows if row.judgment.entropy is not None]
    errors = [abs(row.prediction("expected") - row.labelled.mean_score) for row in known]
    dots = go.Scatter(x=[row.judgment.entropy for row in known], y=errors, mode="markers", marker={"opacity": 0.4})
    return go.Figure(dots, _layout("Does the judge know when it errs?", "entropy in nats", "absolute error"))


def _layout(title: str, x: str, y: str) -> dict[str, Any]:
    return {"title": title, "xaxis_title": x, "yaxis_title": y, "template": "plotly_white", "height": 460}
