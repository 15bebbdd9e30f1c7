"""The judge on the policy's own weights: a LoRA adapter of the judge, or the bare base model, inside a PEFT policy."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prom_reward.engines.base import Engine, Generation, SamplingParams
from prom_reward.engines.local.adapter_slot import AdapterSlot, BaseSlot
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.adapter_stamp import read_stamp, weights_digest
from prom_reward.engines.model.adapters import adapter_folder
from prom_reward.engines.model.identity import folder_digest
from prom_reward.engines.model.loading import LoadedModel, load_model, load_tokenizer
from prom_reward.engines.model.sessions import evaluating, model_lock, rng_kept, without_autocast
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ConfigError, WorkError
from prom_reward.types import JudgePrompt

logger = logging.getLogger(__name__)


class AdapterEngine(Engine):
    """Runs a judge inside a policy that has the same base weights; only the judge's adapter takes memory.

    The judge's adapter is in the policy only while it scores. In between the policy is as its owner made it:
    checkpoints, optimizers and resumes never see the judge.

    Args:
        engine: The judge as it would run beside the policy. Its own weights are not kept.
        policy: A `peft.PeftModel` with LoRA adapters, without a trainer's wrapper.

    Raises:
        ConfigError: The policy is no LoRA model, is sharded (ZeRO-3, FSDP), or has another base than the judge; or
            the judge's adapter is no plain LoRA adapter.
    """

    def __init__(self, engine: TransformersEngine, policy: Any) -> None:
        source = engine.source
        if not isinstance(source, ModelSource) or source.quantization:
            raise ConfigError(
                "got a judge whose weights are loaded or quantized; expected one of load_judge with plain weights to "
                "put on the policy"
            )
        _check_policy(policy)
        self._beside = engine
        self._policy = policy
        self._adapter = adapter_folder(source) if source.adapter else None
        self._base_digest = weights_digest(policy.get_base_model())
        _check_same_base(source, self._adapter, self._base_digest)
        self._slot = AdapterSlot(policy, self._adapter) if self._adapter else BaseSlot(policy)
        self._adapter_digest = folder_digest(self._adapter) if self._adapter else "base"
        self._identity = f"policy:{engine.identity}"
        dtype = str(policy.dtype).removeprefix("torch.")
        loaded = LoadedModel(policy.get_base_model(), load_tokenizer(source), dtype)
        self._engine = engine.on(loaded, self._session)

    def __getstate__(self) -> dict[str, Any]:
        raise WorkError("an engine on a policy's weights cannot be pickled; share the policy in its own process")

    @property
    def fingerprint(self) -> str:
        """The identity, the digests of base and adapter, and the policy's dtype."""
        return f"{self.identity}|{self._base_digest}|{self._adapter_digest}|{self._policy.dtype}"

    @property
    def identity(self) -> str:
        """The origin of the judge's weights, and that they are on a policy: the same on every machine."""
        return self._identity

    @property
    def states_identity(self) -> str:
        """The same as beside the policy: base and adapter are the judge's own."""
        return self._beside.states_identity

    @property
    def machine(self) -> dict[str, Any]:
        """The same as beside the policy."""
        return self._engine.machine

    @property
    def context_length(self) -> int | None:
        """The given length, else the model's `max_position_embeddings`."""
        return self._engine.context_length

    @property
    def beside(self) -> TransformersEngine:
        """The judge as it would run beside the policy."""
        return self._beside

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, BOS and prefix included."""
        return self._engine.count_tokens(prompt)

    def fits(self, prompt: JudgePrompt, sampling: SamplingParams) -> bool:
        """Return whether the prompt leaves room for the longest answer and its verdict."""
        return self._engine.fits(prompt, sampling)

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.engines.base.Engine.generate`."""
        return self._engine.generate(prompts, sampling)

    def states(self, prompts: Sequence[JudgePrompt]) -> NDArray[np.float32]:
        """Return the last hidden state (N, H) at the score of each prompt; see `prom_reward.engines.base.Engine`."""
        return self._engine.states(prompts)

    @contextmanager
    def _session(self, base: Any) -> Iterator[None]:
        """Let the policy judge; without inference mode, as tensors cached in it cannot be trained through."""
        with (
            model_lock(self._policy),
            rng_kept(base.device),
            torch.inference_mode(False),
            torch.no_grad(),
            evaluating(self._policy),
            without_autocast(),
            self._slot.active(),
        ):
            yield


def _check_policy(policy: Any) -> None:
    """Refuse a policy that cannot carry a judge."""
    from peft import PeftModel, PeftType

    if not isinstance(policy, PeftModel) or policy.peft_type != PeftType.LORA:
        raise ConfigError(
            f"got {type(policy).__name__} as the policy; expected a peft.PeftModel with LoRA adapters (pass "
            "peft_config= to the trainer), or leave the judge beside the policy"
        )
    for parameter in policy.parameters():
        if hasattr(parameter, "ds_id") or type(parameter).__name__ in ("DTensor", "FlatParameter"):
            raise ConfigError(
                "got a policy sharded by ZeRO-3 or FSDP; expected whole weights on every rank, as the ranks judge "
                "unequal numbers of batches: leave the judge beside the policy or on a server"
            )


def _check_same_base(source: ModelSource, adapter: str | None, digest: str) -> None:
    """Refuse a policy whose base weights are not the judge's, compared by their hash."""
    expected = read_stamp(adapter).get("base_digest") if adapter else None
    if not expected:
        logger.info("the judge's adapter has no digest of %s; it is loaded once to compare", source.model)
        own = replace(source, adapter=None, device="cpu", device_map=None, dtype="bfloat16")
        expected = weights_digest(load_model(own).model)
    if expected != digest:
        raise ConfigError(
            f"got a policy on base weights {digest[:12]}, the judge's are {str(expected)[:12]}; expected the same "
            "weights, or leave the judge beside the policy"
        )
