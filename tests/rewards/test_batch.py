import re
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from prom_reward.errors import ConfigError, RowError, RubricError
from prom_reward.rewards.batch import RowReader, _warn_of_unanswered, _warn_of_unopened
from prom_reward.rubrics.rubric import Rubric

HELPFULNESS = (Rubric.parse("helpfulness"),)
POLITE = {"criteria": "Is it polite?", **{f"score{label}_description": f"Level {label}." for label in range(1, 6)}}


def requests_of(prompts, completions, default=HELPFULNESS, columns=None, **settings):
    return RowReader(rubrics=default, **settings).requests(prompts, completions, columns or {})


def test_standard_rows_become_one_request_each():
    rows = requests_of(["Q1", "Q2"], ["A1", ""], columns={"reference_answer": ["R1", None]})
    assert [[(one.instruction, one.response, one.reference_answer) for one in row] for row in rows] == [
        [("Q1", "A1", "R1")],
        [("Q2", "", None)],
    ]
    assert all(request.rubric is HELPFULNESS[0] for row in rows for request in row)


@pytest.mark.parametrize(("role", "is_told"), [("user", True), ("tool", True), ("assistant", False)])
def test_rollouts_that_end_without_an_answer_are_told_once(role, is_told, caplog):
    _warn_of_unanswered.cache_clear()
    completion = [{"role": "assistant", "content": "4?"}, {"role": role, "content": "Sure?" * (role != "assistant")}]
    for rows in (requests_of(["2 + 2?"], [completion]), requests_of(["2 + 2?"], [completion])):
        assert rows[0][0].response == ""
        assert "4?" in rows[0][0].instruction
    assert len(caplog.messages) == is_told
    assert (f"a completion ends in a turn of the {role}" in caplog.text) is is_told


def test_conversational_rows_are_written_as_instruction_and_response():
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital?"}]
    ((request,),) = requests_of([prompt], [[{"role": "assistant", "content": "<think>hm</think>Paris."}]])
    assert (request.instruction, request.response) == ("Be brief.\n\nCapital?", "Paris.")


def test_thoughts_are_shown_on_request():
    completion = [{"role": "assistant", "reasoning_content": "Hm.", "content": "Paris."}]
    ((request,),) = requests_of([[{"role": "user", "content": "Capital?"}]], [completion], include_reasoning=True)
    assert request.response == "Hm.\n\nParis."


def test_thoughts_in_a_reference_are_left_out_as_those_of_the_response():
    thought, about = "<think>5? no</think>4", "Write <think> before your thoughts and </think> after them."
    for written, shown in ((thought, "4"), (about, about)):
        for named in ({}, {"reference_column": "reference"}):
            ((request,),) = requests_of(["2 + 2?"], [written], columns={"reference": [written]}, **named)
            assert request.reference_answer == request.response == shown
    ((request,),) = requests_of(["Q"], ["4"], columns={"reference": [thought]}, include_reasoning=True)
    assert request.reference_answer == thought


@pytest.mark.parametrize("text", ["<think>5? no", "<think>5? no</think>"])
def test_a_reference_of_thoughts_alone_is_refused(text):
    with pytest.raises(RowError, match=r"^row 0: got thoughts without an answer in 'reference'"):
        requests_of(["2 + 2?"], ["4"], columns={"reference": [text]})


CHAT = [{"role": "user", "content": "Capital?"}]


@pytest.mark.parametrize(
    ("prompt", "said", "settings", "is_told"),
    [
        (CHAT, "Hm.</think>Paris.", {}, True),
        (CHAT, [{"role": "assistant", "content": "Hm.</think>Paris."}], {}, True),
        (CHAT, {"role": "assistant", "content": "Hm.</think>Paris."}, {}, True),
        (CHAT, "<think>Hm.</think>Paris.", {}, False),
        (CHAT, "Hm.</think>Paris.", {"opens_thoughts": True}, False),
        (CHAT, "Hm.</think>Paris.", {"include_reasoning": True}, False),
        ([*CHAT, {"role": "assistant", "content": "<think>"}], "Hm.</think>Paris.", {}, False),
        ("Capital?<think>\n", "Hm.</think>Paris.", {}, False),
        (CHAT, [], {}, False),
    ],
)
def test_thoughts_that_a_chat_template_opens_are_told_once(prompt, said, settings, is_told, caplog):
    _warn_of_unopened.cache_clear()
    for _ in range(2):
        requests_of([prompt], [said], **settings)
    remedies = ("opens_thoughts=True", "--opens-thoughts", "PROM_REWARD_OPENS_THOUGHTS=1")
    assert [all(one in message for one in remedies) for message in caplog.messages] == [True] * is_told


def test_a_completion_that_is_cut_off_in_opened_thoughts_is_no_answer():
    rows = requests_of([CHAT] * 2, ["Hm", "Hm.</think>Paris."], opens_thoughts=True)
    assert [request.response for (request,) in rows] == ["", "Paris."]


def test_a_rows_own_rubric_wins_over_the_default():
    column = ["honesty", None, POLITE, "", Rubric.parse("reasoning")]
    rows = requests_of(["Q"] * 5, ["A"] * 5, columns={"rubric": column})
    assert [[request.rubric.name for request in row] for row in rows] == [
        ["honesty"],
        ["helpfulness"],
        ["is_it_polite"],
        ["helpfulness"],
        ["reasoning"],
    ]


def test_a_list_of_weighted_rubrics_gives_a_request_each():
    column = [[{"rubric": "honesty", "weight": 0.3}, {"rubric": POLITE, "weight": 2, "name": "manners"}], []]
    rows = requests_of(["Q"] * 2, ["A"] * 2, columns={"rubric": column})
    assert [[(request.rubric.name, request.rubric.weight) for request in row] for row in rows] == [
        [("honesty", 0.3), ("manners", 2)],
        [("helpfulness", 1.0)],
    ]


def test_rubrics_that_arrow_padded_with_none_are_read():
    zero_to_two = {"criteria": "Is it short?", "scale": [0, 2], "score0_description": "No."}
    zero_to_two |= {"score1_description": "Nearly.", "score2_description": "Yes."}
    dataset = Dataset.from_list([{"rubric": POLITE}, {"rubric": zero_to_two}, {"rubric": None}])
    assert "score0_description" in dataset[0]["rubric"]
    rows = requests_of(["Q"] * 3, ["A"] * 3, columns={"rubric": list(dataset["rubric"])})
    rubrics = [request.rubric for (request,) in rows]
    assert [rubric.scale.labels for rubric in rubrics] == [(1, 2, 3, 4, 5), (0, 1, 2), (1, 2, 3, 4, 5)]
    assert rubrics[0].descriptions[3] == "Level 3."
    assert rubrics[2].name == "helpfulness"


def test_lists_of_weighted_rubrics_from_arrow_are_read():
    column = [[{"rubric": "honesty", "weight": 1.0}, {"rubric": "reasoning", "weight": 2.0}], None]
    dataset = Dataset.from_list([{"rubric": value} for value in column])
    rows = requests_of(["Q"] * 2, ["A"] * 2, columns={"rubric": list(dataset["rubric"])})
    assert [[request.rubric.name for request in row] for row in rows] == [["honesty", "reasoning"], ["helpfulness"]]


def test_a_rows_rubrics_of_which_one_has_no_weight_are_refused():
    column = [[{"rubric": "honesty", "weight": 1.0}, {"rubric": "reasoning", "weight": None}]]
    rows = Dataset.from_list([{"rubric": value} for value in column])
    with pytest.raises(RubricError, match=r"column 'rubric': got rubrics with a weight, and 'reasoning' without one"):
        requests_of(["Q"], ["A"], columns={"rubric": list(rows["rubric"])})


def test_the_columns_can_have_other_names():
    columns = {"criteria": ["honesty"], "gold": ["R"], "rubric": ["no rubric at all"], "reference_answer": [3]}
    ((request,),) = requests_of(["Q"], ["A"], columns=columns, rubric_column="criteria", reference_column="gold")
    assert (request.rubric.name, request.reference_answer) == ("honesty", "R")


@pytest.mark.parametrize("name", ["reference_answer", "reference", "ground_truth", "orig_reference_answer"])
def test_a_reference_is_read_by_its_known_names(name):
    ((request,),) = requests_of(["Q"], ["A"], columns={name: ["R"]})
    assert request.reference_answer == "R"


@pytest.mark.parametrize(
    ("value", "reference"), [(4, "4"), (0.5, "0.5"), (float("nan"), None), ("", None), (["R"], "R")]
)
def test_plain_values_are_references(value, reference):
    ((request,),) = requests_of(["Q"], ["A"], columns={"reference_answer": [value]})
    assert request.reference_answer == reference


def test_columns_may_be_paths():
    columns = {"extra_info": [{"rubric": "honesty", "gold": "R"}], "reward_model": [{"ground_truth": "other"}]}
    named = {"rubric_column": "extra_info.rubric", "reference_column": "extra_info.gold"}
    ((request,),) = requests_of(["Q"], ["A"], columns=columns, **named)
    assert (request.rubric.name, request.reference_answer) == ("honesty", "R")
    with pytest.raises(RubricError, match=r"row 0: got a column 'extra_info.rubric'"):  # no default covers it
        requests_of(["Q"], ["A"], columns=columns)
    ((request,),) = requests_of(["Q"], ["A"], columns={"reward_model": columns["reward_model"]})
    assert request.reference_answer == "other"


@pytest.mark.parametrize(
    "columns",
    [
        {"score_rubric": ["[Is it French?]\n" + "\n".join(f"Score {n}: level {n}" for n in range(1, 6))]},
        {"orig_criteria": ["Is it French?"], **{f"orig_score{n}_description": [f"level {n}"] for n in range(1, 6)}},
    ],
)
def test_a_rows_own_rubric_is_found_by_its_known_names(columns):
    ((request,),) = requests_of(["Say yes."], ["Oui."], columns=columns)
    assert "Is it French?" in request.rubric.text


def test_a_default_rubric_never_covers_one_that_cannot_be_read():
    with pytest.raises(RubricError, match=r"^row 0: column 'rubrics': "):
        requests_of(["Say yes."], ["Oui."], columns={"rubrics": [[{"wish": "Is it French?"}]]})


def test_columns_that_the_judge_does_not_see_are_named():
    columns = {"answer": ["42"], "question": ["Q"], "reference": ["R"], "id": [1], "completion_ids": [[1]]}
    assert RowReader().unread(["Q"], columns) == ["answer"]
    assert RowReader(reference_column="answer").unread(["Q"], {**columns, "reference": ["42"]}) == []
    assert RowReader().unread(["Q"], {"label": ["42"]}) == ["label"]
    assert RowReader().unread(["Q"], {"label": [True]}) == []
    assert RowReader().unread([], {}) == []


def test_a_missing_rubric_is_one_clear_line():
    with pytest.raises(RubricError, match=r"^row 1: no rubric .*pass rubric="):
        requests_of(["Q"] * 2, ["A"] * 2, default=(), columns={"rubric": ["honesty", None]})


def test_a_rubric_that_cannot_be_read_names_its_row():
    with pytest.raises(RubricError, match=r"^row 1: column 'task': unknown rubric 'helpfullness'.*'helpfulness'\?$"):
        requests_of(["Q"] * 2, ["A"] * 2, columns={"task": ["honesty", "helpfullness"]}, rubric_column="task")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"reference_answer": ["R", {"text": "S"}]}, "row 1: got dict as the reference answer; expected a text"),
        (
            {"reference_answer": ["R"]},
            "column 'reference_answer': got a list of 1; expected a list of 2 values, one for each row",
        ),
        (
            {"reference_answer": "RR"},
            "column 'reference_answer': got str; expected a list of 2 values, one for each row",
        ),
        ({"rubric": {"a": 1, "b": 2}}, "column 'rubric': got dict; expected a list of 2 values, one for each row"),
        (
            {"criteria": np.array(["Is it kind?"] * 2)},
            "column 'criteria': got ndarray; expected a list of 2 values, one for each row",
        ),
        (
            {"score1_description": ["No."]},
            "column 'score1_description': got a list of 1; expected a list of 2 values, one for each row",
        ),
        (
            {"reward_model": np.array([{"ground_truth": "72"}] * 2)},
            "column 'reward_model': got ndarray; expected a list of 2 values, one for each row",
        ),
        (
            {"reward_model": [{"ground_truth": "72"}]},
            "column 'reward_model': got a list of 1; expected a list of 2 values, one for each row",
        ),
        (
            {"prompt_metadata": {"rubrics": ["Is it kind?"]}},
            "column 'prompt_metadata': got dict; expected a list of 2 values, one for each row",
        ),
        (
            {"requirements": ["1) Names a dose. (importance: 100/100)"]},
            "column 'requirements': got a list of 1; expected a list of 2 values, one for each row",
        ),
        (
            {"reference_answer": b"RR"},
            "column 'reference_answer': got bytes; expected a list of 2 values, one for each row",
        ),
        (
            {"grading_notes": "Be strict."},
            "column 'grading_notes': got str; expected a list of 2 values, one for each row",
        ),
    ],
)
def test_a_column_of_the_wrong_form_is_refused(columns, message):
    with pytest.raises(RowError, match=f"^{re.escape(message)}$"):
        requests_of(["Q"] * 2, ["A"] * 2, columns=columns)


def test_a_named_path_begins_in_a_column_of_the_batch():
    with pytest.raises(RowError, match="column 'extra': got a list of 1; expected a list of 2 values"):
        requests_of(["Q"] * 2, ["A"] * 2, columns={"extra": [{"gold": ["R"]}]}, reference_column="extra.gold[0]")


def test_one_text_is_no_batch():
    with pytest.raises(RowError, match="got one text as completions; expected a list"):
        requests_of(["Q", "A"], b"AB")
    with pytest.raises(RowError, match="got one text as prompts; expected a list"):
        requests_of("QA", ["A", "B"])
    with pytest.raises(RowError, match="got one text as completions; expected a list"):
        requests_of(["Q", "A"], "AB")


@pytest.mark.parametrize("named", [{"rubric_column": 5}, {"reference_column": "messages[x]"}])
def test_a_column_that_is_no_name_and_no_path_is_refused(named):
    with pytest.raises(ConfigError, match="expected a name or a path"):
        RowReader(**named)


def test_a_completion_that_cannot_be_read_names_its_row():
    with pytest.raises(RowError, match=r"^row 1: "):
        requests_of(["Q"] * 2, ["A", [{"role": "nobody", "content": "A"}]])


def test_a_named_column_that_is_missing_is_refused():
    with pytest.raises(RowError, match=r"^row 0: no column 'gold' for reference_answer; got hint$"):
        requests_of(["Q"], ["A"], columns={"hint": ["x"]}, reference_column="gold")


def test_prompts_and_completions_must_be_as_many():
    with pytest.raises(RowError, match=r"^got 2 prompts and 1 completion; expected as many of each$"):
        requests_of(["Q"] * 2, ["A"])


def test_default_rubrics_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="several default rubrics named 'helpfulness'"):
        RowReader(rubrics=(Rubric.parse("helpfulness"), replace(Rubric.parse("honesty"), name="helpfulness")))
