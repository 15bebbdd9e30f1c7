import json
from pathlib import Path

import pytest
import yaml

from prom_reward.runs import load_training_run
from tests.benchmarks.ablate_training import CONSTRUCTED, FILES, VARIANTS, table

RECIPE = Path(__file__).parents[2] / "configs/default_judge/third_leg.yaml"
BASE = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_a_recipe_that_differs_in_one_thing(tmp_path, name):
    path = tmp_path / "recipe.yaml"
    changed = VARIANTS[name](BASE)
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    load_training_run(path)
    kinds = {key.partition("_weight")[1] or key for key in changed if changed[key] != BASE.get(key)}
    assert len(kinds) == (name != "all")


def test_data_of_one_kind_is_taken_more_often():
    of_people, constructed = (
        VARIANTS[name](BASE)["data"] for name in ("people's labels alone", "constructed rows alone")
    )
    assert {one["path"].startswith("constructed/") for one in constructed} == {True}
    assert len(of_people) + len(constructed) == len(BASE["data"])
    assert sum(one["passes"] for one in constructed) > sum(one["passes"] for one in BASE["data"][: len(constructed)])


def test_the_table_has_a_column_for_each_variant(tmp_path):
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    files = {file: {"smollm2-135m": {"spearman": {"expected": estimate}}} for file in FILES}
    files["constructed"] = {"smollm2-135m": dict.fromkeys(CONSTRUCTED, estimate)}
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"files": files}), encoding="utf-8")
    lines = table({"all": path, "rank 4": path}).splitlines()
    assert lines[0] == "| what | all | rank 4 |"
    assert lines[-1] == "| mtbench_gpt4, Spearman | 0.50 [0.25, 0.75] | 0.50 [0.25, 0.75] |"
    assert len(lines) == 2 + len(CONSTRUCTED) + len(FILES)
