from prom_reward.rubrics.lint.lint import lint_rubrics
from prom_reward.rubrics.reading import read_rubrics

LEVELS = {"criteria": "Is it clear?", "scale": [1, 3], "descriptions": {1: "Bad.", 2: "Fair.", 3: "Good."}}


def rules(*rubrics):
    return [one.rule for one in lint_rubrics(read_rubrics(list(rubrics)))]


def test_sound_rubrics_have_no_findings():
    other = {**LEVELS, "criteria": "Is it true?", "name": "truth"}
    assert not rules(LEVELS, other, "helpfulness")


def test_levels_that_say_the_same_are_named():
    [found] = lint_rubrics(read_rubrics({**LEVELS, "descriptions": {1: "Bad.", 2: "It is good.", 3: "Good"}}))
    assert (found.rule, found.criteria) == ("duplicate_level", ("2", "3"))


def test_levels_from_the_best_to_the_worst_are_named():
    assert rules({**LEVELS, "descriptions": {1: "Good.", 2: "Fair.", 3: "Bad."}}) == ["order"]


def test_rubrics_that_get_in_each_others_way_are_named():
    one, same, light = ({**LEVELS, "name": name} for name in ("a", "a", "b"))
    assert rules(one, {**same, "criteria": "Is it true?"}) == ["same_name"]
    assert rules(one, light) == ["duplicate"]
    assert not rules({"rubric": ["Cites a source."], "name": "a"}, {"rubric": ["Does not cite a source."], "name": "b"})
    weighted = [(one, 1), ({**light, "criteria": "Is it true?"}, 0.001)]
    assert rules(*({"rubric": rubric, "weight": weight} for rubric, weight in weighted)) == ["small_weight"]
