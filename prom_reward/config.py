"""Settings become judges and rubrics. The only place that chooses between engines."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from prom_reward.engines.base import Engine
from prom_reward.engines.server.source import DECISION_APIS
from prom_reward.errors import ConfigError, check_flags
from prom_reward.judging.base import Judge
from prom_reward.judging.cache import JudgmentCache
from prom_reward.judging.calibration import Calibration
from prom_reward.judging.composed.cascade import CascadeJudge
from prom_reward.judging.composed.panel import PanelJudge
from prom_reward.judging.flags import FlagPolicy
from prom_reward.judging.head import ScoreHead
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.judging.served_judge import ServedJudge, served_judge
from prom_reward.prompts.conversation import SYSTEM_SEPARATORS, conversation_factory, render_text
from prom_reward.prompts.guard.neutralize import ALIKE_GUARDS, GUARD_VERSION
from prom_reward.rubrics.reading import AnyRubric, RubricLike, read_rubrics
from prom_reward.settings.checks import check_weights
from prom_reward.settings.composed import CascadeConfig, PanelConfig, composed_config
from prom_reward.settings.judges import JudgeConfig, JudgeOverrides
from prom_reward.settings.resolution import judge_config, judge_presets
from prom_reward.types import JudgePrompt

if TYPE_CHECKING:
    from prom_reward.engines.model.source import ModelSource

logger = logging.getLogger(__name__)

_SERVED_APIS = ("auto", "prom-reward")

PromptRenderer = Callable[[JudgePrompt], str]


def load_judge(
    judge: str | Path | Mapping[str, Any], *, check: bool = False, **overrides: Unpack[JudgeOverrides]
) -> Judge:
    """Make a judge. Its weights are loaded when it is first used, or now with `check=True`.

    Args:
        judge: A preset's name (`prom-reward judges` lists them), a YAML file, a folder with a causal LM or with an
            adapter of `prom-reward train-judge`, a hub id (`owner/name`), the URL of an OpenAI-compatible server or
            of a `prom-reward serve`, or a mapping of settings.
        check: Load the weights now, or ask the server whether it is there.
        overrides: Settings that win over the judge's own: the fields of `prom_reward.settings.judges.JudgeConfig`, for
            example `model="/weights/prometheus"`, `mode="score"`, `sampling={"seed": 1}`.

    Returns:
        A judge with `grade` and `compare`: a PrometheusJudge, a ServedJudge for a `prom-reward serve`, or a
        CascadeJudge or PanelJudge for a file with the key `cascade` or `panel`.

    Raises:
        ConfigError: The judge or a setting is unknown (the message names the near miss), or the judge's folder holds no
            model.
        ModelLoadError: With `check`, the weights cannot be loaded.
    """
    check_flags(check=check)
    composed = composed_config(judge)
    if composed is not None:
        made: Judge = _composed_judge(composed, overrides)
    else:
        config = judge_config(judge, **overrides)
        made = _served_judge(config) or _prometheus_judge(config)
    if check:
        made.load()
    return made


def load_prometheus_judge(
    judge: str | Path | Mapping[str, Any], **overrides: Unpack[JudgeOverrides]
) -> PrometheusJudge:
    """Make a judge of one model whose prompts and guard are this process's; else as `load_judge`.

    Raises:
        ConfigError: The settings are those of several judges, or the judge is that of a `prom-reward serve`.
    """
    if composed := composed_config(judge):
        raise ConfigError(f"{composed.name}: got several judges; expected one, because this reads its own settings")
    config = judge_config(judge, **overrides)
    if config.server is not None and config.server.api in _SERVED_APIS and (served := served_judge(config.server)):
        raise ConfigError(
            f"{config.server.url}: got the judge of a `prom-reward serve`; expected {served.name!r} itself, or a "
            "server that runs its weights, because this reads a judge's own settings"
        )
    return _prometheus_judge(config)


def _composed_judge(config: CascadeConfig | PanelConfig, overrides: Mapping[str, Any]) -> Judge:
    if overrides:
        raise ConfigError(
            f"got {', '.join(overrides)} for {config.name!r}; expected them in the settings of its judges"
        )
    if isinstance(config, PanelConfig):
        return PanelJudge([load_judge(one) for one in config.judges], aggregate=config.aggregate, name=config.name)
    rule = config.model_dump(include={"budget", "max_calls", "by", "name"})
    return CascadeJudge(load_judge(config.cheap), load_judge(config.strong), **rule)


def _served_judge(config: JudgeConfig) -> ServedJudge | None:
    """Return the judge of a `prom-reward serve` if the settings are the URL of one."""
    if config.server is None or config.server.api not in _SERVED_APIS:
        return None
    more = sorted(config.model_fields_set - {"name", "engine", "url", "api", "server"})
    if more and config.server.api == "prom-reward":
        raise ConfigError(
            f"got {', '.join(more)} and server.api 'prom-reward'; that judge has its own settings: give them to "
            "`prom-reward serve`"
        )
    return None if more else served_judge(config.server)


def _prometheus_judge(config: JudgeConfig) -> PrometheusJudge:
    check_weights(config)
    if config.adapter and config.url is None:
        _check_stamp(config, config.adapter)
    calibration = Calibration.load(config.calibration) if config.calibration else None
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
        level_order=config.level_order,
        score_temperature=config.score_temperature,
        calibration=calibration,
        cache=JudgmentCache(config.cache, max_bytes=config.cache_mb << 20) if config.cache else None,
        criterion_text=config.criterion_text,
        criteria_notes=config.criteria_notes,
        head=ScoreHead.load(config.head) if config.head else None,
        flags=FlagPolicy(config.on_flag, config.detectors),
        name=config.name,
    )
    made.taught_to_rank, made.pairs_note = config.taught_to_rank, config.pairs_note
    if calibration is not None:
        _check_calibration(calibration, str(config.calibration), made)
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
    make = conversation_factory(config.conversation, config.chat_template_kwargs)
    return partial(render_text, make(tokenizer))


def load_policy(policy: str) -> tuple[Any, Any]:
    """Load a policy to train, with its tokenizer: a preset's weights in fp32, a folder or a hub id.

    Raises:
        ModelLoadError: The weights cannot be loaded.
    """
    from prom_reward.engines.model.loading import load_trainable
    from prom_reward.engines.model.source import ModelSource

    is_preset = policy in judge_presets()
    return load_trainable(model_source(judge_config(policy)) if is_preset else ModelSource(model=policy))


def load_rubric(rubric: RubricLike) -> tuple[AnyRubric, ...]:
    """Read one rubric or checklist, or several.

    Args:
        rubric: A YAML or JSON file with a rubric, a list of them, or a mapping of names to rubrics; or anything
            that `read_rubrics` takes.

    Raises:
        RubricError: It cannot be read as a rubric.
        ConfigError: The file does not exist or is no YAML.
    """
    return read_rubrics(rubric)


def _engine(config: JudgeConfig) -> Engine:
    match config.engine:
        case "transformers":
            from prom_reward.engines.local.transformers_engine import TransformersEngine

            return TransformersEngine(
                model_source(config),
                conversation=conversation_factory(config.conversation, config.chat_template_kwargs),
                context_length=config.context_length,
                decode_batch_size=config.decode_batch_size,
                attn_implementation=config.attn_implementation,
                cuda_graphs=config.cuda_graphs,
                offload=config.offload,
            )
        case "vllm":
            from prom_reward.engines.vllm_engine import VllmEngine

            return VllmEngine(
                model_source(config),
                conversation=conversation_factory(config.conversation, config.chat_template_kwargs),
                context_length=config.context_length,
                options=config.vllm,
            )
        case "openai":
            assert config.server is not None
            if config.server.api in DECISION_APIS:
                from prom_reward.engines.server.decisions.decision_engine import DecisionEngine

                return DecisionEngine(config.server)
            from prom_reward.engines.server.openai_engine import OpenAIEngine

            return OpenAIEngine(
                config.server,
                conversation=conversation_factory(config.conversation, config.chat_template_kwargs),
                system_separator=SYSTEM_SEPARATORS.get(config.conversation),
                tokenizer=model_source(config) if config.model or config.tokenizer else None,
                context_length=config.context_length,
                chat_template_kwargs=config.chat_template_kwargs,
            )


def _check_stamp(config: JudgeConfig, adapter: str) -> None:
    """Warn if an adapter was trained on other prompts than it will get."""
    from prom_reward.engines.model.adapter_stamp import read_stamp
    from prom_reward.engines.model.source import resolve_path

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


def _check_calibration(calibration: Calibration, path: str, judge: PrometheusJudge) -> None:
    """Warn if a calibration was fitted on another judge's scores."""
    if calibration.judge not in ("", judge.scores_identity):
        is_of_weights = calibration.judge.startswith(f"{judge.engine.identity}|")
        what = "with other prompts or another tuning" if is_of_weights else "of another judge, or of other weights"
        logger.warning("%s: the calibration was fitted on scores %s than %s's: fit it again", path, what, judge.name)


def model_source(config: JudgeConfig) -> "ModelSource":
    """Return the source of a judge's weights."""
    from prom_reward.engines.model.source import ModelSource

    names = {field.name for field in fields(ModelSource)}
    return ModelSource(**config.model_dump(include=names))
