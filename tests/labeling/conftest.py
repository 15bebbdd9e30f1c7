import pytest

from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import read_rows, scripted_judge, write_rows


@pytest.fixture
def labeled(tmp_path):
    """Labels rows, or the bytes of a file, and returns the labels, the problems and what came of it."""

    def run(rows, *, name="rows.jsonl", judge=None, **options):
        path = tmp_path / name
        if isinstance(rows, bytes):
            path.write_bytes(rows)
        else:
            write_rows(path, rows)
        found = label(
            path, judge=judge or scripted_judge(), out=tmp_path / "out", **{"rubric": "helpfulness", **options}
        )
        return read_rows(found.labels), read_rows(tmp_path / "out/problems.jsonl"), found

    return run
