import json

import pytest

from prom_reward import GradingRequest, Outcome, PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.data.grading import batch_rows, grade_batch, graded_rows
from prom_reward.data.rows import Row
from prom_reward.errors import ConfigError, InputError
from prom_reward.evaluation.groups.logged_judge import LoggedJudge, is_logged

OWN = {"name": "brief", "criteria": "Is it brief?", **{f"score{n}_description": f"level {n}" for n in range(1, 6)}}


def asked(response, **changes):
    return GradingRequest(**{"instruction": "Hi", "response": response, "rubric": OWN, **changes})


@pytest.fixture
def log(tmp_path):
    """The judgment log of a reward: two responses, of which one has no score and one was judged twice."""
    path = tmp_path / "log.jsonl"
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 2", "no verdict", "[RESULT] 4"]))
    reward = PrometheusReward(judge, OWN, log_path=path)
    reward(prompts=["Hi"] * 3, completions=["one", "two", "one"])
    return path


def test_a_judgment_log_answers_for_the_same_texts_and_rubric(log):
    judge = LoggedJudge(log)
    one, two, other = judge.grade([asked("one"), asked("two"), asked("one", rubric="helpfulness")])
    assert (one.score, two.outcome, other.outcome) == (4, Outcome.NO_RESULT, Outcome.ENGINE_FAILED)
    assert "has no judgment" in other.error
    assert (judge.name, judge.ranks, judge.fingerprint) == ("log", False, "logged:log.jsonl")
    judge.check_has([asked("one"), asked("two")])
    namesake = {**OWN, "criteria": "Is it long?"}  # the same name, another rubric
    assert judge.grade([asked("one", rubric=namesake)])[0].outcome is Outcome.ENGINE_FAILED
    with pytest.raises(InputError, match="judgments of 1 of 2 answers"):
        judge.check_has([asked("one"), asked("one", reference_answer="Hello")])
    with pytest.raises(ConfigError, match="does not compare"):
        judge.compare([])


def test_logs_and_graded_rows_say_what_a_judgment_cost(log, tmp_path):
    [batch] = batch_rows([Row("line", {"prompt": "Hi", "response": "one", "rubric": OWN})], ())
    [row] = graded_rows(batch, grade_batch(PrometheusJudge(ScriptedEngine(["Fine. [RESULT] 4"])), batch))
    graded = tmp_path / "graded.jsonl"
    graded.write_text(json.dumps(row) + "\n")
    for path, num_written in ((log, 2), (graded, 3)):
        [judgment] = LoggedJudge(path).grade([asked("one")])
        assert judgment.num_prompt_tokens == judgment.num_computed_tokens > 100
        assert judgment.num_generated_tokens == num_written


def test_graded_rows_may_have_columns_of_other_names(tmp_path):
    path = tmp_path / "graded.jsonl"
    row = {"asked": "Hi", "response": "one", "my_rubric": OWN, "rubric_name": "brief", "outcome": "scored", "score": 2}
    path.write_text(json.dumps(row) + "\n")
    judge = LoggedJudge(path, {"prompt": "asked", "rubric": "my_rubric"})
    assert judge.grade([asked("one")])[0].score == 2


def test_judgments_under_rubrics_of_one_name_are_told_apart(tmp_path):
    path = tmp_path / "graded.jsonl"
    judge = PrometheusJudge(ScriptedEngine(lambda prompt: f"[RESULT] {2 if 'brief' in prompt.user else 4}"))
    rows = [
        {"prompt": "Hi", "response": "one", "rubric": {**OWN, "criteria": f"Is it {how}?"}} for how in ("brief", "long")
    ]
    [batch] = batch_rows([Row("line", row) for row in rows], ())
    path.write_text("".join(json.dumps(row) + "\n" for row in graded_rows(batch, grade_batch(judge, batch))))
    found = LoggedJudge(path).grade([asked("one", rubric=row["rubric"]) for row in rows])
    assert [one.score for one in found] == [2, 4]
    edited = {**OWN, "criteria": "Is it kind?"}
    assert not LoggedJudge(path).grade([asked("one", rubric=edited)])[0].is_scored


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2"),
        (json.dumps({"instruction": "Hi", "response": "x"}), "expected 'outcome'"),
        (json.dumps({"outcome": "scored"}), "line 2"),
    ],
)
def test_a_line_that_is_no_judgment_is_named(log, line, said):
    log.write_text(log.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(InputError, match=said):
        LoggedJudge(log)


@pytest.mark.parametrize(
    ("scores", "judges", "said"),
    [
        ((2, 4), ("", ""), "line 2, up to 2.00 apart; the last one counts"),
        (
            (2, 4, 4, 2),
            ("a", "a", "", ""),
            "2 judgments of an answer that differs from an earlier one of it, the first",
        ),
        ((2, None), ("", ""), "line 2, one of them without a score; the last one counts"),
        ((2, 2), ("a", "b"), ""),
        ((None, None), ("", ""), ""),
        ((2, 2.01), ("", ""), ""),  # rounding in batches of another size
        ((2, 4), ("a", "b"), None),
    ],
)
def test_two_judgments_of_an_answer_are_told_if_they_differ_and_refused_of_two_judges(
    tmp_path, caplog, scores, judges, said
):
    path = tmp_path / "log.jsonl"
    shared = {"instruction": "Hi", "response": "one", "rubric": "brief"}
    told = [{"outcome": "no_result"} if one is None else {"outcome": "scored", "expected_score": one} for one in scores]
    rows = [{**shared, **one, "judge": judge} for one, judge in zip(told, judges * 2, strict=False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if said is None:
        with pytest.raises(InputError, match="got the judges a and b, expected one in each file"):
            LoggedJudge(path)
        return
    LoggedJudge(path)
    assert (said in caplog.text, len(caplog.messages)) == (True, bool(said))


def test_names_of_files_are_known():
    assert [is_logged(one) for one in ("a.jsonl", "A.JSONL", "a.yaml", None)] == [True, True, False, False]
