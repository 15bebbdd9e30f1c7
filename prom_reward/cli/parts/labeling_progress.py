"""The progress of `prom-reward label`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from rich.progress import TaskID

from prom_reward.cli.parts.console import progress_bar, stderr
from prom_reward.data.rows import count_rows
from prom_reward.data.sources import is_hub_id
from prom_reward.errors import number_of
from prom_reward.judging.base import Judge
from prom_reward.labeling.backends import Backend
from prom_reward.labeling.labeling import Progress
from prom_reward.labeling.requests import Answers
from prom_reward.labeling.shards import Shard
from prom_reward.settings.runs import LabelingRun


class LabelingProgress:
    """Shows progress from the first shard on, after all checks, and says how to resume if it is interrupted."""

    def __init__(self, run: LabelingRun) -> None:
        total = None if is_hub_id(run.input or "") else count_rows(run.input or "")
        self._out = run.out
        self._progress = progress_bar()
        self._total = min(total, run.limit) if total and run.limit else total
        self._task: TaskID | None = None
        self._counts: Counter[str] = Counter()
        self._kept = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._task is not None:
            self._progress.__exit__(kind, *rest)  # type: ignore[arg-type]  # handed on as it came
        if kind is KeyboardInterrupt:
            text = (
                f"stopped; {number_of(self._kept, 'row')} labeled in {self._out}: run the same command again to resume"
            )
            stderr.print(text, highlight=False, soft_wrap=True)

    def begun_by(self, backend: Backend) -> Backend:
        """Return a backend that shows the bar when it takes its first shard."""
        return _Beginning(backend, self._begin)

    def show(self, done: Progress) -> None:
        """Advance by a shard."""
        names = {"scored": "scored", "forced": "forced"}
        for outcome, count in done.outcomes.items():
            self._counts[names.get(outcome, "failed")] += count
        self._kept += done.num_rows
        shown = ", ".join(f"{self._counts[name]} {name}" for name in ("scored", "forced", "failed"))
        self._progress.update(self._begin(), advance=done.num_rows, description=f"labeling (judgments: {shown})")

    def _begin(self) -> TaskID:
        if self._task is None:
            self._progress.__enter__()
            self._task = self._progress.add_task("labeling", total=self._total)
        return self._task


class _Beginning:
    """A backend that calls a function before each shard."""

    def __init__(self, backend: Backend, begin: Callable[[], object]) -> None:
        self._backend = backend
        self._begin = begin

    def machine(self, judge: Judge) -> Mapping[str, Any]:
        """Return the backend's machine."""
        return self._backend.machine(judge)

    def run(self, judge: Judge, shards: Iterator[Shard]) -> Iterator[tuple[Shard, Answers]]:
        """Yield every shard with its answers."""
        return self._backend.run(judge, self._begun(shards))

    def _begun(self, shards: Iterator[Shard]) -> Iterator[Shard]:
        for shard in shards:
            self._begin()
            yield shard
