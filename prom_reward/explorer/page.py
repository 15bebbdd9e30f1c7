"""Renders a page with the explorer's views around an overview of its own."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.explorer.judged import Judged
from prom_reward.explorer.script import joined_script
from prom_reward.explorer.table import table_of
from prom_reward.pages.packing import packed
from prom_reward.pages.page import embedded, render
from prom_reward.pages.text import HIDDEN, visible
from prom_reward.rubrics.checklists.checklist import Checklist
from prom_reward.rubrics.checklists.criterion import MET
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.thinking import MARKS


def render_explorer(
    template: str,
    judgments: Sequence[Judged],
    *,
    scale: tuple[float, float],
    rubrics: Mapping[str, AnyRubric],
    is_training: bool = False,
    is_live: bool = False,
    can_label: bool = False,
    **values: Any,
) -> str:
    """Return a page as HTML.

    Args:
        template: A template that extends `explorer/assets/page.html` and fills its block `overview`.
        judgments: The judgments; those of a group follow each other.
        scale: The ends of the rubrics' scale.
        rubrics: The rubrics whose text is known, by name.
        is_training: Whether rows are a training's steps.
        is_live: Leave the judgments to the events of a server.
        can_label: Whether people may label the judgments on the page.
        values: The values of the frame and of the template; see `prom_reward.pages.page.render`.
    """
    table = table_of([] if is_live else judgments, is_training=is_training)
    meta = {
        "scale": scale,
        "marks": MARKS,
        "met": MET,
        "is_training": is_training,
        "chunks": [len(chunk) for chunk in table.chunks],
        "is_live": is_live,
        "hidden": _javascript(HIDDEN),
        "rubrics": {visible(name): _shown(rubric) for name, rubric in rubrics.items()},
    }
    return render(
        template,
        script=joined_script(),
        connects=is_live,
        styles=["explorer/assets/explorer.css"],
        is_training=is_training,
        can_label=can_label,
        meta=embedded(meta),
        table=packed(table.columns),
        chunks=list(map(packed, table.chunks)),
        **values,
    )


def _shown(rubric: AnyRubric) -> dict[str, Any]:
    """Return a rubric, or of a checklist the criteria that a judge decides: people give verdicts on those."""
    if isinstance(rubric, Checklist):
        return {"name": rubric.name, "criteria": [one.to_dict() for one in rubric.asked()]}
    return rubric.to_dict()


def _javascript(pattern: str) -> str:
    """Return a pattern with its long code points as JavaScript writes them."""
    return re.sub(r"\\U000(\w{5})", r"\\u{\1}", pattern)
