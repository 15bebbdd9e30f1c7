from prom_reward.prompts.checklist import CHECKLIST_TEXTS, CRITERION_FIRST_TEXTS
from prom_reward.prompts.template import grading_prompt
from prom_reward.rubrics.checklists.criterion import Criterion
from prom_reward.types import GradingRequest

CRITERION = Criterion(text="It is short.", name="short")
TASK = """\
###Task Description:
Does the response meet the criterion? Answer 0 for no and 1 for yes, unless the criterion lists other answers.

###Score Rubric:
It is short."""
BEFORE = "###The instruction to evaluate:\nHi\n\n"
REFERENCE = "###Reference Answer:\nHello\n\n"
RESPONSE = "###Response to evaluate:\nHey"


def user(texts, reference_answer=None):
    request = GradingRequest(
        instruction="Hi", response="Hey", rubric=CRITERION.rubric, reference_answer=reference_answer
    )
    return grading_prompt(request, texts).user


def test_the_texts_differ_in_their_order_alone():
    assert user(CHECKLIST_TEXTS) == f"{BEFORE}{RESPONSE}\n\n{TASK}"
    assert user(CHECKLIST_TEXTS, "Hello") == f"{BEFORE}{REFERENCE}{RESPONSE}\n\n{TASK}"
    assert user(CRITERION_FIRST_TEXTS) == f"{BEFORE}{TASK}\n\n{RESPONSE}"
    assert user(CRITERION_FIRST_TEXTS, "Hello") == f"{BEFORE}{REFERENCE}{TASK}\n\n{RESPONSE}"
