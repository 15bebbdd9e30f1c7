"""Whatever is read from outside gives a value or one of our errors, never another exception.

The full leg (PROM_REWARD_FULL=1, as `.ci/run --full` sets it) tries 3,000 cases in each of 15 tests: 45,000 in all.
"""

import json
import os
import sqlite3
import zlib
from contextlib import closing, suppress
from math import isfinite

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.auditing.attacks import read_attacks
from prom_reward.auditing.tasks import read_tasks
from prom_reward.config import load_judge, load_rubric
from prom_reward.data.formats import RowFormat
from prom_reward.data.grading import row_requests
from prom_reward.data.labels.human_labels import LabelColumns, collect_labeled
from prom_reward.data.rows import BrokenRow, Row, count_rows, read_rows
from prom_reward.engines.model.adapter_stamp import read_stamp
from prom_reward.engines.server.replies import label_logprobs_by_text, parse_answer, read_reply, token_at
from prom_reward.engines.tokens.verdict import find_verdict, first_verdict
from prom_reward.errors import ConfigError, PromRewardError
from prom_reward.files import read_yaml
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.parsing import parse_score, parse_winner
from prom_reward.labeling.labeled_rows import read_labels
from prom_reward.labeling.shards import LabelFolder
from prom_reward.prompts.guard.detectors import detect
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.prompt_parts import components
from prom_reward.prompts.transcripts import transcript
from prom_reward.reports.data import load_report
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.settings.judges import JudgeConfig
from prom_reward.settings.resolution import judge_config
from prom_reward.settings.runs import GradingRun, GRPORun, LabelingRun, TrainingRun
from prom_reward.settings.validation import validated
from prom_reward.types import GradingRequest, Rubric, ScoreScale
from tests.strategies import attack_text, odd_text

pytestmark = pytest.mark.timeout(1200)  # the full leg on a busy machine
FULL_CASES = 3_000
FUZZ = settings(
    max_examples=FULL_CASES if os.environ.get("PROM_REWARD_FULL") else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
SCALE = ScoreScale()
ONE_TO_FIVE = ("1", "2", "3", "4", "5")
RUBRIC = Rubric.parse("honesty")
REQUEST = GradingRequest(instruction="i", response="r", rubric=RUBRIC)


def texts_of(*pieces):
    """Texts of some of these pieces and of any others."""
    return st.lists(st.sampled_from(pieces) | st.text(max_size=5) | odd_text, max_size=14).map("".join)


verdict_text = texts_of(
    *("[RESULT]", "[result]", " 5", "(", ")", "Score:", "1", "/", "10", "of", "A", "B", "-", "%", ".", "\n", "٣", "½")
)
rubric_text = texts_of("[", "]", "criteria", "\n", "Score 1: ", "Score 5: ", "\nScore -1:", f"\nScore {'9' * 5000}: a")
yaml_text = texts_of(
    *("- ", ": ", "\n", "\n  ", "criteria", "score1_description", "model", "sampling", "&a ", "*a", "<<: ", "? ", "| "),
    *("!!int ", "!!python/object:os.system ", "!!binary ", "!!timestamp ", "!!set ", "2020-13-45", ".inf", "1e999"),
    *("{", "}", "[", "]", "'", '"', "---\n", "%YAML 9.9\n", "null", "\t", "#", f"0x{'f' * 5000}", "9" * 5000),
)
names = st.sampled_from(
    (
        *("criteria", "orig_criteria", "scale", "name", "weight", "score1_description", "score5_description", "score"),
        *("rubric", "instruction", "response", "prompt", "completion", "completions", "reference_answer", "chosen"),
        *("rejected", "role", "content", "tool_calls", "function", "arguments", "text", "type", "model", "sampling"),
        *("mode", "preset", "url", "server", "kind", "descriptions", "output", "gpt4_score", "question_id"),
    )
)
numbers = st.sampled_from((0, -1, 0.5, 5, 1e308, -9999.0, float("nan"), float("inf"), 10**400)) | st.floats()
leaves = st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=20) | attack_text | rubric_text
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=8), inner, max_size=6),
    max_leaves=12,
)
mappings = st.dictionaries(names | st.text(max_size=12), values, max_size=6)
broken_json = texts_of(
    "{", "}", "[", "]", '"', ":", ",", "null", "NaN", "1e999", "\\ud800", "\n", "[" * 600, "9" * 5000
)
rows_text = st.lists(mappings.map(json.dumps) | values.map(json.dumps) | broken_json, max_size=4).map("\n".join)
contents = st.binary(max_size=200) | (rows_text | yaml_text | rubric_text).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


@FUZZ
@given(verdict_text)
def test_any_judge_text_is_parsed_or_unscored(text):
    assert parse_score(text, SCALE).score in (None, 1, 2, 3, 4, 5)
    assert parse_winner(text).winner in (None, "A", "B")
    for labels in (ONE_TO_FIVE, ("A", "B")):
        find_verdict(text, labels)
        first_verdict(text, labels)


@FUZZ
@given(attack_text)
def test_any_response_is_guarded_and_looked_at(text):
    assert neutralize(neutralize(text)) == neutralize(text)
    detect(GradingRequest(instruction="i", response=text, rubric=RUBRIC, reference_answer=text))
    components(text)


@FUZZ
@given(values | rubric_text)
def test_any_value_is_a_rubric_or_one_of_our_errors(value):
    with suppress(PromRewardError):
        assert all(isinstance(rubric, Rubric) for rubric in parse_rubrics(value))


@FUZZ
@given(mappings)
def test_any_row_gives_requests_or_one_of_our_errors(row):
    with suppress(PromRewardError):
        assert row_requests(row, (RUBRIC,))
    with suppress(PromRewardError):
        assert RowFormat(columns={}).example(row).requests((RUBRIC,))
    for columns in (LabelColumns(), LabelColumns(score="score", cluster="id", group="rubric")):
        with suppress(PromRewardError):
            found = collect_labeled([Row("row 1", row)], (RUBRIC,), columns=columns, where="rows")
            assert found.rows or found.pairs


@FUZZ
@given(values, values)
def test_any_rollout_is_a_transcript_or_one_of_our_errors(prompt, completion):
    with suppress(PromRewardError):
        assert all(isinstance(text, str) for text in transcript(prompt, completion))


@FUZZ
@given(st.sampled_from([JudgeConfig, GRPORun, GradingRun, LabelingRun, TrainingRun]), st.data())
def test_any_settings_are_settings_or_one_of_our_errors(model, data):
    keys = st.sampled_from([*model.model_fields, "modle"])
    with suppress(ConfigError):
        assert isinstance(validated(model, data.draw(st.dictionaries(keys, values, max_size=5)), "here"), model)


@FUZZ
@given(contents)
def test_any_bytes_are_rows_or_one_of_our_errors(tmp_path, content):
    for name in ("rows.jsonl", "rows.json", "rows.csv", "rows.parquet"):
        path = tmp_path / name
        path.write_bytes(content)
        with suppress(PromRewardError):
            count_rows(path)
            found = list(read_rows(path))
            assert all(isinstance(row, Row | BrokenRow) for row in found)
            for row in found:
                if isinstance(row, Row):
                    with suppress(PromRewardError):
                        row_requests(row.values, (RUBRIC,))


@FUZZ
@given(contents | values.map(lambda value: yaml.safe_dump(value).encode()))
def test_any_bytes_are_settings_and_rubrics_or_one_of_our_errors(tmp_path, content):
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    for read in (read_yaml, load_rubric, judge_config):
        with suppress(PromRewardError):
            read(path)


@FUZZ
@given(contents)
def test_any_bytes_are_attacks_and_tasks_or_one_of_our_errors(tmp_path, content):
    (tmp_path / "rows.jsonl").write_bytes(content)
    for read in (read_attacks, read_tasks):
        with suppress(PromRewardError):
            assert read(tmp_path / "rows.jsonl")


@FUZZ
@given(contents | mappings.map(lambda value: json.dumps(value).encode()), st.data())
def test_any_stamp_is_read_and_compared(tmp_path, caplog, content, data):
    keys = st.sampled_from(["prompt_style", "layouts", "layout", "conversation", "guard", "base_digest", "judge"])
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    stamp = data.draw(st.dictionaries(keys, values, max_size=4).map(lambda value: json.dumps(value).encode()))
    for written in (content, stamp):
        (tmp_path / "prom_reward.json").write_bytes(written)
        assert isinstance(read_stamp(tmp_path), dict)
        caplog.clear()
        load_judge({"model": "m", "adapter": str(tmp_path)})
        with suppress(PromRewardError):
            load_judge(tmp_path)
        assert all(line.isascii() and len(line) < 1000 for line in caplog.messages)


@FUZZ
@given(contents, numbers, numbers, numbers, st.floats(1, 5))
def test_any_calibration_keeps_scores_on_the_scale_or_is_one_of_our_errors(tmp_path, content, low, high, shift, score):
    path = tmp_path / "calibration.json"
    fit = {"low_slope": low, "high_slope": high, "shift": shift, "scale": [1, 5], "rubrics": []}
    for written in (content, json.dumps(fit).encode()):
        path.write_bytes(written)
        with suppress(PromRewardError):
            assert 1 <= Calibration.load(path).score(score) <= 5


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes_are_a_cache_or_begin_a_new_one(tmp_path, content):
    path = tmp_path / "cache.sqlite"
    for file in tmp_path.iterdir():
        file.unlink()
    path.write_bytes(content)
    with suppress(PromRewardError):
        judge = PrometheusJudge(ScriptedEngine(["[RESULT] 4"]), mode="score", cache=JudgmentCache(path))
        assert [one.score for one in judge.grade([REQUEST] * 2)] == [4, 4]
        judge.cache.close()


@FUZZ
@given(values, st.data())
def test_any_entry_of_a_cache_is_an_answer_or_is_asked_for_again(tmp_path, value, data):
    path = tmp_path / "cache.sqlite"
    judge = PrometheusJudge(ScriptedEngine(["[RESULT] 4"]), mode="score", cache=JudgmentCache(path))
    judge.grade([REQUEST])
    judge.cache.close()
    kept = {"text": "4", "finish_reason": "result", "score_logprobs": dict.fromkeys(ONE_TO_FIVE, -1.0)}
    changed = {**kept, data.draw(st.sampled_from([*kept, "num_prompt_tokens", "error"])): value}
    with closing(sqlite3.connect(path)) as connection:
        [(key, _)] = connection.execute("SELECT key, value FROM entries").fetchall()
        for text in map(json.dumps, (value, changed)):
            checksum = zlib.crc32(text.encode(), zlib.crc32(key))
            connection.execute("UPDATE entries SET value = ?, checksum = ?", (text, checksum))
            connection.commit()
            [judgment] = judge.grade([REQUEST])
            assert judgment.score in SCALE
            assert isfinite(judgment.expected_score)
            judge.cache.close()


tokens = st.sampled_from(
    ("1", " 5", "token_id:12", "token_id:x", "token_id:", f"token_id:{'9' * 5000}", "[RESULT]", "")
) | st.text(max_size=3)
listed = st.lists(
    st.tuples(tokens | values, numbers | values, st.none() | st.dictionaries(tokens, numbers)), max_size=4
)
chatted = st.fixed_dictionaries(
    {"token": tokens | values, "logprob": numbers | values},
    optional={
        "top_logprobs": st.lists(st.fixed_dictionaries({"token": tokens, "logprob": numbers}), max_size=3) | values
    },
)
logprobs = (
    values
    | st.lists(chatted, max_size=4).map(lambda found: {"content": found})
    | listed.map(
        lambda found: dict(zip(("tokens", "token_logprobs", "top_logprobs"), zip(*found, strict=True), strict=False))
    )
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "text": verdict_text | values,
        "message": st.fixed_dictionaries({"content": verdict_text}) | values,
        "logprobs": logprobs,
        "finish_reason": values,
    },
)
usages = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details"]),
    numbers | values | st.dictionaries(st.just("cached_tokens"), numbers | values),
)
bodies = st.fixed_dictionaries(
    {}, optional={"choices": st.lists(choices, max_size=2) | values, "usage": usages | values}
)


@FUZZ
@given(bodies.map(lambda body: json.dumps(body).encode()) | contents)
def test_any_body_of_a_server_is_a_reply_or_says_why_not(content):
    answer, problem = parse_answer(content, is_completion=True)
    if problem is not None:
        assert isinstance(problem, str)
        return
    reply = read_reply(answer)
    token_at(reply.text, reply.rows, 3)
    for row in reply.rows:
        assert all(isinstance(token, int) for token in (*row.by_id(), row.token_id or 0))
        found = label_logprobs_by_text(row, ONE_TO_FIVE)
        assert found is None or all(value <= 0 for value in found.values())


@FUZZ
@given(contents, st.data())
def test_any_labeling_and_any_log_is_read_or_one_of_our_errors(tmp_path, content, data):
    folder, log = LabelFolder(tmp_path / "labels"), tmp_path / "log.jsonl"
    kept = {"about": {"input": "i", "judge": "j"}, "kind": "response", "method": "grade", "columns": {}, "rubrics": []}
    manifest = {**kept, "judge": "j", "reference_answer": None, "shard_size": 2, "machine": {}}
    changed = {**manifest, data.draw(st.sampled_from([*manifest, "earlier"])): data.draw(values)}
    record = dict.fromkeys(("score", "expected_score", "score_probs", "entropy")) | dict.fromkeys(
        ("rubric", "outcome", "response", "instruction", "feedback"), "text"
    )
    odd = {**record, data.draw(st.sampled_from([*record, "step", "reward", "error"])): data.draw(values)}
    (folder.path / "shards" / "000000000-000000002.jsonl").write_bytes(content)
    (folder.path / "shards" / "notes.jsonl").write_bytes(content)
    folder.labels.write_bytes(content)
    log.write_bytes(content)
    for written in (content, json.dumps(changed).encode()):
        folder.manifest.write_bytes(written)
        for read in (load_report, lambda path: list(read_labels(path))):
            with suppress(PromRewardError):
                read(folder.path)
    for written in (content, json.dumps(odd).encode()):
        log.write_bytes(written)
        with suppress(PromRewardError):
            load_report(log)
    for read in (folder.answers, folder.digest):
        with suppress(PromRewardError):
            read(*next(iter(folder.starts().items())))


def test_the_full_leg_tries_at_least_twenty_thousand_cases():
    fuzzed = [name for name, test in globals().items() if hasattr(test, "hypothesis")]
    assert len(fuzzed) * FULL_CASES == 45_000
