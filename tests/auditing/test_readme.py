import re
from importlib import resources

from prom_reward.auditing.attacks import builtin_families
from prom_reward.auditing.audit import FULL_TRIALS, QUICK_TRIALS
from prom_reward.auditing.results import MAX_SUCCESS, WORTH_SEEING

README = resources.files("prom_reward").joinpath("auditing/README.md").read_text(encoding="utf-8")


def test_its_table_of_families_is_that_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d+) \|", README, re.MULTILINE)
    assert rows == [(one.name, one.kind, str(len(one.texts))) for one in builtin_families()]


def test_its_numbers_are_those_of_the_code():
    assert f"may raise {MAX_SUCCESS['structural'] * 100:.0f} % of weak responses" in " ".join(README.split())
    assert f"(semantic) may raise {MAX_SUCCESS['semantic'] * 100:.0f} %" in README
    assert f"The {QUICK_TRIALS} trials" in README
    assert f"a full audit's {FULL_TRIALS} can" in README
    assert f"rose by {WORTH_SEEING} or more" in README
