"""YAML files and preset names become judges and rubrics. The only place that chooses between engines."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

import yaml

from prom_reward.engines.base import Engine
from prom_reward.errors import ConfigError, RubricError, near_miss
from prom_reward.files import read_yaml
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.prompts.conversation import CONVERSATIONS, SYSTEM_SEPARATORS, render_text
from prom_reward.prompts.guard.neutralize import ALIKE_GUARDS, GUARD_VERSION
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.settings.judges import JudgeConfig, JudgeOverrides, check_engine
from prom_reward.settings.validation import validated
from prom_reward.types import JudgePrompt, Rubric

if TYPE_CHECKING:
    from prom_reward.engines.model.loading import ModelSource

logger = logging.getLogger(__name__)

PromptRenderer = Callable[[JudgePrompt], str]


@cache
def judge_presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the settings of all known judges by name."""
    text = resources.files("prom_reward").joinpath("presets/judges.yaml").read_text(encoding="utf-8")
    presets: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {name: {"name": name, **settings} for name, settings in presets.items()}


def judge_config(judge: str | Path | Mapping[str, Any], **overrides: Any) -> JudgeConfig:
    """Return the validated settings of a judge; see `load_judge`."""
    where, settings = _judge_settings(judge)
    settings = _merged(_without_stale_tokenizer(settings, overrides), overrides)
    if settings.get("preset") is not None:
        settings = _merged(_preset_settings(str(settings["preset"]), settings), settings)
    if settings.get("url") is not None:
        settings.setdefault("engine", "openai")
    config = validated(JudgeConfig, settings, where)
    check_engine(config, where)
    if not config.model and config.url is None:
        raise ConfigError(f"{where}: missing key 'model'; it has no default")
    return config


def load_judge(
    judge: str | Path | Mapping[str, Any], *, check: bool = False, **overrides: Unpack[JudgeOverrides]
) -> PrometheusJudge:
    """Make a judge. Its weights are loaded when it is first used, or now with `check=True`.

    Args:
        judge: A preset's name (`prom-reward judges` lists them), a YAML file, a folder with a causal LM or with an
            adapter of `prom-reward train-judge`, a hub id (`owner/name`), the URL of an OpenAI-compatible server, or
            a mapping of settings.
        check: Load the weights now, or ask the server whether it is there.
        overrides: Settings that win over the judge's own: the fields of `prom_reward.settings.judges.JudgeConfig`, for
            example `model="/weights/prometheus"`, `mode="score"`, `sampling={"seed": 1}`.

    Returns:
        A judge with `grade` and `compare`.

    Raises:
        ConfigError: The judge or a setting is unknown; the message names the near miss.
        ModelLoadError: With `check`, the weights cannot be loaded.
    """
    config = judge_config(judge, **overrides)
    if config.adapter and config.url is None:
        _check_stamp(config, config.adapter)
    engine = _engine(config)
    made = PrometheusJudge(
        engine,
        prompt_style=config.prompt_style,
        layout=config.layout,
        mode=config.mode,
        sampling=config.sampling,
        num_samples=config.num_samples,
        guard=config.guard,
        truncate_response=config.truncate_response,
        calibration=_calibration(config.calibration, engine) if config.calibration else None,
        cache=JudgmentCache(config.cache, max_bytes=config.cache_mb << 20) if config.cache else None,
        criterion_text=config.criterion_text,
        flags=FlagPolicy(config.on_flag, config.detectors),
        name=config.name,
    )
    if check:
        made.load()
    return made


def prompt_renderer(judge: str | Path | Mapping[str, Any], **overrides: Any) -> PromptRenderer:
    """Return a function from a prompt to the exact text that a judge gets, without the BOS.

    Loads no weights, and no tokenizer either for the Llama-2 and Mistral conversations. Arguments and errors are those
    of `load_judge`.
    """
    config = judge_config(judge, **overrides)
    tokenizer = None
    if config.conversation.startswith("tokenizer"):
        from prom_reward.engines.model.loading import load_tokenizer

        if not config.model and not config.tokenizer:
            raise ConfigError(f"{config.name}: its chat template is the server's; give tokenizer= to see its prompts")
        tokenizer = load_tokenizer(model_source(config))
    return partial(render_text, CONVERSATIONS[config.conversation](tokenizer))


def load_policy(policy: str) -> tuple[Any, Any]:
    """Load a policy to train, with its tokenizer: a preset's weights in fp32, a folder or a hub id.

    Raises:
        ModelLoadError: The weights cannot be loaded.
    """
    from prom_reward.engines.model.loading import ModelSource, load_trainable

    is_preset = policy in judge_presets()
    return load_trainable(model_source(judge_config(policy)) if is_preset else ModelSource(model=policy))


def load_rubric(rubric: "str | Path | Mapping[str, Any] | Rubric | Sequence[Any]") -> tuple[Rubric, ...]:
    """Read one rubric or several.

    Args:
        rubric: A YAML or JSON file with a rubric, a list of them, or a mapping of names to rubrics; or anything
            that `Rubric.parse` takes.

    Raises:
        RubricError: It cannot be read as a rubric.
        ConfigError: The file does not exist or is no YAML.
    """
    if not isinstance(rubric, Path) and not (isinstance(rubric, str) and _looks_like_file(rubric)):
        return parse_rubrics(rubric)
    value = read_yaml(rubric)
    if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
        value = [{"name": name, **item} for name, item in value.items()]
    try:
        return parse_rubrics(value)
    except RubricError as error:
        raise RubricError(f"{rubric}: {error}") from error


def _engine(config: JudgeConfig) -> Engine:
    match config.engine:
        case "transformers":
            from prom_reward.engines.local.transformers_engine import TransformersEngine

            return TransformersEngine(
                model_source(config),
                conversation=CONVERSATIONS[config.conversation],
                context_length=config.context_length,
                decode_batch_size=config.decode_batch_size,
                offload=config.offload,
            )
        case "vllm":
            from prom_reward.engines.vllm_engine import VllmEngine

            return VllmEngine(
                model_source(config),
                conversation=CONVERSATIONS[config.conversation],
                context_length=config.context_length,
                options=config.vllm,
            )
        case "openai":
            assert config.server is not None
            from prom_reward.engines.server.openai_engine import OpenAIEngine

            return OpenAIEngine(
                config.server,
                conversation=CONVERSATIONS[config.conversation],
                system_separator=SYSTEM_SEPARATORS.get(config.conversation),
                tokenizer=model_source(config) if config.model or config.tokenizer else None,
                context_length=config.context_length,
            )


def _check_stamp(config: JudgeConfig, adapter: str) -> None:
    """Warn if an adapter was trained on other prompts than it will get."""
    from prom_reward.engines.model.adapter_stamp import read_stamp
    from prom_reward.engines.model.loading import resolve_path

    stamp = read_stamp(resolve_path(adapter))
    used = {
        "prompt_style": config.prompt_style,
        "layout": config.layout,
        "conversation": config.conversation,
        "guard": GUARD_VERSION if config.guard else None,
    }
    known = {key: [stamp.get(key, value)] for key, value in used.items()}
    layouts = stamp.get("layouts")
    known["layout"] = list(layouts) if isinstance(layouts, Mapping) else [config.layout]
    for key, value in used.items():
        trained = known[key]
        is_alike = key == "guard" and all(one in list(ALIKE_GUARDS) for one in (value, *trained))
        if value not in trained and not is_alike:
            shown = " and ".join(ascii(str(one)[:40]).strip("'") for one in trained[:4])
            logger.warning("%s: the adapter was trained with %s %s, not %s", adapter, key, shown, value)


def _calibration(path: str, engine: Engine) -> Calibration:
    """Read a calibration; warn if it was fitted on another judge's scores."""
    calibration = Calibration.load(path)
    if calibration.judge not in ("", engine.identity):
        fitted, used = (ascii(one[:200]).strip("'") for one in (calibration.judge, engine.identity))
        logger.warning("%s: the calibration was fitted on the scores of %s, not of %s", path, fitted, used)
    return calibration


def model_source(config: JudgeConfig) -> "ModelSource":
    """Return the source of a judge's weights."""
    from prom_reward.engines.model.loading import ModelSource

    names = {field.name for field in fields(ModelSource)}
    return ModelSource(**config.model_dump(include=names))


def _judge_settings(judge: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a judge's settings for messages, and the settings."""
    if isinstance(judge, Mapping):
        return "judge", dict(judge)
    text = str(judge)
    if text in judge_presets():
        return text, dict(judge_presets()[text])
    if _looks_like_file(text):
        return text, {"name": Path(text).stem, **as_mapping(read_yaml(text), text)}
    if text.startswith(("http://", "https://")):
        return "judge", {"name": _host(text), "url": text}
    if Path(text).is_dir():
        return text, {"name": Path(text).name, "model": text}
    if "://" not in text and text.count("/") == 1 and not text.startswith((".", "/")):
        return text, {"name": text.partition("/")[2], "model": text}
    raise ConfigError(
        f"unknown judge {text!r}; expected one of {', '.join(judge_presets())}, a folder with a model, a hub id "
        f"(owner/name), a server's URL or a YAML file.{near_miss(text, judge_presets())}"
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "server"
    except ValueError:  # the engine reports it
        return "server"


def _preset_settings(preset: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if preset not in judge_presets():
        known = judge_presets()
        raise ConfigError(f"unknown preset {preset!r}; expected one of {', '.join(known)}.{near_miss(preset, known)}")
    return _without_stale_tokenizer(dict(judge_presets()[preset]), settings)


def _without_stale_tokenizer(settings: dict[str, Any], wins: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a preset's tokenizer, GGUF file and adapter if another model is given without its own."""
    if "model" not in wins:
        return settings
    return {
        key: value
        for key, value in settings.items()
        if key in wins or key not in ("tokenizer", "gguf_file", "revision", "adapter")
    }


def _merged(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**settings, **overrides}
    for part in ("sampling", "server"):
        if isinstance(settings.get(part), Mapping) and isinstance(overrides.get(part), Mapping):
            merged[part] = {**settings[part], **overrides[part]}
    return merged


def _looks_like_file(text: str) -> bool:
    return "\n" not in text and text.lower().endswith((".yaml", ".yml", ".json"))


def as_mapping(value: Any, where: str | Path) -> dict[str, Any]:
    """Return settings as a dict; raise ConfigError if they are no mapping."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    raise ConfigError(f"{where}: got {type(value).__name__}; expected a mapping of settings")
