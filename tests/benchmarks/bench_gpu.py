"""A judge on one GPU, within six minutes, as one table.

    python tests/benchmarks/bench_gpu.py --json out.json
    python tests/benchmarks/bench_gpu.py --device cpu --tiny    # the same code on tiny models: does the script work?

A 7B Mistral of random weights in bf16, then `smollm2-135m-untuned`: a GRPO step, 512 prompts, feedback (`workloads.py`,
`bench_judge.measure`), each beside plain transformers calls; the step with one kernel a layer (FlexAttention), feedback
by CUDA graphs; the 7B judge's answers beside fp32. A part that runs out of memory says so; a part that would begin
after five minutes is left out and named.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from bench_judge import about, measure, peak_bytes, random_judge, reset_peak
from contenders import FEEDBACK_TOKENS, GREEDY
from workloads import workload

from prom_reward import PrometheusJudge, load_judge
from prom_reward.engines.local.decode_probe import probe_decoding
from prom_reward.engines.local.decoding import DecodeMode, Decoding, decode
from prom_reward.engines.model.forward import forward_last, token_logprobs
from prom_reward.engines.model.memory import unless_out_of_memory
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.types import JudgePrompt

LAST_START_S = 300
"""No part begins later; the longest takes well under a minute on an H100."""
NUM_COMPARED = 8  # prompts that are computed in fp32, too


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table."""

    what: str
    value: str
    target: str = ""
    """On an H100."""


Part = Callable[[], Iterator[Figure]]


def scoring(judge: PrometheusJudge, name: str, *, is_tiny: bool, targets: tuple[str, str]) -> Iterator[Figure]:
    """Yield a GRPO step in score mode: the engine beside plain passes; `targets` of a call and of the roofline."""
    work = workload("a", is_quick=is_tiny)
    rows = {row["contender"]: row for row in measure(judge, work, 1 if is_tiny else 3)}
    engine = rows["engine"]
    ms = {contender: 1000 * row["s_per_item"]["median"] for contender, row in rows.items()}
    yield Figure(
        f"{name}, GRPO step of {engine['num_prompts']}: ms a call",
        _ms(ms["engine"] * engine["num_prompts"]),
        targets[0],
    )
    yield Figure(f"{name}, GRPO step: ms an item", _ms(ms["engine"]))
    yield Figure(f"{name}, GRPO step: ms an item, one plain pass a prompt", _ms(ms["one_by_one"]))
    yield Figure(f"{name}, GRPO step: ms an item, padded batches of 16", _ms(ms["padded_16"]))
    yield Figure(f"{name}, GRPO step: roofline", f"{engine['roofline']:.2f}", targets[1])


@torch.inference_mode()
def one_kernel(judge: PrometheusJudge, name: str, *, is_tiny: bool) -> Iterator[Figure]:
    """Yield the GRPO step with one kernel a layer beside the engine's own, and how exact it is."""
    work, model = workload("a", is_quick=is_tiny), judge.engine.loaded.model
    judge.mode, judge.layout = "score", work.layout
    prompts = [judge.grading_prompt(request) for request in work.requests[:NUM_COMPARED]]
    contexts = [judge.engine.batches.tokens.context_ids(prompt) for prompt in prompts]
    prefill, start = SharedPrefill(model, attention="flex_attention"), time.monotonic()
    logits = [one.logits for one in sorted(prefill.run(contexts), key=lambda one: one.index)]
    if prefill.attention != "flex_attention":
        yield Figure(f"{name}, flex_attention", "not used", "the warning above says why")
        return
    yield Figure(f"{name}, flex_attention: s to compile", f"{time.monotonic() - start:.0f}")
    plain = [forward_last(model, torch.tensor([ids], device=model.device), keeps_cache=False)[0][0] for ids in contexts]
    error = max(
        float((ours.log_softmax(-1) - its.log_softmax(-1)).abs().max()) for ours, its in zip(logits, plain, strict=True)
    )
    yield Figure(f"{name}, flex_attention: log-probabilities from plain", f"{error:.0e}")
    rows = {
        row["contender"]: row for row in measure(judge, work, 1 if is_tiny else 3, only=frozenset({"engine", "flex"}))
    }
    ratio = rows["engine"]["s_per_item"]["median"] / rows["flex"]["s_per_item"]["median"]
    yield Figure(f"{name}, flex_attention: times as fast as the engine's own", f"{ratio:.2f}")
    yield Figure(f"{name}, flex_attention: roofline", f"{rows['flex']['roofline']:.2f}", "0.70")


def memory(judge: PrometheusJudge, name: str, *, is_tiny: bool) -> Iterator[Figure]:
    """Yield the peak of 512 prompts in one call over the weights."""
    judge.mode, judge.layout = "score", "prometheus"
    prompts = [judge.grading_prompt(request) for request in workload("f", is_quick=is_tiny).requests]
    model = judge.engine.loaded.model
    reset_peak(model.device)
    judge.engine.generate(prompts, judge.sampling)
    peak = peak_bytes(model.device)
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    yield Figure(f"{name}, {len(prompts)} prompts: peak, GiB", f"{peak / 2**30:.2f}")
    yield Figure(f"{name}, {len(prompts)} prompts: peak over weights", f"{peak / weights:.2f}", "1.40 at most")


def feedback(judge: PrometheusJudge, name: str, *, is_tiny: bool) -> Iterator[Figure]:
    """Yield how fast feedback is written: the engine, without and by CUDA graphs, beside `generate`."""
    batches = judge.engine.batches
    with torch.inference_mode():
        by_graphs = probe_decoding(batches.loaded.model, batches.prefill, cuda_graphs=True) == "graphed"
    only = frozenset({"engine", "generate", *(["graphed"] if by_graphs else [])})
    rows = {row["contender"]: row for row in measure(judge, workload("c", is_quick=is_tiny), 1, only=only)}
    rates = {contender: FEEDBACK_TOKENS / row["s_per_item"]["median"] for contender, row in rows.items()}
    yield Figure(f"{name}, feedback: tokens a second", f"{rates['engine']:.0f}")
    if by_graphs:
        yield Figure(f"{name}, feedback by CUDA graphs: tokens a second", f"{rates['graphed']:.0f}")
        ratio = rates["graphed"] / rates["generate"]
        yield Figure(f"{name}, feedback by CUDA graphs: of `generate`", f"{ratio:.2f}", "2.50")
    else:
        yield Figure(f"{name}, feedback by CUDA graphs", "not used", "the warning above says why")
    yield Figure(
        f"{name}, feedback: of `generate` on padded batches", f"{rates['engine'] / rates['generate']:.2f}", "2.50"
    )


@torch.inference_mode()
def exactness(judge: PrometheusJudge, name: str) -> Iterator[Figure]:
    """Yield how far the engine's scores lie from plain passes, and turn the model into fp32 for it."""
    judge.mode, judge.layout = "score", "prometheus"
    requests = workload("a", is_quick=True).requests[:NUM_COMPARED]
    prompts = [judge.grading_prompt(request) for request in requests]
    model = judge.engine.loaded.model
    half = _engine_scores(judge, prompts), _plain_scores(judge, prompts)
    torch.set_float32_matmul_precision("highest")
    model.float()
    whole = _engine_scores(judge, prompts), _plain_scores(judge, prompts)
    yield Figure(f"{name}, label log-probabilities, fp32: engine from plain", _error(*whole), "1e-04 at most")
    yield Figure(f"{name}, the same, bf16: engine from plain fp32", _error(half[0], whole[1]))
    yield Figure(f"{name}, the same, bf16: plain from plain fp32", _error(half[1], whole[1]), "as the line above")
    generated = _generated(judge, prompts)
    for mode, how in (("batched", ""), ("graphed", " by CUDA graphs")):
        equal = [ours == its for ours, its in zip(_written(judge, prompts, mode), generated, strict=True)]
        yield Figure(f"{name}, greedy feedback{how} in fp32: equals `generate`", f"{sum(equal)} of {len(equal)}", "all")


def _engine_scores(judge: PrometheusJudge, prompts: list[JudgePrompt]) -> torch.Tensor:
    answers = judge.engine.generate(prompts, judge.sampling)
    return torch.tensor([[*one.score_logprobs.values()] for one in answers])


def _plain_scores(judge: PrometheusJudge, prompts: list[JudgePrompt]) -> torch.Tensor:
    tokens, model = judge.engine.batches.tokens, judge.engine.loaded.model
    rows = []
    for prompt in prompts:
        row, _ = forward_last(model, torch.tensor([tokens.context_ids(prompt)], device=model.device), keeps_cache=False)
        labels = tokens.encoder.label_tokens(prompt.labels).tails
        first = token_logprobs(row[0], [tail[0] for tail in labels.values()])
        rows.append([first[tail[0]] for tail in labels.values()])
    return torch.tensor(rows)


def _written(
    judge: PrometheusJudge, prompts: list[JudgePrompt], mode: DecodeMode, num_tokens: int = 16
) -> list[list[int]]:
    """Return what the engine writes in one batch."""
    batches = judge.engine.batches
    sequences = [
        Decoding(
            prompt_ids=batches.tokens.context_ids(prompt),
            max_new_tokens=num_tokens,
            seed=0,
            is_done=lambda _: False,
        )
        for prompt in prompts
    ]
    decode(batches.loaded.model, sequences, GREEDY, frozenset(), batches.prefill, mode=mode)
    return [one.new_ids for one in sequences]


def _generated(judge: PrometheusJudge, prompts: list[JudgePrompt], num_tokens: int = 16) -> list[list[int]]:
    """Return what transformers writes, one prompt at a time."""
    batches = judge.engine.batches
    model, pad = batches.loaded.model, batches.loaded.tokenizer.pad_token_id
    size = {"min_new_tokens": num_tokens, "max_new_tokens": num_tokens, "do_sample": False, "pad_token_id": pad}
    found = []
    for prompt in prompts:
        ids = torch.tensor([batches.tokens.context_ids(prompt)], device=model.device)
        found.append(model.generate(ids, attention_mask=torch.ones_like(ids), **size)[0, ids.shape[1] :].tolist())
    return found


def _ms(value: float) -> str:
    return f"{value:.2f}"


def _error(first: torch.Tensor, second: torch.Tensor) -> str:
    return f"{(first - second).abs().max():.0e}"


def run(parts: dict[str, Part], device: torch.device, start: float) -> list[Figure]:
    """Run the parts, print each line when it is known, and return all."""
    figures: list[Figure] = []
    for name, part in parts.items():
        if time.monotonic() - start > LAST_START_S:
            found = [Figure(name, f"left out after {LAST_START_S} s")]
        else:
            found = unless_out_of_memory(lambda part=part: list(part()), device) or [Figure(name, "out of memory")]
        for one in found:
            print(f"{one.what:70} {one.value:>12}  {one.target}", flush=True)
        figures += found
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny models and few prompts")
    parser.add_argument("--json", help="write the table to this file")
    options = parser.parse_args()
    start, tiny = time.monotonic(), options.tiny
    judge = random_judge("tiny" if tiny else "prometheus-7b-v2.0", options.device)
    device, on = judge.engine.loaded.device, about(judge, "tiny" if tiny else "prometheus-7b-v2.0")
    print(json.dumps(on), flush=True)
    parts: dict[str, Part] = {
        "7B, GRPO step": partial(scoring, judge, "7B", is_tiny=tiny, targets=("", "0.70")),
        "7B, flex_attention": partial(one_kernel, judge, "7B", is_tiny=tiny),
        "7B, 512 prompts": partial(memory, judge, "7B", is_tiny=tiny),
        "7B, feedback": partial(feedback, judge, "7B", is_tiny=tiny),
        "7B, beside fp32": partial(exactness, judge, "7B"),
    }
    figures = run(parts, device, start)
    del judge, parts  # its memory
    small = random_judge("tiny", options.device) if tiny else load_judge("smollm2-135m-untuned", device=options.device)
    parts = {
        "SmolLM2, GRPO step": partial(scoring, small, "SmolLM2", is_tiny=tiny, targets=("150 at most", "")),
        "SmolLM2, flex_attention": partial(one_kernel, small, "SmolLM2", is_tiny=tiny),
        "SmolLM2, feedback": partial(feedback, small, "SmolLM2", is_tiny=tiny),
    }
    figures += run(parts, device, start)
    print(f"{time.monotonic() - start:.0f} s")
    if options.json:
        Path(options.json).write_text(json.dumps({"about": on, "rows": [asdict(one) for one in figures]}, indent=2))


if __name__ == "__main__":
    main()
