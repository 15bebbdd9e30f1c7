from prom_reward import ComparisonRequest, GradingRequest
from prom_reward.prompts.decision import DECISION_TEXTS
from prom_reward.prompts.prometheus import SECTION_NAMES
from prom_reward.prompts.template import comparison_prompt, grading_prompt


def test_question_document_and_levels_stand_apart(rubric):
    request = GradingRequest(instruction="Say {hi}.", response="Hi {low}.", rubric=rubric, reference_answer="Hi!")
    prompt = grading_prompt(request, DECISION_TEXTS, response_prefix="[RESULT] ")
    assert prompt.system.endswith(f"by this alone: {rubric.criteria}")
    assert prompt.label_texts == tuple(rubric.descriptions.values())
    assert prompt.labels == ("1", "2", "3", "4", "5")
    for text in ("Say {hi}.", "Hi {low}.", "Hi!"):
        assert text in prompt.user
    assert rubric.criteria not in prompt.user
    pair = ComparisonRequest(instruction="Hi", response_a="x", response_b="y", rubric=rubric)
    compared = comparison_prompt(pair, DECISION_TEXTS)
    assert (compared.labels, len(compared.label_texts)) == (("A", "B"), 2)
    assert rubric.criteria in compared.system


def test_the_guard_knows_every_section():
    for text in (DECISION_TEXTS.absolute, DECISION_TEXTS.relative):
        sections = [one.partition("\n")[0].rstrip(":") for one in text.split("###")[1:]]
        assert all(any(one.startswith(name) for name in SECTION_NAMES) for one in sections)
