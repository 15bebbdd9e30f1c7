"""The in-process engine: any causal LM that transformers loads, on a CPU or on GPUs."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prom_reward.engines.base import Engine, Generation, SamplingParams, conversation_name
from prom_reward.engines.local.batches import Batches
from prom_reward.engines.model.adapter_stamp import weights_digest
from prom_reward.engines.model.devices import device_settings, resolve_device, resolve_dtype
from prom_reward.engines.model.identity import source_identity, states_identity
from prom_reward.engines.model.loading import LoadedModel, load_model
from prom_reward.engines.model.memory import reuse_freed_memory
from prom_reward.engines.model.packed import pack_linears
from prom_reward.engines.model.sessions import judging, judging_on
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.prefix.tree_prefill import Attention
from prom_reward.errors import ConfigError, WorkError, check_flags
from prom_reward.types import Conversation, JudgePrompt

Session = Callable[[Any], AbstractContextManager[None]]
"""A context for one call: puts the model into the state in which it judges, and back."""

_loading = threading.Lock()  # async rewards run in threads: a judge that they share is loaded once


class TransformersEngine(Engine):
    """Runs a judge's weights in this process.

    Args:
        source: Origin of the weights, which are loaded at the first use; or a loaded model, which the engine shares
            and which cannot be pickled.
        conversation: Makes the judge's conversation for its tokenizer, for example an entry of
            `prom_reward.prompts.conversation.CONVERSATIONS`.
        context_length: Tokens that prompt and answer may take together; None takes the model's own.
        decode_batch_size: Feedbacks that are decoded together; None chooses by device, see `Batches`.
        attn_implementation: "sdpa" attends by calls of torch's own kernels; "flex_attention" by one kernel a layer,
            which is compiled at the first use.
        cuda_graphs: Decode feedback by CUDA graphs, if the model's logits stay the same.
        offload: Keep the weights on the CPU between calls, if a policy on the same GPU needs the memory.
        session: Context for every call; None is eval mode without gradients.

    Raises:
        ConfigError: `offload` with weights that are spread over devices or quantized; `cuda_graphs` without a GPU.
    """

    def __init__(
        self,
        source: ModelSource | LoadedModel,
        *,
        conversation: Callable[[Any], Conversation],
        context_length: int | None = None,
        decode_batch_size: int | None = None,
        attn_implementation: Attention = "sdpa",
        cuda_graphs: bool = False,
        offload: bool = False,
        session: Session | None = None,
    ) -> None:
        check_flags(offload=offload, cuda_graphs=cuda_graphs)
        if offload and isinstance(source, ModelSource) and (source.device_map or source.quantization):
            raise ConfigError(
                f"got offload with device_map={source.device_map!r}, quantization={source.quantization!r}; "
                "expected neither: only plain weights on one device can be moved between calls"
            )
        if cuda_graphs:
            _require_cuda(source)
        self._source = source
        self._conversation_factory = conversation
        self._context_length = context_length
        self._decode_batch_size = decode_batch_size
        self._attn_implementation: Attention = attn_implementation
        self._cuda_graphs = cuda_graphs
        self._offload = offload
        self._session = session
        self._home: torch.device | None = None
        self._batches: Batches | None = None
        self._identity: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._source, LoadedModel):
            raise WorkError("an engine around a loaded model cannot be pickled; make it from a ModelSource")
        return {**self.__dict__, "_batches": None, "_identity": None}

    @property
    def batches(self) -> Batches:
        """The loaded model with its tokenizer and conversation; loads the weights at the first use."""
        if self._batches is None:
            with _loading:
                self._batches = self._batches or self._load()
        return self._batches

    @property
    def loaded(self) -> LoadedModel:
        """The loaded model; loads the weights at the first use."""
        return self.batches.loaded

    def load(self) -> None:
        """Load the weights and probe the model now; raise as `load_model` does, and if the model cannot judge."""
        with self._judging(self.loaded.model):
            _ = self.batches.prefill.strategy

    def _load(self) -> Batches:
        with torch.inference_mode(False):  # weights that are made in inference mode cannot be changed outside of it
            loaded = self._source if isinstance(self._source, LoadedModel) else load_model(self._source)
            if loaded is not self._source and loaded.device.type == "cpu":  # a caller's own model stays as it is
                pack_linears(loaded.model)
        self._home = loaded.device
        if loaded.device.type == "cpu":
            reuse_freed_memory()
        conversation = self._conversation_factory(loaded.tokenizer)
        return Batches(
            loaded,
            conversation,
            decode_batch_size=self._decode_batch_size,
            attn_implementation=self._attn_implementation,
            cuda_graphs=self._cuda_graphs,
        )

    def on(self, loaded: LoadedModel, session: Session) -> "TransformersEngine":
        """Return this engine on a model that is loaded already, with a context for every call."""
        return TransformersEngine(
            loaded,
            conversation=self._conversation_factory,
            context_length=self._context_length,
            decode_batch_size=self._decode_batch_size,
            attn_implementation=self._attn_implementation,
            cuda_graphs=self._cuda_graphs,
            session=session,
        )

    @property
    def source(self) -> ModelSource | LoadedModel:
        """Origin of the weights."""
        return self._source

    @property
    def fingerprint(self) -> str:
        """The identity, and the dtype on this machine; loads no weights."""
        source = self._source
        if isinstance(source, LoadedModel):
            return f"{self.identity}|{source.dtype}"
        return f"{self.identity}|{source.quantization or resolve_dtype(source.dtype, resolve_device(source.device))}"

    @property
    def identity(self) -> str:
        """The weights' origin and digest, the conversation and the given context: the same on every machine."""
        if self._identity is None:
            parts = (self._conversation_name, self._context_length)
            if isinstance(self._source, ModelSource):
                self._identity = f"transformers:{source_identity(self._source, *parts)}"
            else:
                name = self._source.model.config.name_or_path
                self._identity = "transformers:" + "|".join(str(part or "") for part in (name, *parts))
        return self._identity

    @property
    def states_identity(self) -> str:
        """Digests of weights and tokenizer, and the conversation; the dtype only rounds."""
        if isinstance(self._source, LoadedModel):
            return f"{weights_digest(self._source.model)}|{self._conversation_name}"
        return states_identity(self._source, self._conversation_name)

    @property
    def machine(self) -> dict[str, Any]:
        """The device, how many feedbacks are decoded together there if that is given, and the chosen kernels."""
        device = self._source.device
        settings = device_settings(device if isinstance(device, torch.device) else resolve_device(device))
        chosen = {"decode_batch_size": self._decode_batch_size, "attn_implementation": self._attn_implementation}
        return {**settings, **chosen, **({"cuda_graphs": True} if self._cuda_graphs else {})}

    @property
    def context_length(self) -> int | None:
        """The given length, else the model's `max_position_embeddings`."""
        if self._context_length is not None:
            return self._context_length
        config = self.loaded.model.config
        config = config.get_text_config() if hasattr(config, "get_text_config") else config
        length = getattr(config, "max_position_embeddings", None)
        return int(length) if length else None

    def count_tokens(self, prompt: JudgePrompt) -> int:
        """Return the number of tokens of the rendered prompt, BOS and prefix included."""
        return len(self.batches.tokens.context_ids(prompt))

    def fits(self, prompt: JudgePrompt, sampling: SamplingParams) -> bool:
        """Return whether the prompt leaves room for the longest answer and its verdict."""
        return self.batches.tokens.fits(prompt, sampling, self.context_length)

    def generate(self, prompts: Sequence[JudgePrompt], sampling: SamplingParams) -> list[Generation]:
        """Answer every prompt, in order; see `prom_reward.engines.base.Engine.generate`."""
        with self._judging(self.loaded.model):
            return self.batches.answer(prompts, sampling, context_length=self.context_length)

    def states(self, prompts: Sequence[JudgePrompt]) -> NDArray[np.float32]:
        """Return the last hidden state (N, H) at the score of each prompt; see `prom_reward.engines.base.Engine`."""
        with self._judging(self.loaded.model):
            return self.batches.states(prompts)

    @property
    def _conversation_name(self) -> str:
        return conversation_name(self._conversation_factory)

    def _judging(self, model: Any) -> AbstractContextManager[None]:
        """Return the context for a call."""
        if self._session is not None:
            return self._session(model)
        return judging_on(self._home, model) if self._offload and self._home is not None else judging(model)


def _require_cuda(source: ModelSource | LoadedModel) -> None:
    """Raise ConfigError if the weights are not for a CUDA device."""
    device = source.device if isinstance(source.device, torch.device) else resolve_device(source.device)
    if device.type != "cuda":
        raise ConfigError(f"got cuda_graphs on device {device}; expected a CUDA device, or leave cuda_graphs out")
