import re
from pathlib import Path

import pytest

from prom_reward.config import judge_presets
from prom_reward.rubrics.rubric import builtin_names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_two_commands():
    commands = re.findall(r"```bash\n(.*?)\n```", README[: README.index("## ")], re.DOTALL)
    assert len(commands) == 2
    assert commands[0].endswith("prom-reward demo")
    assert commands[1].endswith("pytest --cov -n 2")
    assert all("torch==2.13.0" in command for command in commands)


def test_the_check_runs_the_test_command_of_the_readme():
    assert "<!-- test command -->" in README
    assert "<!-- test command -->" in (ROOT / ".ci/run").read_text()


def test_the_tree_in_the_readme_is_the_tree():
    tree = README[README.index("    prom_reward/\n") :]
    named = set(re.findall(r"\b(\w+\.py)\b", tree))
    real = {path.name for path in (ROOT / "prom_reward").rglob("*.py")} - {"__init__.py"}
    commands = {"app.py", "console.py", "demo.py", "grade.py", "judges.py", "evaluate.py", "train_judge.py"}
    commands |= {"label.py"}
    assert named == real - commands


def test_judges_and_rubrics_in_the_readme_exist():
    for name in judge_presets():
        assert name in README or name.removeprefix("m-prometheus") in README
    assert all(name in README for name in builtin_names())


def test_the_example_without_a_model_runs():
    block = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "ScriptedEngine" in block)
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
