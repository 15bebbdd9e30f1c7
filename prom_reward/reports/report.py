"""One call from a source to its page."""

from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.reports.comparison import compare
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page
from prom_reward.reports.selection import MAX_SHOWN


def report(
    source: str | Path,
    *,
    page: str | Path | None = None,
    against: str | Path | None = None,
    since: int | None = None,
    group: str | None = None,
    max_judgments: int | None = MAX_SHOWN,
    rubrics: Any = (),
) -> Path:
    """Write the explorer of labels or of a training's judgments as one HTML file, and return its path.

    Args:
        source: A folder of `prom-reward label` or of a training, or a judgment log.
        page: The file, which is overwritten; None takes `report.html` in the folder, or the log's name with `.html`.
        against: A second source that judged the same responses, or other responses to the same prompts.
        since: A training's step: answers up to it stand beside those to the same prompts after it.
        group: The column whose values are shown separately.
        max_judgments: As in `load_report`.
        rubrics: The rubrics of a log, which holds only their names and digests; as in `load_report`.

    Raises:
        InputError: A source cannot be read, the two have nothing in common, or no step lies on one side of `since`.
    """
    if against is not None and since is not None:
        raise InputError("got both against= and since=; expected one of them")
    target = Path(page) if page is not None else default_page(Path(source))
    data = load_report(source, group=group, max_judgments=max_judgments, by_prompt=since is not None, rubrics=rubrics)
    other = load_report(against, max_judgments=None) if against is not None else None
    target.write_text(report_page(data, comparison=compare(data, against=other, since=since)), encoding="utf-8")
    return target


def default_page(source: Path) -> Path:
    """Return where a source's page is written if nothing else is said."""
    return source / "report.html" if source.is_dir() else source.with_suffix(".html")
