import re
from pathlib import Path

import pytest

from prom_reward.config import load_judge
from prom_reward.errors import ConfigError
from prom_reward.runs import load_grading_run, load_grpo_run, load_training_run
from prom_reward.settings.judges import JudgeConfig
from prom_reward.settings.validation import validated


@pytest.fixture
def write(tmp_path):
    """Writes a file and returns its path."""

    def make(name, text) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        ({"mod": "score"}, "smollm2-135m: unknown key 'mod'; expected one of name, description, ", "'mode'"),
        (
            {"sampling": {"temprature": 1}},
            "smollm2-135m: unknown key 'temprature' in 'sampling'; expected one of max_new_tokens, temperature, "
            "top_p, repetition_penalty, seed.",
            "'temperature'",
        ),
        ({"mode": "scor"}, "smollm2-135m: key 'mode': got 'scor'; input should be 'feedback' or 'score'", ""),
        ({"num_samples": "three"}, "smollm2-135m: key 'num_samples': got 'three'; input should be a valid integer", ""),
        ({"num_samples": 0}, "smollm2-135m: key 'num_samples': got 0; input should be greater than or equal to 1", ""),
        ({"dtype": "fp16"}, "smollm2-135m: key 'dtype': got 'fp16'; input should be 'auto', 'float32', ", ""),
        ({"conversation": "chatml"}, "smollm2-135m: key 'conversation': got 'chatml'; input should be 'llama-2'", ""),
        ({"sampling": {"top_p": 2}}, "sampling: got top_p=2.0; expected over 0 and at most 1", ""),
        ({"sampling": {"seed": "x"}}, "smollm2-135m: key 'seed' in 'sampling': got 'x'; input should be a valid ", ""),
        ({"guard": "no way"}, "smollm2-135m: key 'guard': got 'no way'; input should be a valid boolean", ""),
        (
            {"chat_template_kwargs": {"enable_thinking": "false"}},
            "chat_template_kwargs: got enable_thinking='false', a text; expected false without quotes",
            "",
        ),
        (
            {"vllm": {"compilation_config": {"use_inductor": "True"}}},
            "vllm.compilation_config: got use_inductor='True', a text; expected true without quotes",
            "",
        ),
        ({"sampling": 5}, "smollm2-135m: key 'sampling': got 5; input should be a dictionary or an instance", ""),
        (
            {"preset": "prometheus-7b"},
            "unknown preset 'prometheus-7b'; expected one of smollm2-135m, ",
            "'m-prometheus-7b'",
        ),
    ],
)
def test_a_wrong_setting_is_refused(overrides, message, hint):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        load_judge("smollm2-135m", **overrides)
    assert f" Did you mean {hint}" in str(caught.value) if hint else "Did you mean" not in str(caught.value)


def test_a_mapping_without_a_model_is_refused():
    with pytest.raises(ConfigError, match=r"^judge: missing key 'model'; it has no default$"):
        load_judge({"mode": "score"})


def test_a_typo_in_a_file_names_file_key_and_near_miss(write):
    path = write("mine.yaml", "model: here\nsampling:\n  temprature: 0.5\n")
    message = (
        f"{path}: unknown key 'temprature' in 'sampling'; expected one of max_new_tokens, temperature, top_p, "
        "repetition_penalty, seed. Did you mean 'temperature'?"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_judge(path)


def test_runs_are_read_with_their_defaults(write):
    grading = load_grading_run(write("g.yaml", "input: rows.jsonl\nrubric: honesty\n"))
    assert (grading.judge, grading.rubric, grading.out, grading.limit) == ("smollm2-135m", "honesty", None, None)
    grpo = load_grpo_run(write("t.yaml", "dataset: d.jsonl\njudge: {model: x}\nreward: {normalizer: unit}\n"))
    assert (grpo.policy, grpo.judge, grpo.reward.normalizer) == ("smollm2-135m", {"model": "x"}, "unit")


@pytest.mark.parametrize(
    ("load", "text", "problem"),
    [
        (load_grading_run, "inputs: x\n", "unknown key 'inputs'; expected one of judge, rubric, input, out, "
         "limit. Did you mean 'input'?"),
        (load_grading_run, "input: x\nlimt: 3\n", "unknown key 'limt'; expected one of judge, rubric, input, out, "
         "limit. Did you mean 'limit'?"),
        (load_grading_run, "input: x\njudge: 5\n", "key 'judge': got 5; input should be a valid string"),
        (load_grpo_run, "datset: x\n", "missing key 'dataset'; it has no default"),
        (load_grpo_run, "dataset: x\nrewards: {}\n", "unknown key 'rewards'; expected one of policy, judge, dataset, "
         "rubric, reward, trainer. Did you mean 'reward'?"),
        (load_grpo_run, "dataset: x\nreward: {normaliser: unit}\n", "unknown key 'normaliser' in 'reward'; expected "
         "one of normalizer, score, on_unscored, on_unscored_rubric, rubric_column, reference_column, "
         "include_reasoning, opens_thoughts, log_path, name. Did you mean 'normalizer'?"),
        (load_grading_run, "input: x\nlimit: -1\n", "key 'limit': got -1; input should be greater than or equal to 1"),
        (load_grpo_run, "- dataset\n", "got list; expected a mapping of settings"),
    ],
)  # fmt: skip
def test_a_wrong_run_is_refused(write, load, text, problem):
    path = write("run.yaml", text)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: {problem}')}$"):
        load(path)


def test_a_boolean_in_quotes_is_read_where_it_is_ours_and_refused_where_it_is_handed_on(write):
    assert load_judge("smollm2-135m", guard="false").guard is False
    path = write("run.yaml", "dataset: x\nreward: {include_reasoning: 'false'}\n")
    assert load_grpo_run(path).reward.include_reasoning is False
    for load, text in ((load_grpo_run, "dataset: x"), (load_training_run, "data: [{path: x}]")):
        path = write("run.yaml", f"{text}\ntrainer: {{gradient_checkpointing: 'false'}}\n")
        with pytest.raises(ConfigError, match="trainer: got gradient_checkpointing='false', a text; expected false"):
            load(path)


def test_a_key_that_is_no_text_is_one_line():
    with pytest.raises(ConfigError, match=r"^here: key '\?': got '.ud800'; input should be a valid string"):
        validated(JudgeConfig, {"\ud800": 1}, "here")
