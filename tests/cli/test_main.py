import logging
import re
import subprocess
import sys

import pytest

import prom_reward
from prom_reward.cli.app import COMMANDS, load_command
from prom_reward.cli.main import main
from prom_reward.engines.scripted_engine import ScriptedEngine
from prom_reward.judging.judge import PrometheusJudge

ONE = ("grade", "--rubric", "helpfulness", "--instruction", "Q", "--response", "A")


class Lossy(ScriptedEngine):
    def generate(self, prompts, sampling):
        return super().generate(prompts, sampling)[1:]


def interrupted(prompt):
    raise KeyboardInterrupt


def test_the_version_is_shown(run):
    shown = run("--version")
    assert (shown.status, shown.out, shown.err) == (0, f"prom-reward {prom_reward.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("label", "r.jsonl", "--rubric", "honesty", "--rubric=helpfulness", "--out", "o"),
            "got --rubric twice; expec",
        ),
        ((*ONE, "--judge", "a", "--judge", "b"), "got --judge twice; expected it once: "),
        (("rubrics", "lint", "honesty", "--column", "prompt=a", "--rows", "a", "--rows", "b"), "got --rows twice; exp"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice_is_refused(run, arguments, said):
    done = run(*arguments)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"error: {said}")


def test_flags_and_options_of_several_values_may_be_repeated(run):
    rows = ("none.jsonl", "--column", "prompt=a", "--column", "response=b", "--json", "--json")
    assert "none.jsonl: no such file" in run("grade", *rows).err


def test_the_help_lists_all_commands(run):
    shown = run("--help")
    assert shown.status == 0
    for name, line in COMMANDS.items():
        assert re.search(rf" {name} +{re.escape(line[:20])}", shown.out)
    assert "--install-completion" in shown.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    shown = run(command, "--help")
    assert shown.status == 0
    assert re.search(rf"Usage: .*{command} \[OPTIONS\]", shown.out)
    assert f"Example: prom-reward {command}" in shown.out
    assert load_command(command).help.partition("\n")[0] == COMMANDS[command]


def test_no_help_loads_a_heavy_library():
    heavy = ("scipy", "torch", "transformers", "trl", "datasets", "plotly")
    script = (
        "import sys\n"
        "from prom_reward.cli.main import main\n"
        f"for arguments in {[[], *([command] for command in COMMANDS)]!r}:\n"
        "    sys.argv = ['prom-reward', *arguments, '--help']\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code\n"
        f"    if loaded := [name for name in {heavy!r} if name in sys.modules]:\n"
        "        sys.exit(f'{arguments} loads {loaded}')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Usage:") == 1 + len(COMMANDS)


@pytest.mark.parametrize("arguments", [("grad",), ("grade", "--limt", "3"), ("grade", "--mode", "fast")])
def test_wrong_usage_is_status_2(run, arguments):
    shown = run(*arguments)
    assert (shown.status, shown.out) == (2, "")
    assert arguments[-1] in shown.err or arguments[-2] in shown.err


@pytest.mark.parametrize(("arguments", "meant"), [(("grad",), "grade"), (("rubrics", "lnt"), "lint")])
def test_a_mistyped_command_is_answered_with_the_near_one(run, arguments, meant):
    shown = run(*arguments)
    assert (shown.status, f"Did you mean '{meant}'?" in shown.err) == (2, True)


def test_bad_input_is_one_line_and_status_2(run):
    shown = run(*ONE, "--judge", "smollm2-135")
    assert (shown.status, shown.out) == (2, "")
    assert shown.err.startswith(
        "error: unknown judge 'smollm2-135'; expected one of smollm2-135m, smollm2-135m-untuned, "
    )
    assert shown.err.endswith("Did you mean 'smollm2-135m'?\n")
    assert shown.err.count("\n") == 1


def test_failed_work_is_one_line_and_status_1(run):
    shown = run(*ONE, "--judge", "prometheus-7b-v2.0")
    assert (shown.status, shown.out) == (1, "")
    loading, error = shown.err.splitlines()
    assert loading == "loading the judge prometheus-7b-v2.0 ..."
    assert error.startswith("error: the weights of 'prometheus-eval/prometheus-7b-v2.0' are neither a local folder")


def test_an_unexpected_error_is_one_line_and_status_1(run, judged_by):
    judged_by(PrometheusJudge(Lossy(["[RESULT] 4"])))
    shown = run(*ONE)
    assert (shown.status, shown.out) == (1, "")
    assert shown.err.endswith(
        "error: RuntimeError: the engine answered 0 of 1 prompts; this is a bug in it "
        "(run `prom-reward --debug ...` to see where)\n"
    )


def test_ctrl_c_is_status_130(run, judged_by):
    judged_by(PrometheusJudge(ScriptedEngine(interrupted)))
    shown = run(*ONE)
    assert (shown.status, shown.out) == (130, "")
    assert shown.err.endswith("interrupted\n")


def test_debug_shows_where_it_went_wrong(judged_by, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "prom_reward")  # put back after the test, which `--debug` lowers
    judged_by(PrometheusJudge(Lossy(["[RESULT] 4"])))
    monkeypatch.setattr(sys, "argv", ["prom-reward", "--debug", *ONE])
    with pytest.raises(RuntimeError, match="the engine answered 0 of 1 prompts"):
        main()
    monkeypatch.setattr(sys, "argv", ["prom-reward", "--debug", "grade"])
    with pytest.raises(prom_reward.InputError, match="got no input"):
        main()


def test_the_package_runs_as_a_module() -> None:
    shown = subprocess.check_output([sys.executable, "-m", "prom_reward", "--version"], text=True)
    assert shown == f"prom-reward {prom_reward.__version__}\n"


def test_a_log_line_shows_hidden_characters_as_code_points():
    script = (
        "import logging, sys\n"
        "from prom_reward.cli.main import main\n"
        "sys.argv = ['prom-reward', 'judges', '--json']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "logging.getLogger('prom_reward').warning('%s: left out', 'a\\x1b[2Jb')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr == "a\\u{1b}[2Jb: left out\n"
