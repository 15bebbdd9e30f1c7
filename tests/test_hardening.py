"""What the package itself must not do, and what its readers must bear."""

import ast
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prom_reward.config import load_rubric, read_yaml
from prom_reward.engines.adapter_stamp import read_stamp
from prom_reward.engines.loading import ModelSource, load_model, resolve_path
from prom_reward.engines.verdict import find_verdict
from prom_reward.errors import ConfigError, InputError, PromRewardError
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.parsing import parse_score, parse_winner
from prom_reward.offline import rows as rows_module
from prom_reward.offline.grading import row_requests
from prom_reward.offline.rows import BrokenRow, Row, read_rows
from prom_reward.prompts.detectors import detect
from prom_reward.prompts.guard import neutralize
from prom_reward.prompts.published import components
from prom_reward.prompts.transcripts import transcript
from prom_reward.rewards.judgment_log import JudgmentLog
from prom_reward.rubrics import parse_rubrics
from prom_reward.settings import JudgeConfig, validated
from prom_reward.types import GradingRequest, Rubric, ScoreScale
from tests.strategies import attack_text

PACKAGE = Path(rows_module.__file__).parents[1]
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("yaml", "load"),
    ("yaml", "full_load"),
    ("yaml", "unsafe_load"),
    ("torch", "load"),
    ("os", "system"),
}
FUZZ = settings(
    max_examples=20_000 if os.environ.get("PROM_REWARD_FULL") else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SCALE = ScoreScale()
RUBRIC = Rubric.parse("honesty")

verdict_text = st.lists(
    st.sampled_from(
        ["[RESULT]", "[result]", " 5", "(", ")", "Score:", "1", "/", "10", "of", "A", "B", "-", "%", ".", "\n"]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "criteria",
                    "scale",
                    "name",
                    "weight",
                    "score1_description",
                    "score5_description",
                    "rubric",
                    "instruction",
                    "response",
                    "prompt",
                    "completion",
                    "reference_answer",
                    "role",
                    "content",
                    "tool_calls",
                    "model",
                    "sampling",
                    "mode",
                    "orig_criteria",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_evaluated_or_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in FORBIDDEN_ATTRIBUTES
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "marshal", "shelve", "dill", "cloudpickle"} & set(names)


def test_code_that_comes_with_weights_runs_only_when_asked_for():
    assert JudgeConfig(model="m").trust_remote_code is False
    assert ModelSource(model="m").trust_remote_code is False


@FUZZ
@given(verdict_text)
def test_any_judge_text_is_parsed_or_unscored(text):
    assert parse_score(text, SCALE).score in (None, 1, 2, 3, 4, 5)
    assert parse_winner(text).winner in (None, "A", "B")
    find_verdict(text, ("1", "2", "3", "4", "5"))
    find_verdict(text, ("A", "B"))


@FUZZ
@given(attack_text)
def test_any_response_is_guarded_and_looked_at(text):
    assert neutralize(neutralize(text)) == neutralize(text)
    detect(GradingRequest(instruction="i", response=text, rubric=RUBRIC, reference_answer=text))
    components(text)


@FUZZ
@given(json_values)
def test_any_value_is_a_rubric_or_one_of_our_errors(value):
    with suppress(PromRewardError):
        assert all(isinstance(rubric, Rubric) for rubric in parse_rubrics(value))


@FUZZ
@given(
    st.dictionaries(st.text(max_size=12), json_values, max_size=4) | json_values.filter(lambda v: isinstance(v, dict))
)
def test_any_row_gives_requests_or_one_of_our_errors(values):
    with suppress(PromRewardError):
        assert row_requests(values, (RUBRIC,))


@FUZZ
@given(json_values, json_values)
def test_any_rollout_is_a_transcript_or_one_of_our_errors(prompt, completion):
    try:
        instruction, response = transcript(prompt, completion)
    except PromRewardError:
        return
    assert isinstance(instruction, str)
    assert isinstance(response, str)


@FUZZ
@given(st.dictionaries(st.sampled_from([*JudgeConfig.model_fields, "modle"]), json_values, max_size=5))
def test_any_settings_are_a_judge_or_one_of_our_errors(values):
    with suppress(ConfigError):
        assert isinstance(validated(JudgeConfig, values, "here"), JudgeConfig)


@FUZZ
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_rows_yaml_a_stamp_and_a_calibration_or_one_of_our_errors(tmp_path, content):
    for name in ("rows.jsonl", "rows.json", "rows.csv", "judge.yaml", "prom_reward.json"):
        (tmp_path / name).write_bytes(content)
    assert all(isinstance(row, Row | BrokenRow) for row in read_rows(tmp_path / "rows.jsonl"))
    for read in (
        lambda: list(read_rows(tmp_path / "rows.json")),
        lambda: list(read_rows(tmp_path / "rows.csv")),
        lambda: read_yaml(tmp_path / "judge.yaml"),
        lambda: load_rubric(tmp_path / "judge.yaml"),
        lambda: Calibration.load(tmp_path / "prom_reward.json"),
    ):
        with suppress(PromRewardError):
            read()
    assert isinstance(read_stamp(tmp_path), dict)


@pytest.mark.parametrize(
    "unit", ["[RESULT] ", "[RESULT] 1 of ", "1-", "5 out of ", "(", "<think>", "</think>", "###Feedback:\n\n", "* "]
)
def test_a_megabyte_is_parsed_in_bounded_time(unit):
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    parse_score(text, SCALE)
    parse_winner(f"[RESULT] {text}")
    transcript("i", text)
    components(text)
    assert time.process_time() - start < 20


def test_aliases_cannot_make_a_small_file_large(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    path.write_text("\n".join(lines))
    with pytest.raises(
        ConfigError, match=r"bomb\.yaml: expands to over 200000 values; write it without nested aliases$"
    ):
        read_yaml(path)
    path.write_text("&a [*a]")
    with pytest.raises(ConfigError, match="expands to over"):
        read_yaml(path)
    path.write_text("[" * 5000)
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(path)


def test_a_settings_file_has_a_bound(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * ((10 << 20) + 1))
    with pytest.raises(InputError, match=r"large\.yaml: the file is larger than 10 MiB; expected a smaller one$"):
        read_yaml(path)


def test_a_line_without_end_is_a_broken_row_and_the_next_ones_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "_MAX_LINE_BYTES", 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 75 + b'\n{"a": 2}\n' + b"y" * 21)
    found = list(read_rows(path))
    assert found[0] == Row("line 1", {"a": 1})
    assert found[1] == BrokenRow("line 2", "longer than 0 MiB")
    assert found[2] == Row("line 3", {"a": 2})
    assert isinstance(found[3], BrokenRow)


@pytest.mark.parametrize("name", ["package:prom_reward/../secrets", "package:prom_reward//etc"])
def test_a_package_folder_stays_in_its_package(name):
    with pytest.raises(ConfigError, match=r"expected a folder inside the package, without '\.\.'$"):
        resolve_path(name)


@pytest.mark.parametrize("name", ["../other.gguf", "/etc/passwd", "a/../../b.gguf"])
def test_a_gguf_file_stays_in_its_folder(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a file inside the model's folder"):
        load_model(ModelSource(model=str(tmp_path), gguf_file=name, device="cpu"))


def test_a_rank_that_is_no_number_names_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "../../elsewhere")
    assert JudgmentLog(tmp_path / "log.jsonl").path == tmp_path / "log.jsonl"


def test_an_adapter_of_the_hub_is_fetched_without_pickles(monkeypatch, tiny_judge_folder, tmp_path):
    import huggingface_hub

    asked = {}

    def fetch(name, allow_patterns):
        asked[name] = allow_patterns
        return tmp_path  # where the repository had a pickle alone, nothing is fetched

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    source = ModelSource(model=str(tiny_judge_folder), adapter="someone/adapter", device="cpu", dtype="float32")
    with pytest.raises(ConfigError, match=r"got no adapter_model\.safetensors; expected a LoRA adapter saved by peft$"):
        load_model(source)
    assert asked == {"someone/adapter": ["adapter_config.json", "adapter_model.safetensors", "prom_reward.json"]}
