"""What the package itself must not do, and what its readers must bear."""

import ast
from contextlib import suppress
from pathlib import Path

import pytest

from prom_reward.data import rows as rows_module
from prom_reward.data.rows import BrokenRow, Row, read_rows
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.server.replies import parse_answer
from prom_reward.engines.tokens.verdict import find_verdict, first_verdict
from prom_reward.errors import InputError, PromRewardError
from prom_reward.files import read_yaml
from prom_reward.judging.parsing import parse_score, parse_winner
from prom_reward.prompts.prompt_parts import components
from prom_reward.prompts.transcripts import transcript
from prom_reward.rewards.judgment_log import JudgmentLog
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.settings.judges import JudgeConfig
from prom_reward.types import ScoreScale

PACKAGE = Path(rows_module.__file__).parents[1]
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("yaml", "load"),
    ("yaml", "full_load"),
    ("yaml", "unsafe_load"),
    ("torch", "load"),
    ("os", "system"),
}
SCALE = ScoreScale()
ONE_TO_FIVE = ("1", "2", "3", "4", "5")


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


UNITS = [
    "[RESULT] ",
    "[RESULT] 1 of ",
    "1-",
    "5 out of ",
    "(",
    " ",
    "\n",
    "<think>",
    "</think>",
    "###Feedback:\n\n",
    "* ",
    "Score 1: ",
    "\nScore 1: a",
    "User (",
    "\nTool (",
    "###Task Description:\n\n###The instruction to evaluate:\n\n###Response to evaluate:\n",
    "\n\n###Reference Answer (Score 5):\n\n\n###Score Rubrics:\n",
]


@pytest.mark.parametrize("unit", UNITS)
def test_parsing_takes_time_linear_in_the_text(unit, linear_time):
    def parse(text: str) -> None:
        parse_score(text, SCALE)
        parse_winner(f"[RESULT] {text}")
        find_verdict(text, ONE_TO_FIVE)
        first_verdict(text, ONE_TO_FIVE)
        transcript("i", text)
        transcript("i", [{"role": "assistant", "content": text}, {"role": "user", "content": text}])
        components(text)
        components(f"###Task Description:\n\n\n###The instruction to evaluate:\na\n\n###Response to evaluate:\n{text}")
        for rubric in (text, f"[{text}]\n{text}"):
            with suppress(PromRewardError):
                parse_rubrics(rubric)

    linear_time(parse, lambda size: unit * (2 * size // len(unit)))


@pytest.mark.parametrize("unit", ["[", '{"a":', '{"a": 1, ', '"', "\\u0000", "1", "&a ", "- ", "? ", "!!"])
def test_reading_data_takes_time_linear_in_its_size(tmp_path, unit, linear_time):
    def read(content: str) -> None:
        (tmp_path / "rows.jsonl").write_text(content)
        assert all(isinstance(row, Row | BrokenRow) for row in read_rows(tmp_path / "rows.jsonl"))
        for name in ("rows.json", "rows.csv"):
            (tmp_path / name).write_text(content)
            with suppress(PromRewardError):
                list(read_rows(tmp_path / name))
        with suppress(PromRewardError):
            (tmp_path / "settings.yaml").write_text(content[: len(content) // 10])  # its reader is written in Python
            read_yaml(tmp_path / "settings.yaml")
        parse_answer(content.encode(), is_completion=True)

    linear_time(read, lambda size: unit * (4 * size // len(unit)))


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


def test_a_rank_that_is_no_number_names_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "../../elsewhere")
    assert JudgmentLog(tmp_path / "log.jsonl").path == tmp_path / "log.jsonl"
