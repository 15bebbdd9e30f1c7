import inspect
import os
import pickle  # noqa: TID251 - a round trip in memory
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial
from types import SimpleNamespace

import pytest
from datasets import Dataset
from hypothesis import given, strategies as st

from prom_reward.config import load_judge
from prom_reward.engines.base import Generation, SamplingParams
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.errors import ConfigError, InputError, RubricError, UnscoredError, WorkError
from prom_reward.judging.base import Judge
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rewards.normalizers import FixedStandardization
from prom_reward.rewards.observers.audit_judge import AuditJudge
from prom_reward.rewards.observers.canaries import Canaries
from prom_reward.rewards.reward_function import PrometheusReward
from prom_reward.rewards.reward_rule import _warn_of_no_integer
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import Judgment, Outcome

CERTAIN = {"confidence": 1.0}
near = partial(pytest.approx, abs=1e-9)
TWO = [{"rubric": "helpfulness", "weight": 0.75}, {"rubric": "honesty", "weight": 0.25}]
TOO_LONG = Generation(text="", finish_reason="too_long", error="9 tokens, 8 fit")


def judge_of(*answers, confidence=1.0, **settings):
    return PrometheusJudge(ScriptedEngine(answers, confidence=confidence), **settings)


def scores(*numbers, **settings):
    """A judge that is certain of these scores, one after another."""
    return judge_of(*(f"Text {number}. [RESULT] {number}" for number in numbers), **settings)


def graded(reward, size, **columns):
    return reward(prompts=["Q"] * size, completions=["A"] * size, **columns)


def by_length(prompt):
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return f"[RESULT] {len(response) % 5 + 1}"


def squared(scores_, scale):
    return [None if score is None else scale.to_unit(score) ** 2 for score in scores_]


def test_scores_become_rewards_in_order():
    assert graded(PrometheusReward(scores(1, 5, 3), "helpfulness"), 3) == near([0, 1, 0.5])


def test_the_default_is_the_expected_score():
    reward = PrometheusReward(judge_of("[RESULT] 4", confidence=0.6), "helpfulness")
    assert graded(reward, 1) == near([(0.6 * 4 + 0.1 * 11 - 1) / 4])


def test_it_is_called_as_trl_calls_it_with_conversations_and_columns():
    engine = ScriptedEngine(["[RESULT] 5", "[RESULT] 1"], **CERTAIN)
    reward = PrometheusReward(PrometheusJudge(engine), "helpfulness")
    rewards = reward(
        prompts=[[{"role": "user", "content": "Capital?"}]] * 2,
        completions=[[{"role": "assistant", "content": text}] for text in ("Paris.", "Lyon.")],
        completion_ids=[[1], [2]],
        trainer_state=SimpleNamespace(global_step=1),
        reference_answer=["Paris is.", None],
        rubric=[None, "honesty"],
        environments=None,
    )
    assert rewards == near([1, 0])
    first, second = (prompt.user for prompt in engine.prompts)
    assert "###Reference Answer (Score 5):\nParis is.\n" in first
    assert "Reference Answer" not in second
    assert Rubric.parse("helpfulness").text in first
    assert Rubric.parse("honesty").text in second


def test_an_empty_batch_gives_no_rewards():
    assert graded(PrometheusReward(scores(1), "helpfulness"), 0) == []


def test_without_any_rubric_the_row_is_named():
    with pytest.raises(RubricError, match=r"^row 0: no rubric .*pass rubric="):
        graded(PrometheusReward(scores(1)), 1)


def test_several_rubrics_add_up_with_their_weights():
    reward = PrometheusReward(scores(5, 1, 3, 5), TWO)
    assert graded(reward, 2) == near([0.75, 0.75 * 0.5 + 0.25])
    heavy = [{"rubric": "helpfulness", "weight": 3}, {"rubric": "honesty", "weight": 2}]
    assert graded(PrometheusReward(scores(5, 5), heavy), 1) == near([5])


def test_rubrics_of_other_scales_add_up_as_units():
    short = {"criteria": "Short?", "scale": [0, 2], **{f"score{label}_description": "x" for label in range(3)}}
    reward = PrometheusReward(scores(1, 5), [short, "honesty"])
    assert graded(reward, 1) == near([1.5])


def test_one_unscored_rubric_leaves_the_row_unscored_and_no_other_row():
    reward = PrometheusReward(judge_of("[RESULT] 5", "no verdict", "[RESULT] 5", "[RESULT] 1"), TWO)
    assert graded(reward, 2) == [None, near(0.75)]


def test_renormalize_scales_the_scored_rubrics_up_to_the_full_weight():
    answers = ["[RESULT] 4", "no verdict", "[RESULT] 7", TOO_LONG]
    reward = PrometheusReward(judge_of(*answers), TWO, on_unscored_rubric="renormalize")
    assert graded(reward, 2) == [near(0.75), None]


def test_integer_scores_are_the_mean_of_three_samples():
    reward = PrometheusReward(scores(5, 4, 4, num_samples=3), "helpfulness", score="integer", normalizer="identity")
    assert graded(reward, 1) == near([13 / 3])
    unsure = judge_of("[RESULT] 4", confidence=0.6)
    assert graded(PrometheusReward(unsure, "helpfulness", score="integer"), 1) == near([0.75])


@pytest.mark.parametrize(
    ("normalizer", "rewards"),
    [
        ("unit", [0, 0.75]),
        ("centered", [-1, 0.5]),
        ("identity", [1, 4]),
        (FixedStandardization(3, 2), [-1, 0.5]),
        (squared, [0, 0.5625]),
    ],
)
def test_every_normalizer_makes_the_rewards(normalizer, rewards):
    assert graded(PrometheusReward(scores(1, 4), "helpfulness", normalizer=normalizer), 2) == near(rewards)


@given(st.lists(st.text(alphabet="ab", max_size=9), max_size=6), st.sampled_from(["unit", "centered", squared]))
def test_a_reward_does_not_depend_on_its_batch(completions, normalizer):
    reward = PrometheusReward(PrometheusJudge(ScriptedEngine(by_length)), TWO, normalizer=normalizer)
    together = reward(prompts=["Q"] * len(completions), completions=completions)
    alone = [reward(prompts=["Q"], completions=[completion])[0] for completion in completions]
    reversed_batch = reward(prompts=["Q"] * len(completions), completions=completions[::-1])
    assert together == alone == reversed_batch[::-1]


@pytest.mark.parametrize(
    ("on_unscored", "rewards"), [("none", [1, None]), (None, [1, None]), (0, [1, 0]), (-2.5, [1, -2.5])]
)
def test_what_is_unscored_becomes_what_was_asked_for(on_unscored, rewards):
    reward = PrometheusReward(judge_of("[RESULT] 5", "no verdict"), "helpfulness", on_unscored=on_unscored)
    assert graded(reward, 2) == near(rewards)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("no verdict", "a response could not be scored: no_result"),
        (TOO_LONG, "a response could not be scored: too_long (9 tokens, 8 fit)"),
    ],
)
def test_raise_ends_the_training_and_says_why(answer, message):
    reward = PrometheusReward(judge_of("[RESULT] 5", answer), TWO, on_unscored="raise")
    with pytest.raises(UnscoredError, match=f"^{re.escape(message)}$"):
        graded(reward, 1)


def test_a_normalizer_may_leave_a_score_without_reward():
    nothing = lambda score, scale: None if score > 3 else score  # noqa: E731
    assert graded(PrometheusReward(scores(4), "helpfulness", normalizer=nothing), 1) == [None]
    reward = PrometheusReward(scores(4), "helpfulness", normalizer=nothing, on_unscored="raise")
    with pytest.raises(UnscoredError, match=r"^a response was graded, but its normalizer gave None"):
        graded(reward, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_unscored": "zero"}, "got on_unscored='zero'; expected 'none', 'raise' or a finite number"),
        ({"on_unscored": float("nan")}, "got on_unscored=nan; expected 'none', 'raise' or a finite number"),
        ({"on_unscored": float("inf")}, "got on_unscored=inf; expected 'none', 'raise' or a finite number"),
        ({"on_unscored": True}, "got on_unscored=True; expected 'none', 'raise' or a finite number"),
        ({"score": "mean"}, "got score='mean'; expected 'expected' or 'integer'"),
        ({"on_unscored_rubric": "skip"}, "got on_unscored_rubric='skip'; expected 'unscored' or 'renormalize'"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        PrometheusReward(scores(1), "helpfulness", **settings)


def test_a_judges_name_in_place_of_a_judge_is_refused():
    message = "got 'smollm2-135m' as the judge; expected one of load_judge, or a subclass of prom_reward.Judge"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        PrometheusReward("smollm2-135m", "helpfulness")


def test_a_subclass_of_judge_that_grades_is_a_judge():
    class Fixed(Judge):
        fingerprint = "fixed"

        def grade(self, requests):
            return [Judgment(outcome=Outcome.SCORED, score=4, expected_score=4.0) for _ in requests]

    reward = PrometheusReward(Fixed(), "helpfulness")
    assert graded(reward, 2) == near([0.75, 0.75])
    assert reward.__name__.startswith("prometheus_helpfulness_")


def test_a_judge_that_gives_a_score_alone_is_read():
    class Integers(Judge):
        fingerprint = "integers"

        def grade(self, requests):
            return [Judgment(outcome=Outcome.SCORED, score=4) for _ in requests]

    assert graded(PrometheusReward(Integers(), "helpfulness"), 2) == near([0.75, 0.75])


def test_a_judge_without_integers_is_told_once_if_they_are_asked_for(caplog):
    class Means(Judge):
        fingerprint = "means"

        def grade(self, requests):
            return [Judgment(outcome=Outcome.SCORED, expected_score=4.2)] * len(requests)

    _warn_of_no_integer.cache_clear()
    assert graded(PrometheusReward(Means(), "helpfulness", score="integer"), 2) == [None, None]
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "a judgment has an expected score and no integer"
    ]


@pytest.mark.parametrize("num_judgments", [0, 1, 3])
def test_a_judge_that_gives_another_number_of_judgments_is_one_error(num_judgments):
    class Short(Judge):
        name = "short"
        fingerprint = "short"

        def grade(self, requests):
            return [Judgment(outcome=Outcome.SCORED, score=4)] * num_judgments

    with pytest.raises(WorkError, match=f"'short' gave {num_judgments} judgments for 2 requests"):
        graded(PrometheusReward(Short(), "helpfulness"), 2)


def test_columns_that_the_judge_does_not_see_are_named_once(caplog):
    reward = PrometheusReward(scores(1), "helpfulness")
    for _ in range(2):
        graded(reward, 1, answer=["42"])
    assert len(caplog.messages) == 1
    assert "the judge does not see the columns answer" in caplog.text


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([None, "seventy two"], "answer"),
        (["", None, "seventy two"], "answer"),
        ([{"at": 1, "ground_truth": None}, {"at": 2, "ground_truth": "72"}], "extra_info.ground_truth"),
    ],
)
def test_a_column_is_looked_at_in_the_first_row_that_holds_it(values, path, caplog):
    reward, name, size = PrometheusReward(scores(1), "helpfulness"), path.partition(".")[0], len(values)
    graded(reward, size, **{name: [None] * size})
    graded(reward, size, **{name: [values[0]] * size})
    assert not caplog.messages
    for _ in range(2):
        graded(reward, size, **{name: values}, question=["Which one of them?"] * size)
    assert [message.partition(";")[0] for message in caplog.messages] == [
        f"the judge does not see the columns question, {path}"
    ]


@pytest.mark.parametrize("rubric", [Rubric.parse("honesty"), [Rubric.parse("honesty")], "honesty"])
def test_the_default_rubric_may_have_any_form(rubric):
    assert [one.name for one in PrometheusReward(scores(1), rubric).rubrics] == ["honesty"]


def test_rubrics_of_a_real_data_set_reach_the_judge():
    polite = {"criteria": "Is it polite?", **{f"score{label}_description": f"L{label}" for label in range(1, 6)}}
    dataset = Dataset.from_list([{"prompt": "Q", "rubric": polite}, {"prompt": "Q", "rubric": None}])
    engine = ScriptedEngine(["[RESULT] 3"], **CERTAIN)
    reward = PrometheusReward(PrometheusJudge(engine), "honesty")
    assert graded(reward, 2, rubric=list(dataset["rubric"])) == near([0.5, 0.5])
    assert "[Is it polite?]\nScore 1: L1\n" in engine.prompts[0].user


def test_a_log_that_cannot_be_written_fails_at_construction(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write the judgment log \(File exists\)"):
        PrometheusReward(scores(1), "helpfulness", log_path=tmp_path / "file" / "log.jsonl")


@pytest.mark.parametrize("judge", [scores(2, 5, 3), scores(2, 5, mode="score"), scores(1, 2, num_samples=2)])
def test_a_pickled_reward_gives_the_same_rewards(judge, tmp_path):
    reward = PrometheusReward(judge, TWO, normalizer=squared, log_path=tmp_path / "log.jsonl")
    copy = pickle.loads(pickle.dumps(reward))
    assert graded(copy, 3) == graded(reward, 3)
    assert copy.__name__ == reward.__name__
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 12


OTHER_REWARDS = {
    "rubric": ["honesty", TWO, list(reversed(TWO)), None, {"rubric": "helpfulness", "weight": 2}],
    "normalizer": [
        "centered",
        squared,
        partial(squared),
        FixedStandardization(3, 1),
        FixedStandardization(3, 2),
        lambda score, scale: score / 7,
        lambda score, scale: scale.to_unit(score) / 7,
    ],
    "score": ["integer"],
    "on_unscored": ["raise", 0.0, 1.0],
    "on_unscored_rubric": ["renormalize"],
    "rubric_column": ["task"],
    "reference_column": ["gold"],
    "include_reasoning": [True],
    "opens_thoughts": [True],
}
OTHER_JUDGES = {
    "engine": [ScriptedEngine(squared)],
    "prompt_style": ["prometheus-v1"],
    "layout": ["response_last"],
    "mode": ["score"],
    "criterion_text": ["compact"],
    "criteria_notes": [("Be strict.",), ("",)],
    "level_order": ["best_first", "both"],
    "score_temperature": [0.5, 2.0],
    "sampling": [
        SamplingParams(max_new_tokens=9),
        SamplingParams(temperature=0),
        SamplingParams(top_p=1),
        SamplingParams(repetition_penalty=1),
        SamplingParams(seed=1),
    ],
    "num_samples": [3],
    "guard": [False],
    "truncate_response": ["middle"],
    "calibration": [
        Calibration(low_slope=1, high_slope=1, shift=0),
        Calibration(low_slope=2, high_slope=1, shift=0),
        Calibration(low_slope=1, high_slope=2, shift=0),
        Calibration(low_slope=1, high_slope=1, shift=1),
        Calibration(low_slope=1, high_slope=1, shift=1, fitted_on=FittedOn(ScoreScale(1, 10))),
    ],
    "flags": [FlagPolicy(on_flag="lowest"), FlagPolicy(on_flag="unscored"), FlagPolicy("lowest", ("empty",))],
    "name": ["other"],
}
NO_REWARD_CHANGES = {"observers", "log_path", "cache", "judge"}


def settings_of(kind, *known):
    """The parameters of a class that may change a reward."""
    return set(inspect.signature(kind).parameters) - NO_REWARD_CHANGES - set(known)


def name_of(rubric="helpfulness", *, judge=None, **settings):
    return PrometheusReward(judge or scores(1), rubric, **settings).__name__


def test_the_name_differs_if_any_setting_differs():
    """Every parameter of the reward, of the judge and of the values that a judge is made of."""
    assert set(OTHER_REWARDS) == settings_of(PrometheusReward, "name")
    assert set(OTHER_JUDGES) == settings_of(PrometheusJudge, "head")  # it needs weights: tests/judging/test_head.py
    for values in ("sampling", "calibration", "flags"):
        kind = type(OTHER_JUDGES[values][0])
        told = {field.name for field in fields(kind) if field.compare}
        changed = {
            name
            for one in OTHER_JUDGES[values]
            for other in [*OTHER_JUDGES[values], SamplingParams(), FlagPolicy()]
            if type(other) is kind
            for name in told
            if getattr(one, name) != getattr(other, name)
        }
        assert changed == told
    rewards = [name_of(**{setting: value}) for setting, values in OTHER_REWARDS.items() for value in values]
    judges = [
        name_of(judge=PrometheusJudge(**{"engine": ScriptedEngine(["x"]), setting: value}))
        for setting, values in OTHER_JUDGES.items()
        for value in values
    ]
    names = [name_of(), *rewards, *judges]
    assert len(set(names)) == len(names)


def test_the_name_is_the_same_if_no_reward_changes(tmp_path):
    cached = scores(1, cache=JudgmentCache(tmp_path / "cache.sqlite"))
    audit = AuditJudge(judge=scores(1))
    assert name_of() == name_of(observers=[Canaries(), audit]) == name_of(log_path=tmp_path / "log.jsonl")
    assert name_of() == name_of(judge=cached)


def test_the_name_tells_the_rubrics():
    assert re.fullmatch("prometheus_helpfulness_honesty_[0-9a-f]{8}", name_of(TWO))
    assert name_of(None).startswith("prometheus_rubric_column_")


def test_the_name_can_be_given():
    assert name_of(name="quality") == "quality"


@pytest.mark.parametrize("name", [5, ""])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(ConfigError, match="expected a text"):
        PrometheusReward(PrometheusJudge(ScriptedEngine([])), name=name)


def test_the_name_is_the_same_in_every_process():
    program = (
        "from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine\n"
        "def squared(scores, scale): return scores\n"
        "print(PrometheusReward(PrometheusJudge(ScriptedEngine(['x'])), 'honesty', normalizer=squared).__name__)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.startswith("prometheus_honesty_")


def wrong_arguments(score):
    return score


def centered(scores, scale):
    return [score - sum(scores) / len(scores) for score in scores]


def scaled(scores, scale):
    return [score / (max(scores) if len(scores) > 1 else 1) for score in scores]


class Running:
    """Divides by the mean of all scores so far."""

    def __init__(self):
        self.seen = []

    def __call__(self, score, scale):
        self.seen.append(score + 0.0)
        return score / (sum(self.seen) / len(self.seen))


@pytest.mark.parametrize(
    ("normalizer", "reason"),
    [
        (wrong_arguments, "takes 1 positional argument"),
        (lambda scores, scale: [], "0 rewards for 1 score"),
        (lambda score, scale: float("nan"), "got nan as a reward"),
        (lambda scores, scale: [float("inf") for _ in scores], "got inf as a reward"),
        (lambda score, scale: "high", "got 'high' as a reward"),
        (lambda score, scale: "0.5", "got '0.5' as a reward"),
        (lambda scores, scale: [1.0, 2.0], "2 rewards for 1 score"),
        (lambda scores, scale: [scores[0] / 5], "1 reward for 5 scores"),
        (lambda score, scale: None, "all scores from 1 to 5 get None"),
        (lambda scores, scale: [None for _ in scores], "all scores from 1 to 5 get None"),
        (lambda score, scale: 0.5, "all scores from 1 to 5 get 0.5"),
        (centered, "the scores 1 to 5 get 0, 0, 0, 0, 0 alone and -2, -1, 0, 1, 2 together"),
        (scaled, "get 1, 2, 3, 4, 5 alone and 0.2, 0.4, 0.6, 0.8, 1 together"),
        (Running(), "get 1, 1.333, 1.5, 1.6, 1.667 alone and "),
    ],
)
def test_a_normalizer_that_gives_no_reward_is_refused_at_once(normalizer, reason):
    with pytest.raises(ConfigError, match=f"^the normalizer fails.*{reason}.*; expected .score, scale. -> reward or"):
        PrometheusReward(scores(4), "helpfulness", normalizer=normalizer)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "gave 0 rewards for 1 score; expected as many of each"),
        ([float("nan")], "got nan as a reward; expected a finite number or None"),
        ([float("inf")], "got inf as a reward; expected a finite number or None"),
        (["0.5"], "got '0.5' as a reward; expected a finite number or None"),
    ],
)
def test_a_normalizer_that_gives_no_reward_later_is_named(given, message):
    judge = judge_of("[RESULT] 4", "[RESULT] 3", num_samples=2)
    whole = lambda scores, scale: [score / 5 for score in scores] if scores[0] % 1 == 0 else given  # noqa: E731
    reward = PrometheusReward(judge, "helpfulness", normalizer=whole, score="integer")
    with pytest.raises(ConfigError, match=f"^the normalizer .*{re.escape(message)}$"):
        reward(prompts=["Hi"], completions=["Ho"])


def test_a_normalizer_is_tried_on_the_scale_of_every_rubric():
    levels = {f"score{label}_description": "x" for label in range(1, 4)}
    short = {"name": "short", "criteria": "Is it short?", "scale": [1, 3], **levels}
    with pytest.raises(ConfigError, match=r"^the normalizer fails.*got 'x' as a reward"):
        PrometheusReward(
            scores(4), ["helpfulness", short], normalizer=lambda score, scale: {5: score, 3: "x"}[scale.high]
        )


def test_a_normalizer_that_fails_later_is_named():
    whole = lambda score, scale: 1 / (score - 3.5)  # noqa: E731
    reward = PrometheusReward(
        judge_of("[RESULT] 4", "[RESULT] 3", num_samples=2), "helpfulness", normalizer=whole, score="integer"
    )
    with pytest.raises(ConfigError, match=r"^the normalizer failed for the score 3\.5: ZeroDivisionError: float divis"):
        reward(prompts=["Hi"], completions=["Ho"])


@pytest.mark.parametrize(
    "normalizer",
    [
        lambda score, scale: (score - scale.low) / 4,
        lambda scores, scale: [None if score is None else scale.to_unit(score) for score in scores],
    ],
)
def test_a_normalizer_takes_one_score_or_a_list(normalizer):
    assert graded(PrometheusReward(scores(1, 4), "helpfulness", normalizer=normalizer), 2) == near([0, 0.75])


def test_a_reward_shows_itself_in_one_line():
    shown = repr(PrometheusReward(scores(1, name="tiny"), TWO, name="mine"))
    assert shown == (
        "PrometheusReward('mine', judge=PrometheusJudge('tiny', ScriptedEngine, mode=feedback), "
        "rubric=helpfulness, honesty)"
    )


def test_judges_of_other_weights_have_other_names():
    names = {
        PrometheusReward(load_judge("smollm2-135m", **changes), "helpfulness").__name__
        for changes in ({}, {"adapter": "owner/mine"}, {"model": "owner/weights"}, {"quantization": "int8"})
    }
    assert len(names) == 4
