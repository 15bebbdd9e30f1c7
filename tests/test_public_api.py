import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import prom_reward
from prom_reward import errors, prompts, types
from prom_reward.engines.model.source import ModelSource
from prom_reward.training.sources import DataSource

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "numpy")
PROMPT_MODULES = [module.name for module in pkgutil.walk_packages(prompts.__path__, "prom_reward.prompts.")]


def _python(code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "module", ["prom_reward", "prom_reward.types", "prom_reward.rubrics", "prom_reward.errors", *PROMPT_MODULES]
)
def test_importing_loads_no_heavy_package(module):
    code = f"import json, sys, {module}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    assert _python(code) == []


def test_the_values_are_public_without_loading_torch():
    code = (
        "import json, sys; from prom_reward import Rubric, GradingRequest, InputError, ScoreScale; "
        "Rubric.parse('helpfulness'); print(json.dumps('torch' in sys.modules))"
    )
    assert _python(code) is False


def test_listing_the_names_loads_nothing():
    code = "import json, sys, prom_reward; dir(prom_reward); print(json.dumps(sorted(sys.modules)))"
    assert not {"prom_reward.types", "prom_reward.config"} & set(_python(code))


@pytest.mark.parametrize("name", prom_reward.__all__)
def test_every_public_name_can_be_imported_and_comes_from_its_stated_home(name):
    value = getattr(prom_reward, name)
    assert value.__name__ == name
    home = f"prom_reward.{prom_reward._HOMES[name]}"
    assert getattr(sys.modules[home], name) is value


def test_all_is_sorted_and_holds_exactly_the_lazy_names():
    assert prom_reward.__all__ == sorted(prom_reward._HOMES)


def test_dir_shows_the_public_names_and_the_version():
    assert dir(prom_reward) == sorted([*prom_reward.__all__, "__version__"])


def _judge(**settings):
    return prom_reward.PrometheusJudge(prom_reward.ScriptedEngine(["[RESULT] 4"]), **settings)


@pytest.mark.parametrize(
    ("flag", "make"),
    [
        ("guard", _judge),
        ("include_reasoning", lambda **flag: prom_reward.PrometheusReward(_judge(), "honesty", **flag)),
        ("include_reasoning", lambda **flag: prom_reward.GroupReward(_judge(), "honesty", **flag)),
        ("opens_thoughts", lambda **flag: prom_reward.PrometheusReward(_judge(), "honesty", **flag)),
        ("opens_thoughts", lambda **flag: prom_reward.GroupReward(_judge(), "honesty", **flag)),
        ("strict", lambda **flag: prom_reward.label("rows.jsonl", judge=_judge(), out="out", **flag)),
        ("accept_changes", lambda **flag: prom_reward.label("rows.jsonl", judge=_judge(), out="out", **flag)),
        ("quick", lambda **flag: prom_reward.audit(_judge(), **flag)),
        ("builtin", lambda **flag: prom_reward.audit(_judge(), **flag)),
        ("check", lambda **flag: prom_reward.load_judge("smollm2-135m", **flag)),
        ("trust_remote_code", lambda **flag: ModelSource(model="x", **flag)),
        ("constructed", lambda **flag: DataSource(path="x", **flag)),
    ],
)
@pytest.mark.parametrize("value", ["false", "", None, 2])
def test_a_flag_that_is_no_boolean_is_refused(flag, make, value):
    with pytest.raises(errors.ConfigError, match=f"got {flag}={value!r}; expected True or False"):
        make(**{flag: value})


def test_star_import_gives_the_public_names():
    names: dict[str, object] = {}
    exec("from prom_reward import *", names)
    assert set(prom_reward.__all__) <= set(names)


REPOSITORY = Path(__file__).parents[1]
SHOWN = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("prom_reward/**/*.md"), *REPOSITORY.glob("training_examples/*.py")]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_readers_are_shown_one_home_of_a_public_name(path):
    imports = re.findall(r"^ *from prom_reward((?:\.\w+)*) import ([^(\n]+|\([^)]+)", path.read_text(), re.MULTILINE)
    for module, names in imports:
        assert not (module and set(re.findall(r"\w+", names)) & set(prom_reward.__all__))
    for name in re.findall(r"\bprom_reward\.([A-Z]\w+|\w+(?=\())", path.read_text()):
        assert name in prom_reward.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'prom_reward' has no attribute 'Judgement'$"):
        prom_reward.Judgement  # noqa: B018  # the access is the test


def test_the_version_is_the_installed_distributions():
    from importlib.metadata import version

    assert prom_reward.__version__ == version("prom-reward")


def test_types_exports_every_class_that_it_names_in_its_docstring():
    public = {name for name in vars(types) if not name.startswith("_") and isinstance(getattr(types, name), type)}
    own = {name for name in public if getattr(types, name).__module__ in ("prom_reward.types", "prom_reward.rubrics")}
    assert own <= set(types.__all__)
    assert types.__all__ == sorted(types.__all__, key=lambda name: (not name.isupper(), name))
    assert all(name in types.__doc__ for name in own)
