import pytest

from prom_reward.rubrics.checklists.forms import parse_checklist
from prom_reward.rubrics.lint.checklist_rules import lint_checklist


def found(*criteria, **own):
    """The rules that a checklist breaks, each with its criteria's numbers."""
    return [(one.rule, *one.criteria) for one in lint_checklist(parse_checklist({"criteria": list(criteria), **own}))]


GOOD = {"text": "Names the finding.", "weight": 3}


def test_a_sound_checklist_has_no_findings():
    assert not found(GOOD, {"text": "Invents a number.", "weight": -2}, {"text": "Says who paid.", "weight": 1})


@pytest.mark.parametrize(
    ("criterion", "rule"),
    [
        ({"text": "Avoids jargon.", "weight": -2}, "double_negation"),
        ({"text": "Does not guess.", "role": "veto", "weight": 1}, "double_negation"),
        ({"text": "Fails to cite a source.", "weight": 2}, "rewards_fault"),
        ({"text": "It is short and recommends a step.", "weight": 1}, "compound"),
        ({"text": "How clear is it on a scale of 1 to 5?", "weight": 1}, "rating"),
        ({"text": "How clear is it?", "weight": 1, "options": ["good", "poor"]}, "order"),
        ({"text": "word " * 90, "weight": 1}, "long"),
        ({"text": "Says who paid.", "weight": 0}, "no_weight"),
        ({"text": "Says who paid.", "weight": 0.001}, "small_weight"),
        ({"text": "The response names the findings", "weight": 1}, "duplicate"),
        ({"text": "Does not name the finding.", "weight": 1}, "opposite"),
    ],
)
def test_a_criterion_that_is_probably_wrong_is_named(criterion, rule):
    numbers = ("1", "2") if rule in ("duplicate", "opposite") else ("2",)
    assert (rule, *numbers) in found(GOOD, criterion)


def test_words_that_fit_their_sign_are_no_findings():
    assert not found({"text": "Avoids jargon.", "weight": 2}, {"text": "Fails to cite a source.", "weight": -2}, GOOD)


def test_checks_are_compared_by_what_they_check():
    short = {"text": "Short.", "weight": 1, "check": {"max_words": 9}}
    long = {"text": "Short.", "weight": 1, "check": {"max_words": 99}}
    assert found(short, long, {**short, "text": "Brief."}) == [("duplicate", "1", "3")]


def test_children_have_their_own_numbers_and_weights():
    tree = {"text": "Code", "weight": 1, "children": [GOOD, {"text": "Runs.", "weight": 0}]}
    assert found(tree) == [("no_weight", "1.2")]


def test_a_child_of_a_pitfall_is_a_loss():
    pitfall = {"text": "Style", "weight": -1, "children": [{"text": "Avoids jargon.", "weight": 1}]}
    assert found(GOOD, pitfall) == [("double_negation", "2.1")]
    pitfall["children"] += [{"text": "Fails to cite a source.", "weight": -1}]
    assert ("rewards_fault", "2.2") in found(GOOD, pitfall)


def test_weights_beside_min_are_not_used():
    assert found(GOOD, {"text": "Says who paid.", "weight": 1}, combine="min") == [("weights_unused",)]
    assert not found(GOOD, {"text": "Says who paid.", "weight": 3}, combine="min")


def test_a_checklist_that_cannot_gain_is_named():
    assert ("only_pitfalls",) in found({"text": "Invents a number.", "weight": -1})
    assert ("only_gates",) in found({"text": "Short.", "role": "gate", "check": {"max_words": 9}})


def test_a_gain_that_needs_a_pitfall_is_named():
    pitfall = {"text": "Invents a number.", "name": "bad", "weight": -1}
    assert ("requires_pitfall",) in found(pitfall, {**GOOD, "requires": "bad"})


def test_many_equal_weights_are_not_small():
    assert not found(*({"text": f"Names finding {at}.", "weight": 1} for at in range(200)))
