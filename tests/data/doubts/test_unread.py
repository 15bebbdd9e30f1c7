import pytest

from prom_reward.data.columns import spelling
from prom_reward.data.doubts.unread import unread_columns
from prom_reward.data.formats import RowFormat
from prom_reward.errors import RubricError
from prom_reward.rubrics.rubric import parse_rubrics

HELPFUL = parse_rubrics("helpfulness")
ASK, YES = [{"role": "user", "content": "Hi?"}], [{"role": "assistant", "content": "Yes."}]


def example(values):
    return RowFormat(columns={}).example(values)


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ({"question": "Another question?"}, ["question"]),
        ({"answer": "42"}, ["answer"]),
        ({"instruction": "Hi?"}, []),  # it repeats the prompt
        ({"messages": ASK + YES}, []),
        ({"system": ""}, []),
        ({"tools": [{"name": "search"}]}, ["tools"]),
        ({"responses": ["Another one."]}, ["responses"]),
        ({"choices": ["Rome", "Oslo"]}, ["choices"]),
        ({"choices": ["H", "i"]}, ["choices"]),  # letters of "Hi?" alone
        ({"option_a": "Rome", "option_b": "Oslo"}, ["option_a", "option_b"]),
        ({"retrieved_contexts": ["Rome is old."]}, []),  # it is part of the instruction
        ({"image_url": "https://x/y.png", "constraints": ["Be brief."]}, ["constraints", "image_url"]),
        ({"golden_answers": ["Yes.", "Yes!"], "gold": 1}, ["golden_answers", "gold"]),
        ({"documents": {"titles": ["Rome"]}}, ["documents"]),
        ({"documents": "[]", "context": "null"}, []),
        ({"context": "Rome is old.", "passages": ["Oslo is new."]}, ["passages"]),
        ({"image": {"bytes": b"GIF", "path": None}, "images": []}, ["image"]),
        ({"Reference Answer": "No.", "System": "Be brief."}, ["System", "Reference Answer"]),
        ({"referenceAnswer": "No.", "systemPrompt": "Be brief."}, ["systemPrompt", "referenceAnswer"]),
        ({"GroundTruth": "No.", "imageURL": {"bytes": b"GIF"}}, ["GroundTruth", "imageURL"]),
        ({"expectedOutput": "Yes.", "Reference Answer": "Yes"}, ["Reference Answer", "expectedOutput"]),  # it is right
        ({"reference": "Yes.", "Reference Answer": "Yes."}, []),
        ({"Context": "Yes.", "Input": "Hi?"}, ["Context"]),  # the answer quotes it
        ({"expected": "No.", "ideal": ["No!"], "correct": False}, ["expected", "ideal"]),
        ({"knowledge": "It takes geography.", "difficulty": "easy"}, ["knowledge"]),  # Magpie's, which no policy saw
    ],
)
def test_columns_of_known_meaning_that_stay_unread_are_named(more, unread):
    found = example({"prompt": "Hi?", "response": "Yes.", **more})
    found.requests(HELPFUL)
    assert unread_columns(found.columns) == unread


def test_an_answer_beside_a_pair_is_unread_and_the_beginning_of_its_sides_is_named():
    row = {
        "prompt": "Hi?",
        "initial_reason_steps": "Step 1: add.",
        "chosen": "4",
        "rejected": "5",
        "answer": "It is 4.",
    }
    found = example(row)
    assert "response" not in found.columns.by_role()
    assert unread_columns(found.columns) == ["answer", "initial_reason_steps"]


def test_ultrafeedbacks_correct_answers_are_a_part_of_it():
    row = {
        "instruction": "Hi?",
        "completions": [{"response": "Yes."}, {"response": "No."}],
        "correct_answers": ["None"],
    }
    assert unread_columns(example(row).columns) == ["correct_answers"]
    assert unread_columns(example({**row, "incorrect_answers": ["None"]}).columns) == []


def test_a_system_text_of_each_response_is_named_as_unread():
    answers = [{"response": "Yes.", "custom_system_prompt": "Be kind."}, {"response": "No."}]
    found = example({"instruction": "Hi?", "completions": answers})
    assert unread_columns(found.columns) == ["completions[0].custom_system_prompt"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Reference Answer", "reference_answer"),
        ("referenceAnswer", "reference_answer"),
        ("ReferenceAnswer ", "reference_answer"),
        ("reference-answer", "reference_answer"),
        ("REFERENCE_ANSWER", "reference_answer"),
        ("imageURL", "image_url"),
        ("QAContext", "qa_context"),
        ("score1Description", "score1_description"),
        (7, "7"),
    ],
)
def test_a_name_is_known_however_it_is_written(name, written):
    assert spelling(name) == written
    assert spelling(spelling(name)) == written


@pytest.mark.parametrize("name", ["scoringRubric", "GradingRubric", "checkList", "score1Description", "Criteria"])
def test_a_rubric_under_another_spelling_is_refused_and_never_covered_by_the_default(name):
    with pytest.raises(RubricError, match=rf"got a column '{name}' that may be the row's rubric"):
        example({"prompt": "Hi?", "response": "Yes.", name: "Is it polite?"}).requests(HELPFUL)


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ({"extra_info": {"reference_answer": "No.", "index": 7, "answer": "No."}}, ["extra_info.reference_answer"]),
        ({"extra_info": '{"ground_truth": "No."}'}, ["extra_info.ground_truth"]),
        ({"metadata": {"gold_answer": ""}}, []),
        ({"reward_model": '{"ground_truth": "Yes!"}', "extra_info": {"ground_truth": "Yes!"}}, []),
        ({"answer": "Maybe"}, ["answer"]),  # the response holds it, as a right one holds the truth
        ({"answer": "Maybe."}, []),
        *(({name: "No."}, [name]) for name in ("refrence_answer", "reference_anwser", "refference", "rubrik")),
        ({"good_answer": "No.", "correct_answer_id": "No.", "reference_answer_2_id": "No."}, []),
        ({"preference": "strong", "extra_info": {"preference": "x", "incorrect_answers": ["No."]}}, []),
        ({"incorrect_answers": ["No."], "metadata": {"target": "train", "ref": "refs/heads/main"}}, []),
        ({"ref": "No."}, ["ref"]),
        *(({name: one}, [name]) for name in ("label", "gold_label", "y_true") for one in ("72", 72, ["72"])),  # slime
        *(({"label": one}, []) for one in ("good", "Bad", "unsafe", "en", "zh-CN", "4", ["4"], [], ["7", "8"])),
        ({"metadata": {"answer": True}}, []),
        ({"label": "No."}, ["label"]),
        ({"label": "No.", "reference_answer": "Yes!"}, []),
        *(({"label": one}, []) for one in (True, 1, 4, "true", "0", "1.0", " ", "undesirable", None)),  # KTO's, a score
        ({"extra_info": {"answer": "No.", "solution": "#### No."}}, ["extra_info.answer", "extra_info.solution"]),
        ({"extra_info": {"answer": "long"}, "reward_model": {"ground_truth": "7"}}, []),  # verl reads its own
        ({"extra_info": {"ground_truth": 72}, "options_of": {"answer": "No."}}, ["extra_info.ground_truth"]),
        ({"reference_id": "No.", "groundwork": "No."}, []),
    ],
)
def test_a_reference_that_nobody_reads_is_told_wherever_it_stands(more, unread):
    assert unread_columns(example({"prompt": "Hi?", "response": "Maybe.", **more}).columns) == unread


def test_a_label_is_no_reference_beside_a_verdict():
    pair = {"prompt": "Hi?", "response_1": "Yes.", "response_2": "No.", "preference": 1, "label": "math"}
    assert unread_columns(example(pair).columns) == []
    assert unread_columns(example({"prompt": "Hi?", "chosen": "Yes.", "rejected": "No.", "label": "x"}).columns) == []


def test_tools_beside_openais_messages_are_named_as_unread():
    sides = {
        "preferred_output": [{"role": "assistant", "content": "Yes."}],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }
    given = {"messages": [{"role": "user", "content": "Hi?"}], "tools": [{"type": "function", "function": {}}]}
    assert unread_columns(example({"input": given, **sides}).columns) == ["input.tools"]
    assert unread_columns(example({"input": {**given, "tools": []}, **sides}).columns) == []


@pytest.mark.parametrize("earlier", [[], [("And you?", "Me too.")]])
def test_turns_before_the_arenas_vote_are_named_as_unread(earlier):
    asked = {"role": "user", "content": "Hi?"}
    sides = {
        f"conversation_{one}": [asked, {"role": "assistant", "content": text}]
        for one, text in (("a", "Yes."), ("b", "No."))
    }
    whole = [{"user": user, "model_side_a": {"content": said}} for user, said in [*earlier, ("Hi?", "Yes.")]]
    found = example({**sides, "winner": "model_a", "full_conversation": whole})
    assert unread_columns(found.columns) == (["full_conversation"] if earlier else [])
