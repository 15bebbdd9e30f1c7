"""A stand-in for vLLM: what the engine uses of its interface, with a transformers model inside.

It has no prefix cache and computes every sequence anew at every step.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import torch

from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.vllm_model import _models


@dataclass(kw_only=True)
class _SamplingParams:
    """The fields that the engine sets in every release."""

    max_tokens: int
    temperature: float
    top_p: float
    repetition_penalty: float
    seed: int | None
    stop_token_ids: list[int]
    ignore_eos: bool
    detokenize: bool
    output_kind: str


@dataclass(kw_only=True)
class SamplingParams(_SamplingParams):
    """Those of a release that tells the tokens that are asked for."""

    logprob_token_ids: list[int]


@dataclass(kw_only=True)
class OldSamplingParams(_SamplingParams):
    """Those of a release that only tells the likeliest tokens."""

    logprobs: int


class LLM:
    """Loads a folder as `vllm.LLM` does; `llm_engine` is itself."""

    made: ClassVar[list[dict[str, Any]]] = []
    """The arguments of every LLM."""

    def __init__(self, model: str, dtype: str, max_model_len: int | None = None, **other: Any) -> None:
        known = {"trust_remote_code", "enable_prefix_caching", "disable_log_stats", "tokenizer", "revision"}
        known |= {"enable_lora", "max_lora_rank", "max_num_seqs"}
        if set(other) - known:
            raise TypeError(f"unexpected keyword argument {min(set(other) - known)!r}\nand more")
        self.made.append({"model": model, "dtype": dtype, "max_model_len": max_model_len, **other})
        self._source = ModelSource(model=model, dtype=dtype, device="cpu")
        self._weights: dict[str | None, Any] = {}
        limit = self._model(None).config.max_position_embeddings
        self._generation_config = self._model(None).generation_config.to_diff_dict()
        self.model_config = SimpleNamespace(
            max_model_len=max_model_len or limit, try_get_generation_config=lambda: self._generation_config
        )
        self.llm_engine = self
        self.active: dict[str, Any] = {}

    def add_request(self, name: str, prompt: dict[str, list[int]], params: Any, lora_request: Any = None) -> None:
        ids = prompt["prompt_token_ids"]
        if len(ids) + params.max_tokens > self.model_config.max_model_len:
            raise ValueError("the prompt is too long")
        draws = torch.Generator().manual_seed(params.seed or 0)
        adapter = lora_request.path if lora_request else None
        self.active[name] = SimpleNamespace(ids=list(ids), num=len(ids), params=params, draws=draws, adapter=adapter)

    def abort_request(self, names: list[str]) -> None:
        for name in names:
            self.active.pop(name, None)

    def step(self) -> list[Any]:
        return [self._advance(name, request) for name, request in list(self.active.items())]

    @torch.inference_mode()
    def _advance(self, name: str, request: Any) -> Any:
        params = request.params
        logits = self._model(request.adapter)(torch.tensor([request.ids])).logits[0, -1].float()
        logprobs = logits.log_softmax(-1)
        if params.temperature == 0:
            token = int(logits.argmax())
        else:
            token = int(torch.multinomial((logits / params.temperature).softmax(-1), 1, generator=request.draws))
        if hasattr(params, "logprob_token_ids"):
            told = {token, *params.logprob_token_ids}
        else:
            told = {token, *logprobs.topk(params.logprobs).indices.tolist()}
        request.ids.append(token)
        named = self._generation_config.get("eos_token_id")
        ends = [] if params.ignore_eos or named is None else [named] if isinstance(named, int) else named
        has_ended = token in [*params.stop_token_ids, *ends] or len(request.ids) - request.num >= params.max_tokens
        if has_ended:
            del self.active[name]
        row = {one: SimpleNamespace(logprob=float(logprobs[one])) for one in told}
        completion = SimpleNamespace(token_ids=[token], logprobs=[row])
        return SimpleNamespace(request_id=name, outputs=[completion], finished=has_ended, num_cached_tokens=0)

    def _model(self, adapter: str | None) -> Any:
        if adapter not in self._weights:
            source = ModelSource(model=self._source.model, dtype=self._source.dtype, device="cpu", adapter=adapter)
            self._weights[adapter] = load_model(source).model
        return self._weights[adapter]


def install(monkeypatch: Any, sampling: type = SamplingParams) -> type[LLM]:
    """Put the stand-in where `import vllm` finds it, for one test; returns its LLM."""
    modules = {
        "vllm": {"LLM": LLM, "SamplingParams": sampling},
        "vllm.sampling_params": {"RequestOutputKind": SimpleNamespace(DELTA="delta")},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": lambda name, number, path: SimpleNamespace(path=str(Path(path)))},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    for name in list(_models):
        monkeypatch.delitem(_models, name)
    monkeypatch.setattr(LLM, "made", [])
    return LLM
