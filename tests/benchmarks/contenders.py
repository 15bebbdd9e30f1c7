"""What `bench_judge` times: each contender does a whole workload when it is called."""

from collections.abc import Callable
from functools import cache, partial

import torch
from workloads import FEEDBACK_TOKENS

from prom_reward import PrometheusJudge
from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.decoding import Decoding, decode
from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.types import JudgePrompt

GREEDY = SamplingParams(temperature=0, top_p=1, repetition_penalty=1, max_new_tokens=FEEDBACK_TOKENS)
BATCH_SIZE = 16
IF_NAMED = ("flex", "unpacked", "graphed")
"""Contenders that run only if they are named: one kernel a layer, the engine without packed layers, CUDA graphs."""
PLAIN = ("one_by_one", "padded_16", "generate")
"""Contenders that compute every token of every prompt."""
ON_VLLM = ("vllm", "vllm_engine", "prometheus_eval")

Contenders = dict[str, Callable[[], object]]


def contenders(judge: PrometheusJudge, prompts: list[JudgePrompt], *, writes_feedback: bool) -> Contenders:
    """Return the engine and what transformers offers; in feedback mode of a fixed length for all."""
    batches, plain = judge.engine.batches, _plain_model(judge)
    contexts = [batches.tokens.context_ids(prompt) for prompt in prompts]
    if writes_feedback:
        return _feedback_contenders(batches, plain, contexts)
    engine = {"engine": lambda: judge.engine.generate(prompts, judge.sampling)}
    return engine | _score_contenders(batches, plain, contexts)


@cache
def _plain_model(judge: PrometheusJudge):
    """Return the judge's model as transformers loads it: the engine packs the layers of its own on a CPU."""
    source = judge.engine.source
    return load_model(source).model if isinstance(source, ModelSource) else source.model


def _score_contenders(batches, model, contexts: list[list[int]]) -> Contenders:
    def one_by_one():
        for ids in contexts:
            model(torch.tensor([ids], device=model.device), use_cache=False, logits_to_keep=1)

    def padded_16():
        for batch in _padded_batches(batches, contexts):
            positions = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
            model(**batch, position_ids=positions, use_cache=False, logits_to_keep=1)

    shared = SharedPrefill(model)
    prefill = SharedPrefill(batches.loaded.model, attention="flex_attention")  # compiled at its first use

    def flex():
        list(prefill.run(contexts))
        if prefill.attention != "flex_attention":
            raise SystemExit("flex_attention is not used here; the warning above says why")

    unpacked = lambda: list(shared.run(contexts))  # noqa: E731
    return {"one_by_one": one_by_one, "padded_16": padded_16, "flex": flex, "unpacked": unpacked}


def _feedback_contenders(batches, model, contexts: list[list[int]]) -> Contenders:
    pad = batches.loaded.tokenizer.pad_token_id

    def write(writer, prefill, mode="batched"):
        for start in range(0, len(contexts), BATCH_SIZE):
            batch = [
                Decoding(
                    prompt_ids=ids,
                    max_new_tokens=FEEDBACK_TOKENS,
                    seed=0,
                    is_done=lambda _: False,
                )
                for ids in contexts[start : start + BATCH_SIZE]
            ]
            decode(writer, batch, GREEDY, frozenset(), prefill, mode=mode)

    def generate():
        for batch in _padded_batches(batches, contexts):
            size = {"min_new_tokens": FEEDBACK_TOKENS, "max_new_tokens": FEEDBACK_TOKENS}
            model.generate(**batch, **size, do_sample=False, pad_token_id=pad)

    return {
        "engine": partial(write, batches.loaded.model, batches.prefill),
        "graphed": partial(write, batches.loaded.model, batches.prefill, "graphed"),
        "generate": generate,
        "unpacked": partial(write, model, SharedPrefill(model)),
    }


def _padded_batches(batches, contexts: list[list[int]]):
    pad, device = batches.loaded.tokenizer.pad_token_id, batches.loaded.model.device
    for start in range(0, len(contexts), BATCH_SIZE):
        batch = contexts[start : start + BATCH_SIZE]
        width = max(map(len, batch))
        ids = [[pad] * (width - len(one)) + one for one in batch]
        mask = [[0] * (width - len(one)) + [1] * len(one) for one in batch]
        yield {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }
