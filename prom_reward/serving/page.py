"""The live page of a served judge; the browser asks for it again every few seconds."""

import time
from collections.abc import Sequence
from statistics import median

from prom_reward.errors import number_of
from prom_reward.pages.page import Card, render
from prom_reward.pages.plots import BLUE, ORANGE, Axis, Dots, Figure, Line, Plot
from prom_reward.pages.text import shortened
from prom_reward.serving.history import WINDOW_S, PastBatch
from prom_reward.serving.service import JudgeService

REFRESH_S = 10
_STEP_S = 5
_MAX_SHOWN = 1_000  # characters of a text


def live_page(service: JudgeService) -> str:
    """Return the page as HTML: rate, queue, batches and the latest judgments."""
    history, judge = service.history, service.judge
    recent = history.recent()
    num_judged, num_unscored = sum(one.size for one in recent), sum(one.num_unscored for one in recent)
    window = f"in the last {WINDOW_S // 60} minutes"
    sizes = [one.size for one in recent]
    cards = [
        Card(f"{num_judged / min(WINDOW_S, max(1.0, _uptime_s(service))):.1f}", "judged a second", window),
        Card(f"{service.batcher.num_waiting:,}", "in the queue", f"{service.batcher.num_under_way:,} in the judge"),
        Card(
            f"{median(sizes):g}" if sizes else "-",
            "median batch",
            f"{number_of(len(recent), 'batch', 'batches')} {window}",
        ),
        Card(f"{num_unscored:,}", "unscored", f"of {num_judged:,} {window}", "warn" if num_unscored else ""),
    ]
    return render(
        "serving/page.html",
        kind="Served judge",
        title=judge.name,
        facts=[
            ("rubric", ", ".join(one.name for one in service.rows.rubrics) or "of each request"),
            ("up for", f"{_uptime_s(service) / 60:.0f} min"),
        ],
        cards=cards,
        figures=_figures(recent) if recent else [],
        latest=list(history.latest)[::-1],
        shown=lambda text: shortened(text, _MAX_SHOWN),
    )


def _uptime_s(service: JudgeService) -> float:
    return time.monotonic() - service.history.started


def _figures(recent: Sequence[PastBatch]) -> list[Figure]:
    now = time.monotonic()
    ages = [one.at - now for one in recent]
    steps = range(-WINDOW_S, 0, _STEP_S)
    rates = [sum(one.size for one in recent if at <= one.at - now < at + _STEP_S) / _STEP_S for at in steps]
    seconds_ago = Axis(title="seconds", limits=(-WINDOW_S, 0))
    top = max(rates) or 1.0
    rate = Plot(
        marks=[Line(x=[at + _STEP_S / 2 for at in steps], y=rates, color=BLUE)],
        x=seconds_ago,
        y=Axis(title="judged a second", limits=(0, 1.1 * top)),
    )
    size = Plot(
        marks=[Dots(x=ages, y=[one.size for one in recent], color=ORANGE)],
        x=seconds_ago,
        y=Axis(title="batch size", limits=(0, 1.1 * max(one.size for one in recent)), is_whole=True),
    )
    return [
        Figure(title="Rate", note=f"Means of {_STEP_S} seconds.", plot=rate),
        Figure(title="Batches", note="Items that were judged together.", plot=size),
    ]
