from prom_reward.rewards.privileged_context import privileged_context


def test_a_rubric_is_told_with_its_levels_and_the_reference():
    told = privileged_context("helpfulness", "Seven.")
    assert "\nScore 5: " in told
    assert told.endswith("An answer that deserves the best score:\nSeven.")
    assert privileged_context("helpfulness", " ") == privileged_context("helpfulness")


def test_a_checklist_is_told_as_a_list_with_its_pitfalls():
    dose = {"criterion": "Names a dose.", "points": 5}
    invents = {"criterion": "Invents a diagnosis.", "points": -6}
    assert privileged_context([dose, invents]).splitlines()[1:] == ["- Names a dose.", "- Not: Invents a diagnosis."]


def test_below_a_pitfall_signs_turn():
    parts = [{"text": "Sells something.", "weight": 1}, {"text": "Says that it does.", "weight": -1}]
    checklist = {
        "criteria": [{"text": "Is clear.", "weight": 1}, {"text": "Is advertising.", "weight": -1, "children": parts}]
    }
    assert privileged_context(checklist).splitlines()[1:] == [
        "- Is clear.",
        "- Not: Is advertising.",
        "  - Not: Sells something.",
        "  - Says that it does.",
    ]
