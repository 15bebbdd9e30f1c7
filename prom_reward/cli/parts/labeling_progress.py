"""The progress of `prom-reward label`."""

from collections import Counter
from typing import Self

from prom_reward.cli.parts.console import progress_bar, stderr
from prom_reward.data.rows import count_rows
from prom_reward.data.sources import is_hub_id
from prom_reward.errors import number_of
from prom_reward.labeling.labeling import Progress
from prom_reward.settings.runs import LabelingRun


class LabelingProgress:
    """Shows progress, and says how to resume if it is interrupted."""

    def __init__(self, run: LabelingRun) -> None:
        total = None if is_hub_id(run.input or "") else count_rows(run.input or "")
        self._out = run.out
        self._progress = progress_bar()
        self._task = self._progress.add_task("labeling", total=min(total, run.limit) if total and run.limit else total)
        self._counts: Counter[str] = Counter()
        self._kept = 0

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._progress.__exit__(kind, *rest)  # type: ignore[arg-type]  # handed on as it came
        if kind is KeyboardInterrupt:
            text = (
                f"stopped; {number_of(self._kept, 'row')} labeled in {self._out}: run the same command again to resume"
            )
            stderr.print(text, highlight=False, soft_wrap=True)

    def show(self, done: Progress) -> None:
        """Advance by a shard."""
        names = {"scored": "scored", "forced": "forced"}
        for outcome, count in done.outcomes.items():
            self._counts[names.get(outcome, "failed")] += count
        self._kept += done.num_rows
        shown = ", ".join(f"{self._counts[name]} {name}" for name in ("scored", "forced", "failed"))
        self._progress.update(self._task, advance=done.num_rows, description=f"labeling (judgments: {shown})")
