import re
import tomllib
from pathlib import Path

from prom_reward.rubrics.rubric import builtin_names
from prom_reward.settings.resolution import judge_presets

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_two_commands():
    commands = re.findall(r"```bash\n(.*?)\n```", README[: README.index("## ")], re.DOTALL)
    assert len(commands) == 2
    assert commands[0].endswith("prom-reward demo")
    assert commands[1].endswith("pytest -n 2")
    assert all("torch==2.13.0" in command for command in commands)


def test_the_check_runs_the_test_command_of_the_readme():
    assert "<!-- test command -->" in README
    assert "<!-- test command -->" in (ROOT / ".ci/run").read_text()


def test_the_readme_is_a_page_of_at_most_250_lines():
    assert len(README.splitlines()) <= 250


def test_the_tree_in_the_readme_is_the_tree():
    tree = README[README.index("    prom_reward/\n") :].partition("\n\n")[0]
    named = set(re.findall(r"(?:├|└)── (\w+(?:/|\.py))", tree))
    package = ROOT / "prom_reward"
    folders = {f"{path.name}/" for path in package.rglob("*") if path.is_dir()}
    rooms = {f"{path.name}/" for path in package.iterdir() if path.is_dir()} - {"__pycache__/"}
    files = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert rooms | files <= named <= folders | files


def test_the_tree_in_the_readme_has_the_order_of_the_imports():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layer_of = {name: at for at, layer in enumerate(contracts[0]["layers"]) for name in layer.split(" | ")}
    shown = re.findall(r"^    (?:├|└)── (\w+)", README, re.MULTILINE)
    layers = [layer_of[name] for name in shown if name in layer_of]
    assert layers == sorted(layers)
    assert len(layers) == len(layer_of) - 1  # all but `__main__`


def test_judges_and_rubrics_in_the_readme_exist():
    assert all(name in README for name in (*judge_presets(), *builtin_names()))


def test_the_example_without_a_model_runs():
    block = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "ScriptedEngine" in block)
    exec(compile(block, "README.md", "exec"), {})


def test_links_lead_somewhere():
    rooms = [page for room in ("prom_reward", "configs", "training_examples") for page in (ROOT / room).rglob("*.md")]
    for page in (ROOT / "README.md", *(ROOT / ".github").glob("*.md"), *rooms):
        links = re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page
