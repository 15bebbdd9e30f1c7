"""Computes the logits behind many prompts, every shared beginning once.

It does not know labels or judgments.
"""

import copy
import logging
import sys
from collections.abc import Sequence
from typing import Any, Literal

import torch

from prom_reward.engines.model.forward import forward_last
from prom_reward.engines.model.memory import free_bytes, is_out_of_memory
from prom_reward.engines.prefix.plan import Segment, plan_prefixes
from prom_reward.engines.prefix.tree_attention import is_available
from prom_reward.engines.prefix.tree_prefill import OnRow, OnStates, TreePrefill

logger = logging.getLogger(__name__)

Strategy = Literal["tree", "cached", "plain"]

CACHE_BUDGET_BYTES = 2 << 30
"""Key/value cache that shared beginnings may hold at once."""
_GPU_SHARE = 0.25  # of the GPU's free memory, where that is more
_PROBE_TOKENS = 24
_MIN_TREE_TOKENS = 4  # in a tree a branch costs two small calls a layer


class SharedPrefill:
    """Runs prompts through one model.

    How beginnings are shared is found out once, on a short probe: "tree" computes many segments in one pass without
    a cache, where all layers attend to all tokens; "cached" computes one segment at a time behind a copied cache, for
    sliding windows and the like; "plain" shares nothing, for models whose caches cannot be continued or copied.

    Args:
        model: A causal LM in eval mode.
        cache_budget_bytes: Key/value cache that may be held at once.
        pass_tokens: Tokens of a pass of the "tree" strategy; None chooses by device.
    """

    def __init__(
        self, model: Any, *, cache_budget_bytes: int = CACHE_BUDGET_BYTES, pass_tokens: int | None = None
    ) -> None:
        self._model = model
        self._budget_bytes = cache_budget_bytes
        self._tree = TreePrefill(model, pass_tokens=pass_tokens)
        self._strategies: dict[tuple[str, torch.dtype], Strategy] = {}
        self._token_budgets: dict[torch.device, int] = {}

    def run(self, prompts: Sequence[Sequence[int]], keep: OnRow) -> list[int]:
        """Compute the raw logits (V,) behind every prompt.

        Args:
            prompts: Token ids, at least one a prompt.
            keep: Called with a prompt's index and its logits, which are not held any longer.

        Returns:
            The tokens that were computed for each prompt; a shared segment's for the first prompt that has it.
        """
        if not prompts:
            return []
        strategy = self.strategy
        if strategy == "tree":
            return self.run_tree(prompts, keep)
        plan = plan_prefixes(
            prompts,
            token_budget=0 if strategy == "plain" else self.token_budget,
            rotary_boundary=rotary_boundary(self._model),
        )
        self._run(plan, prompts, keep)
        return _computed(plan, len(prompts))

    def run_tree(self, prompts: Sequence[Sequence[int]], keep: OnRow, keep_states: OnStates | None = None) -> list[int]:
        """Compute all prompts by the "tree" strategy, with their keys and values where they are wanted."""
        # No cache is copied and only one path is held, so no budget cuts what is shared.
        plan = plan_prefixes(prompts, token_budget=sys.maxsize, min_shared_tokens=_MIN_TREE_TOKENS)
        self._tree.run(plan, prompts, keep, keep_states)
        return _computed(plan, len(prompts))

    @property
    def strategy(self) -> Strategy:
        """How beginnings are shared; probes the model at the first use."""
        key = (self._model.device.type, self._model.dtype)
        if key not in self._strategies:
            self._strategies[key] = self._probe()
            logger.info("prefixes of %s: %s", type(self._model).__name__, self._strategies[key])
            if self._strategies[key] == "plain":
                logger.warning(
                    "%s: its cache cannot be shared; every prompt is computed whole", type(self._model).__name__
                )
        return self._strategies[key]

    @property
    def token_budget(self) -> int:
        """Tokens of key/value cache that may be held at once; a device is asked once, so that equal calls are alike."""
        device = self._model.device
        if device not in self._token_budgets:
            free = int(_GPU_SHARE * free_bytes(device)) if device.type == "cuda" else 0
            num_bytes = max(self._budget_bytes, free)
            self._token_budgets[device] = max(1, num_bytes // _cache_bytes_per_token(self._model))
        return self._token_budgets[device]

    def forget_budget(self) -> None:
        """Ask the device anew, after memory ran out: others may have taken it."""
        self._token_budgets.clear()

    def _run(self, plan: Sequence[Segment], prompts: Sequence[Sequence[int]], keep: OnRow) -> None:
        """Compute every segment behind its parent's cache, which its last child takes over."""
        caches: dict[int, Any] = {}
        waiting = [segment.num_children for segment in plan]
        for number, segment in enumerate(plan):
            cache = None
            if segment.parent is not None:
                waiting[segment.parent] -= 1
                is_last = not waiting[segment.parent]
                cache = caches.pop(segment.parent) if is_last else copy.deepcopy(caches[segment.parent])
            ids = prompts[segment.prompt][segment.start : segment.end]
            logits, cache = self._forward(ids, segment.start, cache, segment.num_children > 0)
            if segment.num_children:
                caches[number] = cache
            for index in segment.ends:
                keep(index, logits)

    def _forward(self, ids: Sequence[int], start: int, cache: Any, keeps_cache: bool) -> tuple[torch.Tensor, Any]:
        """Return raw logits (V,) behind the ids, and the cache where something continues it."""
        device = self._model.device
        input_ids = torch.tensor([list(ids)], device=device)
        behind = {"position_ids": torch.arange(start, start + len(ids), device=device)[None]} if start else {}
        rows, cache = forward_last(self._model, input_ids, cache=cache, keeps_cache=keeps_cache, **behind)
        return rows[0], cache

    def _probe(self) -> Strategy:
        """Return the fastest strategy whose logits are those of a plain forward pass."""
        vocabulary = self._model.config.get_text_config().vocab_size
        ids = [(7 * index + 3) % vocabulary for index in range(2 * _PROBE_TOKENS)]
        plain, _ = self._forward(ids, 0, None, False)
        tolerance = {torch.float32: 1e-3}.get(self._model.dtype, 0.1) * float(plain.abs().max())
        probes = {"tree": self._probe_tree, "cached": self._probe_cache}
        candidates: list[Strategy] = ["tree", "cached"] if self._takes_trees() else ["cached"]
        for strategy in candidates:
            try:
                rows = probes[strategy](ids)
            except Exception as error:  # whatever a model's own cache raises, plain prefill still works
                if is_out_of_memory(error):
                    raise  # it says nothing about the model
                logger.debug("%s prefixes do not work: %s", strategy, error)
                continue
            if all(float((row - plain).abs().max()) <= tolerance for row in rows):
                return strategy
        return "plain"

    def _takes_trees(self) -> bool:
        return is_available(self._model) and rotary_boundary(self._model) is None

    def _probe_tree(self, ids: list[int]) -> list[torch.Tensor]:
        """Return the logits of one prompt beside another that shares its first half, in one pass and in two."""
        prompts = [[*ids[:_PROBE_TOKENS], *ids[:_PROBE_TOKENS]], ids]
        rows: list[torch.Tensor] = []
        for pass_tokens in (len(ids) * 2, _PROBE_TOKENS):
            plan = plan_prefixes(prompts, token_budget=sys.maxsize)
            found: dict[int, torch.Tensor] = {}
            TreePrefill(self._model, pass_tokens=pass_tokens).run(plan, prompts, found.__setitem__)
            rows.append(found[1])
        return rows

    def _probe_cache(self, ids: list[int]) -> list[torch.Tensor]:
        """Return the logits of a prompt whose first half was continued before in a copied cache."""
        _, cache = self._forward(ids[:_PROBE_TOKENS], 0, None, True)
        branch = copy.deepcopy(cache)
        self._forward(ids[:_PROBE_TOKENS], _PROBE_TOKENS, branch, True)  # must not touch the original
        row, _ = self._forward(ids[_PROBE_TOKENS:], _PROBE_TOKENS, cache, False)
        return [row]


def _computed(plan: Sequence[Segment], num_prompts: int) -> list[int]:
    """Return the tokens that a plan computes for each prompt."""
    computed = [0] * num_prompts
    for segment in plan:
        computed[segment.prompt] += segment.end - segment.start
    return computed


def _cache_bytes_per_token(model: Any) -> int:
    """Return the size of one token's keys and values over all layers; without heads, of as many hidden states."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None) or 1
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    heads = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


def rotary_boundary(model: Any) -> int | None:
    """Return the length beyond which the model turns positions differently, if there is one."""
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [one for one in (rope, *rope.values()) if isinstance(one, dict)]
    if not any(one.get("rope_type") in ("longrope", "dynamic") for one in kinds):
        return None
    originals = [one.get("original_max_position_embeddings") for one in kinds]
    given = next((length for length in originals if length), None)
    return int(given or getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings)
