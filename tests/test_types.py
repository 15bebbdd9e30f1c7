import dataclasses
import json
import pickle  # noqa: TID251  # values travel between processes
from math import nan
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError, RowError, RubricError
from prom_reward.judging.base import Judge
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.checklists.checklist import Part
from prom_reward.types import (
    Comparison,
    ComparisonRequest,
    GradingRequest,
    JudgePrompt,
    Judgment,
    Outcome,
    Rubric,
    ScoreScale,
    TextSpan,
)

RUBRIC = Rubric.parse("honesty")
VALUES = [
    ScoreScale(),
    RUBRIC,
    GradingRequest(instruction="i", response="r", rubric=RUBRIC),
    ComparisonRequest(instruction="i", response_a="a", response_b="b", rubric=RUBRIC),
    JudgePrompt("s", "u"),
    TextSpan("t", True),
    SamplingParams(),
    Generation(text="t", finish_reason="stop"),
    Judgment(outcome=Outcome.SCORED, score=4),
    Comparison(outcome=Outcome.SCORED, winner="A"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen_slotted_and_survive_a_pickle(value):
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_with_four_fields_or_more_take_keywords_only(value):
    fields = dataclasses.fields(value)
    if len(fields) > 3:
        assert sum(not field.kw_only for field in fields) <= 3


def test_a_comparison_of_both_sides_is_the_same():
    request = ComparisonRequest(instruction="i", response_a="a", response_b="b", rubric=RUBRIC, reference_answer="r")
    assert ComparisonRequest.of(*request.sides()) == request


def test_swapping_twice_gives_the_same_comparison():
    request = ComparisonRequest(instruction="i", response_a="a", response_b="b", rubric=RUBRIC, reference_answer="r")
    swapped = request.swapped()
    assert (swapped.response_a, swapped.response_b) == ("b", "a")
    assert (swapped.instruction, swapped.rubric, swapped.reference_answer) == ("i", RUBRIC, "r")
    assert swapped.swapped() == request


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("[RESULT] ", True), ("Feedback. [RESULT]", True), ("", False), ("[RESULT] is what I write last: ", False)],
)
def test_a_prefix_that_ends_in_the_marker_reads_the_score_at_once(prefix, expected):
    assert JudgePrompt("", "task", prefix).reads_score_at_once is expected


def test_a_prompt_asks_for_one_to_five_unless_told_otherwise():
    assert JudgePrompt("", "task").labels == ("1", "2", "3", "4", "5")


def test_sampling_defaults_are_the_model_cards():
    sampling = SamplingParams()
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p) == (256, 1.0, 0.9)
    assert (sampling.repetition_penalty, sampling.seed) == (1.03, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_new_tokens": 0}, "sampling: got max_new_tokens=0; expected at least 1"),
        ({"temperature": -0.1}, "sampling: got temperature=-0.1; expected 0 (greedy) or more"),
        ({"temperature": float("nan")}, "sampling: got temperature=nan; expected 0 (greedy) or more"),
        ({"top_p": 0}, "sampling: got top_p=0; expected over 0 and at most 1"),
        ({"top_p": 1.01}, "sampling: got top_p=1.01; expected over 0 and at most 1"),
        ({"repetition_penalty": 0}, "sampling: got repetition_penalty=0; expected over 0 (1 is off)"),
    ],
)
def test_sampling_that_cannot_work_is_refused(values, message):
    with pytest.raises(ConfigError) as caught:
        SamplingParams(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize("values", [{"temperature": 0}, {"top_p": 1}, {"max_new_tokens": 1}])
def test_sampling_limits_themselves_are_allowed(values):
    assert SamplingParams(**values)


def test_only_scored_and_forced_hold_a_verdict():
    assert {outcome for outcome in Outcome if outcome.is_scored} == {Outcome.SCORED, Outcome.FORCED}


@pytest.mark.parametrize("outcome", Outcome)
def test_judgment_and_comparison_are_scored_as_their_outcome_is(outcome):
    assert Judgment(outcome=outcome, score=3).is_scored is outcome.is_scored
    assert Comparison(outcome=outcome, winner="A").is_scored is outcome.is_scored


def test_the_mean_score_is_the_mean_of_the_samples_or_else_the_integer():
    assert Judgment(outcome=Outcome.SCORED, score=4, sampled_scores=(3, 4, 4)).mean_score == pytest.approx(11 / 3)
    assert Judgment(outcome=Outcome.SCORED, score=4).mean_score == 4
    assert Judgment(outcome=Outcome.SCORED, expected_score=4.0).mean_score is None


def test_every_scored_answer_has_a_number_whatever_its_judge_gives():
    assert Judgment(outcome=Outcome.SCORED, score=4).expected_score == 4.0
    assert Judgment(outcome=Outcome.NO_RESULT, score=4).expected_score is None
    probs = {one: Comparison(outcome=Outcome.SCORED, winner=one).prob_a for one in ("A", "B", "tie")}
    assert probs == {"A": 1.0, "B": 0.0, "tie": 0.5}
    winners = [Comparison(outcome=Outcome.FORCED, prob_a=one).winner for one in (0.6, 0.4, 0.5)]
    assert winners == ["A", "B", "tie"]
    for kind in (Judgment, Comparison):
        with pytest.raises(ValueError, match="got a scored"):
            kind(outcome=Outcome.SCORED)


@pytest.mark.parametrize(
    "values", [{"prob_a": nan}, {"prob_a": 1.7}, {"prob_a": -0.1}, {"winner": "a", "prob_a": 0.9}, {"winner": "C"}]
)
def test_a_verdict_of_another_kind_is_refused(values):
    with pytest.raises(ValueError, match=r"expected (?:one of A, B, tie|a probability)"):
        Comparison(outcome=Outcome.SCORED, **values)


def test_a_row_names_its_judges_only_if_there_are_several():
    alone = Judgment(outcome=Outcome.SCORED, score=3)
    both = Judgment(outcome=Outcome.SCORED, score=3, given_by="b", judge_scores={"a": 2.0, "b": 3.5, "c": None})
    assert "judge_scores" not in alone.to_columns()
    assert both.to_columns()["judge_scores"] == {"a": 2.0, "b": 3.5, "c": None}
    assert (alone.disagreement, both.disagreement) == (None, 1.5)


def test_a_judgment_without_a_verdict_invents_no_number():
    judgment = Judgment(outcome=Outcome.TOO_LONG)
    numbers = (judgment.score, judgment.score_probs, judgment.expected_score, judgment.entropy)
    assert numbers == (None, None, None, None)


def test_the_protocols_recognize_what_fulfils_them():
    engine = ScriptedEngine([])
    assert isinstance(engine, Engine)
    assert isinstance(PrometheusJudge(engine), Judge)
    assert not isinstance(SimpleNamespace(generate=None), Engine)


_probs = st.floats(0, 1)
_texts = st.text(max_size=20)
_fields = {
    "outcome": st.sampled_from(Outcome),
    "score": st.none() | st.integers(0, 100),
    "score_probs": st.none() | st.dictionaries(st.integers(0, 100), _probs, max_size=5),
    "expected_score": st.none() | st.floats(0, 100),
    "entropy": st.none() | st.floats(0, 5),
    "is_partial": st.booleans(),
    "sampled_scores": st.lists(st.integers(0, 100), max_size=3).map(tuple),
    "winner": st.sampled_from([None, "A", "B", "tie"]),
    "prob_a": st.none() | _probs,
    "error": st.none() | _texts,
    "given_by": _texts,
    "judge_scores": st.none() | st.dictionaries(_texts, st.none() | _probs, max_size=3),
    "feedback": _texts,
    "parts": st.lists(st.builds(Part, name=_texts, weight=_probs, value=st.none() | _probs), max_size=2).map(tuple),
    **dict.fromkeys(("flags", "flags_a", "flags_b"), st.lists(_texts, max_size=2).map(tuple)),
    **dict.fromkeys(
        ("num_prompt_tokens", "num_computed_tokens", "num_generated_tokens"), st.none() | st.integers(0, 10**9)
    ),
}


@given(st.sampled_from([Judgment, Comparison]), st.fixed_dictionaries(_fields))
def test_an_answer_is_read_as_it_was_written(kind, values):
    values = {one.name: values[one.name] for one in dataclasses.fields(kind)}
    if values["outcome"].is_scored:
        values |= {"score": 3} if kind is Judgment else {"winner": "B"}
    answer = kind(**values)
    written = json.loads(json.dumps(answer.to_dict()))
    assert kind.from_dict({**written, "reward": 0.5}) == answer


def test_counts_that_a_table_wrote_with_a_point_are_whole_numbers():
    assert Judgment.from_dict({"outcome": "too_long", "num_prompt_tokens": 12.0}).num_prompt_tokens == 12


@pytest.mark.parametrize(
    "values",
    [
        *({}, {"outcome": "fine"}, {"outcome": "scored"}, {"outcome": "too_long", "score_probs": [1]}),
        *({"outcome": "too_long", "num_prompt_tokens": count} for count in (12.5, -1, True, float("nan"))),
        {"outcome": "scored", "score": float("nan")},
    ],
)
def test_what_is_no_answer_is_refused(values):
    with pytest.raises(RowError, match="judgment"):
        Judgment.from_dict(values)


def test_a_request_takes_a_rubric_in_any_form():
    for kind, responses in ((GradingRequest, ("response",)), (ComparisonRequest, ("response_a", "response_b"))):
        request = kind(instruction="i", rubric="honesty", **dict.fromkeys(responses, "r"))
        assert request.rubric == RUBRIC
        with pytest.raises(RubricError, match="2 rubrics"):
            kind(instruction="i", rubric=["honesty", "helpfulness"], **dict.fromkeys(responses, "r"))
        with pytest.raises(RowError, match="got 7 as the response"):
            kind(instruction="i", rubric="honesty", **dict.fromkeys(responses, 7))


def test_every_outcome_has_a_severity_and_unscored_is_worse():
    severities = {outcome: outcome.severity for outcome in Outcome}
    assert len(set(severities.values())) == len(Outcome)
    assert max(severities[one] for one in Outcome if one.is_scored) < min(
        severities[one] for one in Outcome if not one.is_scored
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            Judgment(
                outcome=Outcome.SCORED,
                feedback="Well put, and " + "so on " * 20,
                score=4,
                score_probs={3: 1 / 3, 4: 2 / 3},
                expected_score=11 / 3,
                entropy=0.6365141682948128,
                num_prompt_tokens=500,
                flags=("empty",),
            ),
            "Judgment(scored, feedback='Well put, and so on so on so on so on so on so on so on ...', score=4, "
            "expected_score=3.67, entropy=0.637, flags=('empty',))",
        ),
        (Judgment(outcome=Outcome.TOO_LONG, error="9 of 8"), "Judgment(too_long, error='9 of 8')"),
        (
            Comparison(outcome=Outcome.FORCED, winner="A", feedback="a\nb", prob_a=2 / 3),
            "Comparison(forced, winner='A', feedback='a\\nb', prob_a=0.667)",
        ),
    ],
)
def test_an_answer_shows_itself_in_one_rounded_line(value, shown):
    assert repr(value) == shown
