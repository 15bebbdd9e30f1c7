"""Judges by name, file, folder or URL: the settings that each of these means."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from prom_reward.engines.server.source import DECISION_APIS
from prom_reward.errors import ConfigError, near_miss
from prom_reward.files import is_file, names_hub_repository, names_settings_file, read_yaml
from prom_reward.settings.checks import check_decisions, check_engine
from prom_reward.settings.judges import JudgeConfig
from prom_reward.settings.validation import validated

_FILE_KEYS, _FOLDER_KEYS = ("calibration", "head"), ("model", "adapter", "tokenizer")


@cache
def judge_presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the settings of all known judges by name."""
    text = resources.files("prom_reward").joinpath("presets/judges.yaml").read_text(encoding="utf-8")
    presets: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {name: {"name": name, **settings} for name, settings in presets.items()}


def judge_config(judge: str | Path | Mapping[str, Any], **overrides: Any) -> JudgeConfig:
    """Return the validated settings of a judge; see `load_judge`."""
    if not isinstance(judge, str | Path | Mapping):
        raise ConfigError(f"got a judge of type {type(judge).__name__}; expected a name, a path, a URL or a mapping")
    given = {*overrides}
    if not isinstance(judge, Mapping) and _is_adapter_folder(judge):
        overrides = {"adapter": str(judge), **overrides}
    where, settings = _judge_settings(judge)
    if where not in judge_presets():
        given |= settings.keys()
    settings = _merged(_without_stale_parts(settings, overrides), overrides)
    if settings.get("preset") is not None:
        settings = _merged(_preset_settings(str(settings["preset"]), settings), settings)
    if settings.get("url") is not None:
        settings.setdefault("engine", "openai")
    config = validated(JudgeConfig, settings, where)
    if config.server is not None and config.server.api in DECISION_APIS:
        config = _decision_config(config, where, given)
    check_engine(config, where, given)
    is_asked = "num_samples" in overrides or ("num_samples" in given and "mode" not in overrides)
    if is_asked and config.num_samples > 1 and config.mode == "score":
        raise ConfigError(
            f"{where}: got num_samples={config.num_samples} and mode='score', which samples nothing; "
            "expected mode: feedback, or no num_samples"
        )
    if not config.model and config.url is None:
        raise ConfigError(f"{where}: missing key 'model'; it has no default")
    return config


def settings_of(judge: str) -> dict[str, Any]:
    """Return what a YAML file would hold for a judge that has none: its preset, or its own settings.

    Raises:
        ConfigError: The judge is unknown.
    """
    if judge in judge_presets():
        return {"preset": judge}
    settings = _judge_settings(judge)[1]
    own = {key: value for key, value in settings.items() if key != "name"}
    return {**own, "adapter": str(Path(judge).resolve())} if _is_adapter_folder(judge) else own


def _decision_config(config: JudgeConfig, where: str, given: Collection[str]) -> JudgeConfig:
    """Return the settings of a judge at a decision endpoint, which brings its own prompts."""
    check_decisions(config, where, given)
    if config.preset is not None or where in judge_presets():
        raise ConfigError(f"{where}: got a preset and a decision endpoint, which writes its own prompts; give its url")
    return config.model_copy(update={"mode": "score", "prompt_style": "decision"})


def _judge_settings(judge: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a judge's settings for messages, and the settings."""
    if isinstance(judge, Mapping):
        return "judge", dict(judge)
    text = str(judge)
    if text in judge_presets():
        return text, dict(judge_presets()[text])
    if text.startswith(("http://", "https://")):
        return "judge", {"name": _host(text), "url": text}
    if names_settings_file(text):
        return text, {"name": Path(text).stem, **_with_files_beside(as_mapping(read_yaml(text), text), Path(text))}
    if _is_folder(text):
        settings = _base_settings(Path(text)) if _is_adapter_folder(text) else {"model": text}
        return text, {"name": Path(text).resolve().name, **settings}
    if names_hub_repository(text):
        return text, {"name": text.partition("/")[2], "model": text}
    raise ConfigError(
        f"unknown judge {text!r}; expected one of {', '.join(judge_presets())}, a folder with a model, a hub id "
        f"(owner/name), a server's URL or a YAML file.{near_miss(text, judge_presets())}"
    )


def judge_beside(judge: str | dict[str, Any], file: Path) -> str | dict[str, Any]:
    """Return a judge that a file names, with the full paths of the files and folders that lie beside it."""
    if isinstance(judge, Mapping):
        return _with_files_beside(judge, file)
    if not judge or judge in judge_presets() or "://" in judge:
        return judge
    path = file.resolve().parent / judge
    return str(path) if is_file(path) or _is_folder(path) else judge


def _with_files_beside(settings: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a file's settings with the full paths of the files and folders that lie beside it."""
    named = {key: settings[key] for key in (*_FILE_KEYS, *_FOLDER_KEYS) if isinstance(settings.get(key), str)}
    beside = {key: file.resolve().parent / name for key, name in named.items() if name}
    found = {key: path for key, path in beside.items() if (_is_folder if key in _FOLDER_KEYS else is_file)(path)}
    return {**settings, **{key: str(path) for key, path in found.items()}}


def _is_adapter_folder(folder: str | Path) -> bool:
    """Whether a folder holds a LoRA adapter and no model of its own."""
    path = Path(folder)
    return _is_folder(path) and (path / "adapter_config.json").is_file() and not (path / "config.json").exists()


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # too long for a name, or with a null character
        return False


def _base_settings(folder: Path) -> dict[str, Any]:
    """Return the judge that an adapter belongs to: by the stamp of `train-judge`, else by peft's base model name."""
    from prom_reward.engines.model.adapter_stamp import judge_settings

    if stamped := judge_settings(folder):
        return stamped
    base = as_mapping(read_yaml(folder / "adapter_config.json"), folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ConfigError(f"{folder}: got an adapter that names no base model; give its judge and adapter='{folder}'")
    return {"model": base}


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "server"
    except ValueError:  # the engine reports it
        return "server"


def _preset_settings(preset: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if preset not in judge_presets():
        known = judge_presets()
        raise ConfigError(f"unknown preset {preset!r}; expected one of {', '.join(known)}.{near_miss(preset, known)}")
    return _without_stale_parts(dict(judge_presets()[preset]), settings)


def _without_stale_parts(settings: dict[str, Any], wins: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what belongs to a preset's weights if another model or adapter is given without its own."""
    of_weights = {"pairs_note"} if wins.get("adapter") else set()
    if "model" in wins:
        of_weights = {"tokenizer", "gguf_file", "revision", "adapter", "pairs_note"}
    return {key: value for key, value in settings.items() if key in wins or key not in of_weights}


def _merged(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**settings, **overrides}
    for part in ("sampling", "server"):
        if isinstance(settings.get(part), Mapping) and isinstance(overrides.get(part), Mapping):
            merged[part] = {**settings[part], **overrides[part]}
    return merged


def as_mapping(value: Any, where: str | Path) -> dict[str, Any]:
    """Return settings as a dict; raise ConfigError if they are no mapping."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    raise ConfigError(f"{where}: got {type(value).__name__}; expected a mapping of settings")
