import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.errors import ConfigError, RowError
from prom_reward.prompts.prometheus import task_texts
from prom_reward.prompts.template import grading_prompt
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest

HELPFUL = (Rubric.parse("helpfulness"),)
ASK = [{"role": "user", "content": "Hi?"}]
YES, NO = ([{"role": "assistant", "content": text}] for text in ("Yes.", "No."))
BEGINS = "no prompt: chosen and rejected begin differently; expected a prompt column or a shared beginning"


def example(values, **columns):
    return RowFormat(columns=columns).example(values)


def problem(values, **columns):
    with pytest.raises(RowError) as error:
        example(values, **columns)
    return str(error.value)


@pytest.mark.parametrize(
    ("values", "kind", "prompt", "responses"),
    [
        ({"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}, "pair", "Hi?", ("Yes.", "No.")),
        ({"question": "Hi?", "chosen": "Yes.", "rejected": "No."}, "pair", "Hi?", ("Yes.", "No.")),
        ({"prompt": ASK, "chosen": YES, "rejected": NO}, "pair", ASK, (YES, NO)),
        ({"chosen": ASK + YES, "rejected": ASK + NO}, "pair", ASK, (YES, NO)),
        (
            {"prompt": "Hi?", "chosen": ASK + YES, "rejected": ASK + NO},
            "pair",
            ASK,
            (YES, NO),
        ),  # UltraFeedback binarized
        ({"prompt": ASK, "chosen": ASK + YES, "rejected": ASK + YES}, "pair", ASK, (YES, YES)),
        ({"chosen": "Say yes now", "rejected": "Say yesterday"}, "pair", "Say ", ("yes now", "yesterday")),
        (
            {"chosen": "\n\nHuman: A?\n\nAssistant: Bee", "rejected": "\n\nHuman: A?\n\nAssistant: Bear"},
            "pair",
            "\n\nHuman: A?\n\nAssistant:",
            (" Bee", " Bear"),
        ),
        ({"prompt": "Hi?", "completion": "Yes."}, "response", "Hi?", ("Yes.",)),
        ({"instruction": "Hi?", "response": ""}, "response", "Hi?", ("",)),
        ({"prompt": ASK, "completion": YES}, "response", ASK, (YES,)),
        ({"instruction": "whole", "orig_instruction": "Hi?", "orig_response": "Yes."}, "response", "Hi?", ("Yes.",)),
        ({"prompt": "Hi?", "completions": ["Yes.", "No."]}, "responses", "Hi?", ("Yes.", "No.")),
        ({"prompt": ASK, "completions": [YES, NO]}, "responses", ASK, (YES, NO)),
        ({"prompt": ASK, "completions": [*YES, *NO]}, "responses", ASK, (YES, NO)),
        (
            {
                "instruction": "Hi?",
                "completions": [{"model": "a", "response": "Yes."}, {"model": "b", "response": "No."}],
            },
            "responses",
            "Hi?",
            ("Yes.", "No."),
        ),
    ],
)
def test_every_known_form_is_recognised(values, kind, prompt, responses):
    found = example(values)
    assert (found.kind, found.prompt, found.responses) == (kind, prompt, responses)
    rubrics = example({**values, "rubric": "honesty"}).requests(HELPFUL)
    assert [[one.rubric.name for one in requests] for requests in rubrics] == [["honesty"]] * len(responses)


def test_columns_have_the_names_that_options_give():
    values = {"q": "Hi?", "better": "Yes.", "worse": "No.", "key": 7, "ideal": "Yes!", "how": "honesty"}
    columns = {"prompt": "q", "chosen": "better", "rejected": "worse", "id": "key"}
    found = example(values, **columns, reference_answer="ideal", rubric="how")
    assert (found.kind, found.prompt, found.responses, found.id) == ("pair", "Hi?", ("Yes.", "No."), "7")
    [[chosen], [rejected]] = found.requests(HELPFUL)
    assert chosen == GradingRequest(
        instruction="Hi?", response="Yes.", rubric=Rubric.parse("honesty"), reference_answer="Yes!"
    )
    assert rejected.response == "No."


def test_a_reference_is_the_rows_own_or_the_one_for_all():
    row_format = RowFormat(columns={}, reference_answer="for all")
    rows = [{"prompt": "Hi?", "completion": "Yes.", "reference_answer": value} for value in ("own", "", None)]
    assert [row_format.example(row).reference_answer for row in rows] == ["own", "for all", "for all"]


def test_several_rubrics_of_a_row_give_several_requests():
    row = {"prompt": "Hi?", "chosen": "a", "rejected": "b", "rubric": ["honesty", "helpfulness"]}
    assert [[one.rubric.name for one in side] for side in example(row).requests(())] == [["honesty", "helpfulness"]] * 2


def test_a_published_prompt_is_taken_apart(rubric):
    request = GradingRequest(instruction="Hi?", response="Yes.", rubric=rubric, reference_answer="Yes!")
    text = grading_prompt(request, task_texts("prometheus-v2", "prometheus"), guard=False).user
    found = example({"id": "a", "prompt": text})
    assert (found.kind, found.prompt, found.responses, found.id) == ("response", "Hi?", ("Yes.",), "a")
    [[made]] = found.requests(())
    assert (made.reference_answer, made.rubric.text) == ("Yes!", rubric.text)


def test_keys_that_arrow_pads_with_none_are_gone():
    padded = [{"role": "assistant", "content": "Yes.", "tool_calls": None}]
    assert example({"prompt": "Hi?", "chosen": padded, "rejected": padded}).responses == (YES, YES)


def test_nested_nulls_are_empty_texts():
    silent = [{"role": "assistant", "content": None}]
    found = example({"prompt": ASK, "chosen": silent, "rejected": YES, "rubric": None, "reference_answer": None})
    assert [[one.response for one in side] for side in found.requests(HELPFUL)] == [[""], ["Yes."]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"text": "a", "label": 1},
            "unknown format: got the columns label, text; expected chosen and rejected, or prompt and completion, or "
            "prompt and completions; name others with --column ROLE=NAME, for example --column chosen=better",
        ),
        ({"prompt": "a", "rejected": "b"}, "a pair without 'chosen'; expected a response beside 'rejected'"),
        (
            {"prompt": "a", "chosen": None, "rejected": "b"},
            "a pair without 'chosen'; expected a response beside 'rejected'",
        ),
        (
            {"prompt": "a", "chosen": "b", "rejected": None},
            "a pair without 'rejected'; expected a response beside 'chosen'",
        ),
        (
            {"chosen": "same", "rejected": "same"},
            "no prompt: both sides are the same text, so none of it can be told to be the prompt",
        ),
        ({"chosen": "one", "rejected": "other"}, BEGINS),
        ({"chosen": YES, "rejected": NO}, BEGINS),
        (
            {"chosen": ASK + YES, "rejected": "No."},
            "got a string and messages as the two sides; expected both of one kind",
        ),
        ({"prompt": "a", "chosen": 1, "rejected": 2}, "got int as a text; expected a string or a list of messages"),
        ({"prompt": "a", "completions": []}, "got [] as the responses; expected a list of at least one"),
        ({"prompt": "a", "completions": "b"}, "got 'b' as the responses; expected a list of at least one"),
        (
            {"prompt": "a", "completions": [{"model": "x"}]},
            "got a response with the keys ['model']; expected one of response, completion, text, content",
        ),
        (
            {"completion": "b"},
            "no prompt; got the columns completion, expected one of orig_instruction, instruction, "
            "prompt, question, query",
        ),
    ],
)
def test_what_is_wrong_is_said(values, said):
    assert problem(values) == said


def test_a_misspelt_role_names_its_near_miss():
    with pytest.raises(
        ConfigError, match=r"^unknown column role 'choosen'; expected one of prompt, .*Did you mean 'chosen'\?$"
    ):
        RowFormat(columns={"choosen": "x"})


def test_the_columns_of_a_row_are_told():
    row = {"prompt_id": "a", "question": "Hi?", "better": "Yes.", "rejected": "No.", "reference": None, "source": "x"}
    row |= {"criteria": "Good?", "score1_description": "bad"}
    assert RowFormat(columns={"chosen": "better"}).describe(row) == {
        "rubric": ["criteria", "score1_description"],
        "prompt": ["question"],
        "chosen": ["better"],
        "rejected": ["rejected"],
        "id": ["prompt_id"],
    }
