"""The room's README names the files, formats and columns that the code has."""

import re
from pathlib import Path

from prom_reward import labeling
from prom_reward.labeling.exports import FORMATS
from prom_reward.labeling.labeled_rows import ADDED_COLUMNS
from prom_reward.labeling.verdicts import VERDICT_COLUMNS

ROOM = Path(labeling.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")


def named(heading):
    """The names in backticks in a section, up to the next heading or bold line."""
    section = README[README.index(heading) :].partition("\n## ")[0]
    return set(re.findall(r"`(\w[\w.]*)`", section))


def test_every_column_is_named():
    prefixes = re.compile(r"(chosen|rejected)_(?=" + "|".join(VERDICT_COLUMNS) + ")")
    for columns in ADDED_COLUMNS.values():
        assert {name if name.startswith("ranking") else prefixes.sub("", name) for name in columns} <= named("## Files")


def test_every_format_is_named():
    assert set(FORMATS) <= named("## Exports")


def test_every_file_is_named():
    files = {path.name for path in ROOM.glob("*.py")} - {"__init__.py"}
    assert {name for name in named("## How it works") if name.endswith(".py")} == files
