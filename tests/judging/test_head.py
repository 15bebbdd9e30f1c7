import json
import logging
from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given, strategies as st

from prom_reward import JudgmentCache, PrometheusJudge, ScriptedEngine, load_judge
from prom_reward.engines.base import Generation
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.errors import ConfigError, InputError
from prom_reward.judging.distributions import entropy, expected_score
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.judging.head import ScoreHead, make_readout, shifted
from prom_reward.prompts.conversation import CONVERSATIONS
from prom_reward.rubrics.checklists.forms import parse_checklist
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import GradingRequest
from tests.tiny_models import tiny_judge

SCALE = ScoreScale(1, 5)
HIDDEN_SIZE = 32


def engine_of(loaded):
    return TransformersEngine(loaded, conversation=CONVERSATIONS["tokenizer"], context_length=4096)


@pytest.fixture(scope="module")
def judge():
    return PrometheusJudge(engine_of(tiny_judge()), mode="score")


@pytest.fixture(scope="module")
def requests():
    return [GradingRequest(instruction="Name one.", response=text, rubric="helpfulness") for text in ("Two.", "Six.")]


def head_of(judge, weights, bias=0.0, **changes):
    fitted_on = FittedOn(SCALE, frozenset({rubric_digest(Rubric.parse("helpfulness"))}))
    values = {"fitted_on": fitted_on, "judge": judge.states_settings, **changes}
    return ScoreHead(readout=make_readout(np.asarray(weights), bias), **values)


def test_a_head_of_zeros_changes_nothing(judge, requests):
    found = judge.with_head(head_of(judge, np.zeros(HIDDEN_SIZE))).grade(requests)
    assert found == judge.grade(requests)


def test_a_head_shifts_score_distribution_and_entropy_together(judge, requests):
    [before, _] = judge.grade(requests)
    [low, _] = judge.with_head(head_of(judge, np.zeros(HIDDEN_SIZE), -3.0)).grade(requests)
    [high, _] = judge.with_head(head_of(judge, np.zeros(HIDDEN_SIZE), 40.0)).grade(requests)
    assert low.expected_score < before.expected_score < high.expected_score
    assert (high.score, max(high.score_probs, key=high.score_probs.get)) == (5, 5)
    for one in (low, high):
        assert one.expected_score == expected_score(one.score_probs)
        assert one.entropy == entropy(one.score_probs)


@given(st.lists(st.floats(-30, 0), min_size=5, max_size=5), st.floats(-50, 50), st.floats(-50, 50))
def test_a_larger_readout_never_gives_a_lower_score(logprobs, one, other):
    def mean(readout):
        logits = dict(zip("12345", logprobs, strict=True))
        found = shifted(Generation(text="1", finish_reason="result", score_logprobs=logits, readout=readout), SCALE)
        values = np.array([found.score_logprobs[label] for label in "12345"])
        probs = np.exp(values - values.max())
        return float(probs @ np.arange(1, 6) / probs.sum())

    low, high = sorted((one, other))
    assert 1 <= mean(low) <= mean(high) + 1e-9 <= 5 + 1e-6


def test_a_shift_multiplies_each_probability_by_an_exponential_of_its_place():
    logprobs = {"1": log(0.5), "2": log(0.3), "3": log(0.2)}
    generation = Generation(text="1", finish_reason="result", score_logprobs=logprobs, readout=2.0)
    found = shifted(generation, ScoreScale(1, 3))
    expected = np.array([0.5, 0.3 * np.e, 0.2 * np.e**2])
    assert [np.exp(found.score_logprobs[label]) for label in "123"] == pytest.approx(list(expected))
    assert found.text == "3"


def test_the_head_is_part_of_the_identity_and_of_cached_answers(judge, requests, tmp_path):
    heads = [head_of(judge, np.ones(HIDDEN_SIZE)), head_of(judge, np.ones(HIDDEN_SIZE), 1.0)]
    judges = [judge, *(judge.with_head(head) for head in heads)]
    assert len({one.identity for one in judges}) == len({one.fingerprint for one in judges}) == 3
    cache = JudgmentCache(tmp_path / "cache.sqlite")
    plain = [one.grade(requests) for one in judges]
    for one in judges:
        one.cache = cache
    try:
        assert [[one.grade(requests) for one in judges] for _ in range(2)] == [plain, plain]
        assert cache.take_metrics() == {"cached": 6.0}
    finally:
        judge.cache = None
        cache.close()


def test_a_file_gives_the_head_back(judge, requests, tmp_path):
    head = head_of(judge, np.linspace(-1, 1, HIDDEN_SIZE), 0.25)
    head.save(tmp_path / "head.safetensors")
    again = ScoreHead.load(tmp_path / "head.safetensors")
    assert (again, again.digest) == (head, head.digest)
    (tmp_path / "other").touch()
    assert (tmp_path / "head.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert judge.with_head(again).grade(requests) == judge.with_head(head).grade(requests)


def test_criteria_and_other_scales_stay_the_judges_own(judge, requests, caplog):
    headed = judge.with_head(head_of(judge, np.zeros(HIDDEN_SIZE), 9.0, name="my-head"))
    levels = {label: f"Level {label}." for label in range(3)}
    other = Rubric(name="other", criteria="Is it good?", descriptions=levels, scale=ScoreScale(0, 2))
    checklist = parse_checklist([{"criterion": "Names a number.", "points": 1}])
    untouched = [replace(requests[0], rubric=rubric) for rubric in (other, checklist)]
    with caplog.at_level(logging.WARNING):
        assert headed.grade(untouched) == judge.grade(untouched)
    assert "scores from 0 to 2 stay the judge's own" in caplog.text
    assert headed.grade(requests) != judge.grade(requests)


def test_the_first_new_rubric_is_named_once(judge, requests, caplog):
    headed = judge.with_head(head_of(judge, np.ones(HIDDEN_SIZE), name="a-head"))
    with caplog.at_level(logging.WARNING):
        headed.grade(requests)
        assert not caplog.records
        for rubric in ("honesty", "reasoning", "honesty"):
            headed.grade([replace(requests[0], rubric=rubric)])
    assert [one.getMessage().count("'honesty'") for one in caplog.records] == [1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"layout": "response_last"}, "layout"), ({"prompt_style": "prometheus-v1"}, "prompt_style"),
     ({"criteria_notes": ("Be kind.",)}, "notes")],
)  # fmt: skip
def test_a_head_of_other_prompts_is_refused(judge, changes, named):
    with pytest.raises(ConfigError, match=f"fitted with {named}"):
        PrometheusJudge(judge.engine, mode="score", head=head_of(judge, np.ones(HIDDEN_SIZE)), **changes)


def test_a_head_of_other_weights_is_refused(judge):
    with pytest.raises(ConfigError, match="fitted with weights"):
        PrometheusJudge(engine_of(tiny_judge(head_dim=16)), mode="score", head=head_of(judge, np.ones(HIDDEN_SIZE)))


@pytest.mark.parametrize(("engine", "mode"), [(ScriptedEngine(["[RESULT] 1"]), "score"), (None, "feedback")])
def test_a_head_needs_score_mode_and_weights_in_this_process(judge, engine, mode):
    with pytest.raises(ConfigError, match=f"in {mode} mode; expected score mode"):
        PrometheusJudge(engine or judge.engine, mode=mode, head=head_of(judge, np.ones(HIDDEN_SIZE)))


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 64, None])
def test_a_file_that_is_no_head_is_one_line(tmp_path, content):
    path = tmp_path / "head.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="prom-reward tune") as raised:
        ScoreHead.load(path)
    assert "\n" not in str(raised.value)


def test_other_safetensors_are_no_head(judge, tmp_path):
    from safetensors.numpy import save_file

    for metadata in (None, {"prom_reward_head": json.dumps({"bias": 1})}):
        save_file({"weights": np.ones(3, np.float32)}, tmp_path / "x.safetensors", metadata)
        with pytest.raises(ConfigError, match="not a head"):
            ScoreHead.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("weights", [np.ones((2, 2)), np.array([]), np.array([1.0, np.nan])])
def test_weights_have_to_be_a_finite_vector(weights):
    with pytest.raises(InputError, match="expected finite"):
        make_readout(weights, 0.0)


def test_a_judges_file_names_the_head_beside_it(tiny_judge_folder, tmp_path):
    settings = {"model": str(tiny_judge_folder), "mode": "score", "device": "cpu"}
    judge = load_judge(settings)
    head_of(judge, np.ones(16), 2.0).save(tmp_path / "my-head.safetensors")
    file = tmp_path / "judge.yaml"
    file.write_text(json.dumps({**settings, "head": "my-head.safetensors"}), encoding="utf-8")
    loaded = load_judge(file)
    assert loaded.head.readout.bias == 2.0
    assert loaded.identity != judge.identity
    for changes in ({"mode": "feedback"}, {"engine": "vllm"}):
        with pytest.raises(ConfigError, match="got a head with"):
            load_judge(file, **changes)
    with pytest.raises(ConfigError, match="cannot read the head"):
        load_judge(file, head="nowhere.safetensors")


def test_a_head_does_not_go_along_to_other_hidden_states(judge):
    headed = judge.with_head(head_of(judge, np.ones(HIDDEN_SIZE)))
    assert headed.with_reading(score_temperature=2.0).head is headed.head
    for changes, named in (({"layout": "response_last"}, "layout"), ({"mode": "feedback"}, "feedback mode")):
        with pytest.raises(ConfigError, match=named):
            headed.with_reading(**changes)
    with pytest.raises(ConfigError, match="ScriptedEngine"):
        headed.with_engine(ScriptedEngine(["[RESULT] 1"]))
