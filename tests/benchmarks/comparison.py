"""Sets the rows of `bench_judge` beside those of an earlier run on the same machine."""

import json
from pathlib import Path

SAME_RUN = ("model", "dtype", "device", "threads", "cpu")
"""What two runs must have in common for their times to be comparable."""
_SAME_ROW = ("num_prompts", "total_tokens", "generated_tokens")


class Earlier:
    """An earlier run, read from the file that `bench_judge --json` wrote.

    Args:
        path: The file.
        about: The `about` of this run.

    Raises:
        SystemExit: The file is no such run, or one of another machine, judge or dtype; in one line.
    """

    def __init__(self, path: str, about: dict) -> None:
        self._path = path
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            self._about, rows = values["about"], values["rows"]
            self._rows = {(row["workload"], row["contender"]): row for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SystemExit(
                f"{path}: got no run of bench_judge ({error}); expected a file that --json wrote"
            ) from error
        self._check("run", self._about, about, SAME_RUN)

    def lines(self, rows: list[dict]) -> list[str]:
        """Return a line for each row that the earlier run has, too.

        Raises:
            SystemExit: None is in both runs, or one had other prompts; in one line.
        """
        pairs = [(self._rows.get((row["workload"], row["contender"])), row) for row in rows]
        both = [(old, new) for old, new in pairs if old is not None]
        if not both:
            names = ", ".join(sorted({workload for workload, _ in self._rows})) or "none"
            raise SystemExit(f"{self._path}: has workloads {names}; expected one of this run's with its contenders")
        for old, new in both:
            self._check(f"workload {new['workload']}", old, new, _SAME_ROW)
        return [self._line(old, new) for old, new in both]

    def _line(self, old: dict, new: dict) -> str:
        speed = old["s_per_item"]["median"] / new["s_per_item"]["median"]
        return (
            f"({new['workload']}) {new['contender']:15} {speed:.2f} x as fast as at {self._about['commit']}, "
            f"{old['of_plain'] / new['of_plain']:.2f} x beside plain, "
            f"peak {new['peak_bytes'] / old['peak_bytes']:.2f} x"
        )

    def _check(self, what: str, old: dict, new: dict, names: tuple[str, ...]) -> None:
        for name in names:
            if old.get(name) != new.get(name):
                raise SystemExit(
                    f"{self._path}: got {what} with {name}={old.get(name)!r}; expected {new.get(name)!r} as in this run"
                )
