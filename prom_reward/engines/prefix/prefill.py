"""Computes the logits after many prompts, every shared beginning once."""

import copy
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch

from prom_reward.engines.model.forward import forward_last, is_close
from prom_reward.engines.model.hidden_states import caught_states
from prom_reward.engines.model.memory import free_bytes, is_out_of_memory, unless_out_of_memory
from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.engines.prefix.tree_attention import is_available
from prom_reward.engines.prefix.tree_prefill import Attention, Prefilled, TreePrefill
from prom_reward.engines.prefix.trie import Trie
from prom_reward.engines.prefix.visibility import BLOCK_TOKENS
from prom_reward.errors import ModelLoadError

logger = logging.getLogger(__name__)

Strategy = Literal["tree", "cached", "plain"]

CACHE_BUDGET_BYTES = 2 << 30
"""Key/value cache that shared beginnings may hold at once."""
_GPU_SHARE = 0.25  # of the GPU's free memory, if that is more
_PROBE_TOKENS = 24
_FLEX_PROBE_TOKENS = 2 * BLOCK_TOKENS + _PROBE_TOKENS  # blocks that are seen whole, in part and not at all
_MIN_TREE_TOKENS = 4  # in a tree a branch costs two small calls a layer


class SharedPrefill:
    """Runs prompts through one model.

    A short probe finds out once how beginnings can be shared. "tree" computes many segments in one pass without a
    cache, if all layers attend to all tokens. "cached" computes one segment at a time on a copied cache, for example
    with sliding windows. "plain" shares nothing, if a model's cache cannot be continued or copied.

    Args:
        model: A causal LM in eval mode.
        cache_budget_bytes: Key/value cache that may be held at once.
        pass_tokens: Tokens of a pass of the "tree" strategy; None chooses by device.
        attention: How the "tree" strategy attends; if "flex_attention" does not compile or is not exact, "sdpa" is
            taken with a warning.
    """

    def __init__(
        self,
        model: Any,
        *,
        cache_budget_bytes: int = CACHE_BUDGET_BYTES,
        pass_tokens: int | None = None,
        attention: Attention = "sdpa",
    ) -> None:
        self._model = model
        self._budget_bytes = cache_budget_bytes
        self._pass_tokens = pass_tokens
        self.attention: Attention = attention
        self._strategies: dict[tuple[str, torch.dtype], Strategy] = {}
        self._token_budgets: dict[torch.device, int] = {}

    def run(self, prompts: Sequence[Sequence[int]], *, keeps_hidden: bool = False) -> Iterator[Prefilled]:
        """Compute prompts of at least one token each, and yield each when it is complete, in any order.

        Args:
            prompts: Token ids of each prompt.
            keeps_hidden: Whether to return the last hidden state, too.
        """
        strategy = self.strategy
        if strategy == "tree":
            return self.run_tree(prompts, keeps_hidden=keeps_hidden)
        budget = 0 if strategy == "plain" else self.token_budget
        trie = plan_prefixes(prompts, token_budget=budget, rotary_boundary=rotary_boundary(self._model))
        return self._run_cached(trie, prompts, keeps_hidden)

    def run_tree(
        self, prompts: Sequence[Sequence[int]], *, keeps_states: bool = False, keeps_hidden: bool = False
    ) -> Iterator[Prefilled]:
        """Compute prompts by the "tree" strategy, with their keys and values or last hidden states if asked for."""
        # No cache is copied and only one path is held: sharing needs no budget.
        trie = plan_prefixes(prompts, token_budget=sys.maxsize, min_shared_tokens=_MIN_TREE_TOKENS)
        tree = TreePrefill(self._model, pass_tokens=self._pass_tokens, attention=self.attention)
        return tree.run(trie, prompts, keeps_states=keeps_states, keeps_hidden=keeps_hidden)

    @property
    def strategy(self) -> Strategy:
        """How beginnings are shared; probes the model at the first use."""
        key = (self._model.device.type, self._model.dtype)
        if key not in self._strategies:
            self._strategies[key] = self._probe()
            name = type(self._model).__name__
            logger.info("prefixes of %s: %s", name, self._strategies[key])
            if self._strategies[key] == "plain":
                logger.warning("%s: its cache cannot be shared; every prompt is computed whole", name)
        return self._strategies[key]

    @property
    def token_budget(self) -> int:
        """Tokens of key/value cache that may be held at once; asked once a device, so that equal calls are alike."""
        device = self._model.device
        if device not in self._token_budgets:
            free = int(_GPU_SHARE * free_bytes(device)) if device.type == "cuda" else 0
            per_token = unless_out_of_memory(self._cache_bytes_per_token, device)
            if per_token is None:
                return 1
            self._token_budgets[device] = max(1, max(self._budget_bytes, free) // per_token)
        return self._token_budgets[device]

    def forget_budget(self) -> None:
        """Ask the device again next time, after memory ran out."""
        self._token_budgets.clear()

    def _run_cached(self, trie: Trie, prompts: Sequence[Sequence[int]], keeps_hidden: bool) -> Iterator[Prefilled]:
        """Compute every segment on its parent's cache; the last child takes the cache over."""
        caches: dict[int, Any] = {}
        num_computed = trie.computed_tokens()
        waiting = [segment.num_children for segment in trie.segments]
        for number, segment in enumerate(trie.segments):
            cache = None
            if segment.parent is not None:
                waiting[segment.parent] -= 1
                is_last = not waiting[segment.parent]
                cache = caches.pop(segment.parent) if is_last else copy.deepcopy(caches[segment.parent])
            ids = prompts[segment.prompt][segment.start : segment.end]
            with caught_states(self._model, is_wanted=keeps_hidden) as caught:
                logits, cache = self._forward(ids, segment.start, cache, segment.num_children > 0)
            hidden = caught[-1][-1].float() if keeps_hidden else None
            if segment.num_children:
                caches[number] = cache
            for index in segment.ends:
                yield Prefilled(index=index, logits=logits, num_computed_tokens=num_computed[index], hidden=hidden)

    def _forward(self, ids: Sequence[int], start: int, cache: Any, keeps_cache: bool) -> tuple[torch.Tensor, Any]:
        """Return raw logits (V,) after the ids, and the cache if it is continued."""
        device = self._model.device
        input_ids = torch.tensor([list(ids)], device=device)
        positions = {"position_ids": torch.arange(start, start + len(ids), device=device)[None]} if start else {}
        rows, cache = forward_last(self._model, input_ids, cache=cache, keeps_cache=keeps_cache, **positions)
        return rows[0], cache

    def _probe(self) -> Strategy:
        """Return the fastest strategy whose logits are those of a plain forward pass."""
        takes_trees = is_available(self._model) and rotary_boundary(self._model) is None
        name = type(self._model).__name__
        if self.attention == "flex_attention":
            fault = "not all layers attend to all tokens"
            if takes_trees:
                ids = probe_ids(self._model, 2 * _FLEX_PROBE_TOKENS)
                fault = self._fault(self._probe_tree, ids, self._plain(ids))
            if not fault:
                return "tree"
            logger.warning("%s: flex_attention is not used (%s)", name, fault)
            self.attention = "sdpa"
        ids = probe_ids(self._model, 2 * _PROBE_TOKENS)
        plain = self._plain(ids)
        if takes_trees and not self._fault(self._probe_tree, ids, plain):
            return "tree"
        if not self._fault(self._probe_cache, ids, plain):
            return "cached"
        if not is_close(self._plain(ids), plain, self._model.dtype):
            raise ModelLoadError(f"{name} gives other logits for the same tokens again; expected a deterministic model")
        return "plain"

    def _fault(self, probe: Callable[[list[int]], list[torch.Tensor]], ids: list[int], plain: torch.Tensor) -> str:
        """Return why a probe's rows cannot be trusted; nothing if they are those of a plain forward pass."""
        try:
            rows = probe(ids)
        except Exception as error:  # any error of a model's own cache: plain prefill still works
            if is_out_of_memory(error):
                raise  # it says nothing about the model
            fault = f"{type(error).__name__}: {error}".partition("\n")[0]
            logger.debug("%s does not work: %s", probe.__name__, fault)
            return fault
        is_exact = all(is_close(row, plain, self._model.dtype) for row in rows)
        return "" if is_exact else "its logits differ from a plain forward pass"

    def _plain(self, ids: list[int]) -> torch.Tensor:
        """Return the logits (V,) of a plain forward pass; raise ModelLoadError if the model has none."""
        try:
            return self._forward(ids, 0, None, False)[0]
        except Exception as error:  # whatever a model raises that needs more than tokens
            if is_out_of_memory(error):
                raise
            name, reason = type(self._model).__name__, str(error).strip().partition("\n")[0]
            raise ModelLoadError(
                f"{name} fails on plain tokens: {type(error).__name__}: {reason}; expected a causal LM"
            ) from error

    def _cache_bytes_per_token(self) -> int:
        """Return the bytes of a short prompt's cache for each of its tokens; at least 1, for models without cache."""
        try:
            _, cache = self._forward(probe_ids(self._model, _PROBE_TOKENS), 0, None, True)
        except Exception as error:  # such a model is decoded without its cache
            if is_out_of_memory(error):
                raise
            return 1
        return max(1, _num_bytes(cache) // _PROBE_TOKENS)

    def _probe_tree(self, ids: list[int]) -> list[torch.Tensor]:
        """Return the logits of one prompt beside another that shares its first half, in one pass and in two."""
        half = len(ids) // 2
        prompts = [[*ids[:half], *ids[:half]], ids]
        trie = plan_prefixes(prompts, token_budget=sys.maxsize)
        passes = [
            TreePrefill(self._model, pass_tokens=tokens, attention=self.attention) for tokens in (len(ids) * 2, half)
        ]
        return [one.logits for prefill in passes for one in prefill.run(trie, prompts) if one.index == 1]

    def _probe_cache(self, ids: list[int]) -> list[torch.Tensor]:
        """Return the logits of a prompt whose first half was continued before in a copied cache."""
        _, cache = self._forward(ids[:_PROBE_TOKENS], 0, None, True)
        branch = copy.deepcopy(cache)
        self._forward(ids[:_PROBE_TOKENS], _PROBE_TOKENS, branch, True)  # must not touch the original
        row, _ = self._forward(ids[_PROBE_TOKENS:], _PROBE_TOKENS, cache, False)
        return [row]


def probe_ids(model: Any, num_tokens: int) -> list[int]:
    """Return token ids to probe a model with; low ones, as multimodal models mark images by high ones."""
    vocabulary = getattr(model.config.get_text_config(), "vocab_size", None) or 256
    return [(7 * index + 3) % min(vocabulary, 512) for index in range(num_tokens)]


def _num_bytes(cache: Any, depth: int = 5) -> int:
    """Return the size of all tensors in a cache: in its layers' attributes, lists and mappings."""
    if isinstance(cache, torch.Tensor):
        return cache.numel() * cache.element_size()
    if isinstance(cache, Mapping):
        cache = list(cache.values())
    elif hasattr(cache, "__dict__") and not isinstance(cache, type):
        cache = list(vars(cache).values())
    if not depth or not isinstance(cache, list | tuple):
        return 0
    return sum(_num_bytes(part, depth - 1) for part in cache)


def rotary_boundary(model: Any) -> int | None:
    """Return the length above which the model rotates positions differently, if there is one."""
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [one for one in (rope, *rope.values()) if isinstance(one, dict)]
    if not any(one.get("rope_type") in ("longrope", "dynamic") for one in kinds):
        return None
    originals = [one.get("original_max_position_embeddings") for one in kinds]
    given = next((length for length in originals if length), None)
    return int(given or getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings)
