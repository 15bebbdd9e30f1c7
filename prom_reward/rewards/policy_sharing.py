"""Runs a reward's judge on the policy's own weights."""

from typing import Any

from prom_reward.errors import ConfigError
from prom_reward.judging.base import Judge
from prom_reward.judging.judge import PrometheusJudge


def judge_on_policy(judge: Judge, policy: Any) -> Judge:
    """Return the judge on the policy's own weights.

    Args:
        judge: A judge whose engine is a `TransformersEngine`.
        policy: A trainer, or a `peft.PeftModel`.

    Raises:
        ConfigError: The judge runs no weights in this process, the trainer shards its model (ZeRO-3, FSDP), or the
            policy cannot carry the judge.
    """
    from prom_reward.engines.local.adapter_engine import AdapterEngine
    from prom_reward.engines.local.transformers_engine import TransformersEngine

    engine = judge.engine if isinstance(judge, PrometheusJudge) else None
    engine = engine.beside if isinstance(engine, AdapterEngine) else engine  # from an earlier policy
    if not isinstance(judge, PrometheusJudge) or not isinstance(engine, TransformersEngine):
        raise ConfigError(
            f"got {judge!r:.80}; expected a judge that runs its weights in this process, for example "
            "load_judge('smollm2-135m')"
        )
    return judge.with_engine(AdapterEngine(engine, _policy_of(policy)))


def _policy_of(trainer: Any) -> Any:
    """Return a trainer's policy without wrappers, or a model as it is."""
    accelerator = getattr(trainer, "accelerator", None)
    if accelerator is None:
        return trainer
    zero_stage = getattr(getattr(accelerator.state, "deepspeed_plugin", None), "zero_stage", 0)
    if zero_stage == 3 or getattr(accelerator.state, "fsdp_plugin", None) is not None:
        raise ConfigError(
            "got a trainer with ZeRO-3 or FSDP; expected whole weights on every rank, because ranks judge unequal "
            "numbers of batches: run the judge beside the policy or on a server"
        )
    model = accelerator.unwrap_model(trainer.model)
    return getattr(model, "policy", model)  # PPO trains policy and value model as one module
