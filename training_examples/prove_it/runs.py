"""Trainings of one policy, named KIND-SEED: each, the seeds of a kind together, and kinds against each other.

It does not know models, files or what is aimed at. A run whose name has no seed is a baseline.
"""

from collections.abc import Collection, Mapping, Sequence

from training_examples.prove_it.answers import GREEDY
from training_examples.prove_it.comparison import AnswerPair, PolicyComparison, compare_policies


def kind_of(run: str) -> str:
    """Return a run's kind: its name without the seed; "" where it has none."""
    return run.rpartition("-")[0]


def compare_runs(
    runs: Mapping[str, Sequence[AnswerPair]], *, main: str, unseen: Collection[str], resamples: int = 2000
) -> dict[str, PolicyComparison]:
    """Compare every run with the policy that all began with, and the main kind with the others.

    Args:
        runs: The measured answers of the first policy and of the run's, by the run's name.
        main: The kind that the others are compared with.
        unseen: Prompts that the judges were not trained on either.
        resamples: Of the bootstrap over prompts.

    Returns:
        By what it is of: every run, every kind, "KIND, greedy", "KIND, sampled", "KIND, unseen", "KIND, both whole"
        (neither answer was cut off), and "KIND → MAIN", in which the main kind's answers stand against those of
        another kind with the same seed, or of a baseline, with "KIND-SEED → MAIN-SEED" for each.
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
    """Return two trained policies' answers to a prompt, both of which stood against the same first policy's."""
    probs = {judge: (one.prob_after.get(judge), prob) for judge, prob in other.prob_after.items()}
    # A probability is (1 + score - the first policy's) / 2, so that the first policy's falls out.
    leads = {judge: None if old is None or new is None else 0.5 + new - old for judge, (old, new) in probs.items()}
    return AnswerPair(prompt=one.prompt, sample=one.sample, before=one.after, after=other.after, prob_after=leads)
