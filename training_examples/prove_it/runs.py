"""Compares trainings of one policy: each run, the seeds of a kind together, and kinds with each other.

A run is named KIND-SEED; a run without seed is a baseline.
"""

from collections.abc import Collection, Mapping, Sequence

from training_examples.prove_it.answers import GREEDY
from training_examples.prove_it.comparison import AnswerPair, PolicyComparison, compare_policies


def kind_of(run: str) -> str:
    """Return a run's kind: its name without the seed; "" if it has no seed."""
    return run.rpartition("-")[0]


def compare_runs(
    runs: Mapping[str, Sequence[AnswerPair]], *, main: str, unseen: Collection[str], resamples: int = 2000
) -> dict[str, PolicyComparison]:
    """Compare every run with the first policy, and the main kind with the others.

    Args:
        runs: By the run's name: the measured answers of the first policy and of the run's policy.
        main: The kind to compare the others with.
        unseen: Prompts that neither judge was trained on.
        resamples: Resamples of the bootstrap over prompts.

    Returns:
        By name: every run, every kind, "KIND, greedy", "KIND, sampled", "KIND, unseen", "KIND, both whole" (neither
        answer was cut off), and "KIND → MAIN", which compares the main kind with another kind of the same seeds or
        with a baseline, and "KIND-SEED → MAIN-SEED" for each seed.
    """
    parts = {**runs, **_by_kind(runs, unseen), **_against(runs, main)}
    return {name: compare_policies(pairs, resamples=resamples) for name, pairs in parts.items() if pairs}


def _by_kind(runs: Mapping[str, Sequence[AnswerPair]], unseen: Collection[str]) -> dict[str, list[AnswerPair]]:
    kinds: dict[str, list[AnswerPair]] = {}
    for run, pairs in runs.items():
        if kind := kind_of(run):
            kinds.setdefault(kind, []).extend(pairs)
    parts = dict(kinds)
    for kind, pairs in kinds.items():
        parts[f"{kind}, greedy"] = [pair for pair in pairs if pair.sample == GREEDY]
        parts[f"{kind}, sampled"] = [pair for pair in pairs if pair.sample != GREEDY]
        parts[f"{kind}, unseen"] = [pair for pair in pairs if pair.prompt in unseen]
        parts[f"{kind}, both whole"] = [pair for pair in pairs if not (_is_cut(pair.before) or _is_cut(pair.after))]
    return parts


def _is_cut(measures: Mapping[str, float | None]) -> bool:
    return bool(measures.get("cut off"))


def _against(runs: Mapping[str, Sequence[AnswerPair]], main: str) -> dict[str, list[AnswerPair]]:
    mine = [run for run in runs if kind_of(run) == main]
    together: dict[str, list[AnswerPair]] = {}
    each: dict[str, list[AnswerPair]] = {}
    for run, others in runs.items():
        kind, _, seed = run.rpartition("-")
        for own in mine if not kind else [f"{main}-{seed}"]:
            if kind != main and own in runs:
                pairs = list(map(_between, others, runs[own]))
                together.setdefault(f"{kind or run} → {main}", []).extend(pairs)
                each[f"{run} → {own}"] = pairs
    return together | each


def _between(one: AnswerPair, other: AnswerPair) -> AnswerPair:
    """Compare two trained policies' answers to a prompt, given each one's comparison with the first policy."""
    probs = {judge: (one.prob_after.get(judge), prob) for judge, prob in other.prob_after.items()}
    # A probability is (1 + score - the first policy's score) / 2, so the first policy's score cancels.
    leads = {judge: None if old is None or new is None else 0.5 + new - old for judge, (old, new) in probs.items()}
    return AnswerPair(prompt=one.prompt, sample=one.sample, before=one.after, after=other.after, prob_after=leads)
