import re
from pathlib import Path

from prom_reward.settings.judges import JudgeConfig

CONFIGS = Path(__file__).parents[2] / "configs"
README = (CONFIGS / "README.md").read_text(encoding="utf-8")


def first_cells(table):
    """Return the code names in the first column of a table that begins with this line."""
    lines = README[README.index(table) :].split("\n\n")[0].splitlines()[2:]
    return set(re.findall(r"`([\w.]+)`", "\n".join(line.split("|")[1] for line in lines)))


def test_the_table_of_a_judges_keys_is_complete():
    assert first_cells("| key | default | meaning |") == set(JudgeConfig.model_fields)


def test_the_table_of_files_is_complete():
    assert first_cells("| file | use |") == {path.name for path in CONFIGS.iterdir()} - {"README.md"}
