"""Makes one Judgment or Comparison from the generations for one request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from math import fsum
from typing import Any

from prom_reward.answers import TOKEN_COUNTS, summed_counts
from prom_reward.engines.base import Generation
from prom_reward.judging.distributions import (
    entropy,
    expected_score,
    label_probs,
    mean_probs,
    most_frequent,
    one_hot,
    prob_first_is_better,
)
from prom_reward.judging.head import shifted
from prom_reward.judging.parsing import ParsedScore, parse_score, parse_winner
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import (
    Comparison,
    ComparisonRequest,
    GradingRequest,
    JudgePrompt,
    Judgment,
    Outcome,
    Rubric,
    ScoreScale,
    Winner,
)

_FAILURES: Mapping[str, Outcome] = {"too_long": Outcome.TOO_LONG, "error": Outcome.ENGINE_FAILED}
"""Outcomes of generations whose text is no answer, whatever it holds."""


def _checked(generation: Generation) -> Generation:
    """Return the generation, or a failed one if its log-probabilities are not numbers (an overflow in fp16)."""
    if generation.is_finite:
        return generation
    error = "the engine's log-probabilities are not numbers; load the judge with another dtype"
    return replace(generation, text="", finish_reason="error", score_logprobs=None, error=error)


def _parsed(request: GradingRequest, prompt: JudgePrompt, generation: Generation) -> ParsedScore:
    if generation.finish_reason in _FAILURES:
        return ParsedScore(_FAILURES[generation.finish_reason], "")
    parsed = parse_score(prompt.response_prefix + generation.text, request.rubric.scale)
    is_forced = generation.finish_reason == "forced" and parsed.outcome is Outcome.SCORED
    return replace(parsed, outcome=Outcome.FORCED) if is_forced else parsed


def _counts(samples: Sequence[Sequence[Generation]]) -> dict[str, Any]:
    """Return the token counts of each prompt's samples; none if the engine does not tell: no prompt has 0 tokens."""
    prompts = [max(one.num_prompt_tokens for one in generations) for generations in samples]
    if not all(prompts):
        return {}
    generations = list(chain.from_iterable(samples))
    return {
        "num_prompt_tokens": sum(prompts),
        "num_computed_tokens": sum(one.num_computed_tokens for one in generations),
        "num_generated_tokens": sum(one.num_generated_tokens for one in generations),
    }


def aggregate_scores(request: GradingRequest, prompt: JudgePrompt, samples: Sequence[Sequence[Generation]]) -> Judgment:
    """Return the judgment of all samples for one request.

    Unscored samples count only if all of a prompt's are unscored: a mean over fewer wordings or orders would be biased
    in another way than the other responses' scores, so there is none.

    Args:
        request: The request.
        prompt: One of its prompts; all wordings begin the answer alike.
        samples: The samples of each of its prompts, at least one.
    """
    read = [[_read(request, prompt, one) for one in generations] for generations in samples]
    scored_by_prompt = [[(one, generation) for one, generation in pairs if one.outcome.is_scored] for pairs in read]
    counts = _counts(samples)
    error = next((generation.error for pairs in read for _, generation in pairs if generation.error), None)
    if not all(scored_by_prompt):
        unscored = [pairs for pairs, scored in zip(read, scored_by_prompt, strict=True) if not scored]
        outcome = _worst(one.outcome for pairs in unscored for one, _ in pairs)
        return Judgment(outcome=outcome, feedback=unscored[0][0][0].feedback, error=error, **counts)
    scale = request.rubric.scale
    probs = mean_probs([mean_probs([_probs(*pair, scale) for pair in scored]) for scored in scored_by_prompt])
    scored = list(chain.from_iterable(scored_by_prompt))
    scores = [one.score for one, _ in scored if one.score is not None]
    is_forced = any(one.outcome is Outcome.FORCED for one, _ in scored)
    judgment = Judgment(
        outcome=Outcome.FORCED if is_forced else Outcome.SCORED,
        feedback=scored[0][0].feedback,
        score=most_frequent(scores, probs),
        is_partial=any(generation.is_partial for _, generation in scored),
        sampled_scores=tuple(scores),
        error=error,
        **counts,
    )
    return with_probs(judgment, probs)


def _read(request: GradingRequest, prompt: JudgePrompt, generation: Generation) -> tuple[ParsedScore, Generation]:
    checked = shifted(_checked(generation), request.rubric.scale)
    return _parsed(request, prompt, checked), checked


def _probs(parsed: ParsedScore, generation: Generation, scale: ScoreScale) -> dict[int, float]:
    """Return the distribution of a scored sample."""
    if generation.score_logprobs:
        return label_probs(generation.score_logprobs)
    assert parsed.score is not None  # a scored one has it
    return one_hot(parsed.score, scale.labels)


def with_probs(judgment: Judgment, probs: Mapping[int, float]) -> Judgment:
    """Return a judgment with another distribution, and the expected score and entropy of that."""
    return replace(judgment, score_probs=probs, expected_score=expected_score(probs), entropy=entropy(probs))


def tempered(judgment: Judgment, temperature: float) -> Judgment:
    """Return a judgment with p(k) ** (1 / temperature), normalized, as its distribution; the integer stays.

    Guo et al. 2017, "On Calibration of Modern Neural Networks": over 1 it takes back an overconfident judge's scores
    from the ends of the scale.
    """
    if judgment.score_probs is None:
        return judgment
    top = max(judgment.score_probs.values())
    weights = {label: (prob / top) ** (1 / temperature) for label, prob in judgment.score_probs.items()}
    total = fsum(weights.values())
    return with_probs(judgment, {label: weight / total for label, weight in weights.items()})


def aggregate_winners(prompt: JudgePrompt, generations: Sequence[Generation]) -> Comparison:
    """Return the majority of all samples for one comparison; an even split is a "tie"."""
    generations = [_checked(generation) for generation in generations]
    parsed = [parse_winner(prompt.response_prefix + generation.text) for generation in generations]
    counts = _counts([generations])
    error = next((generation.error for generation in generations if generation.error), None)
    pairs = zip(parsed, generations, strict=True)
    scored = [
        (one, generation) for one, generation in pairs if one.winner and generation.finish_reason not in _FAILURES
    ]
    if not scored:
        ended = zip(parsed, generations, strict=True)
        outcome = _worst(_FAILURES.get(generation.finish_reason, one.outcome) for one, generation in ended)
        return Comparison(outcome=outcome, feedback=parsed[0].feedback, error=error, **counts)
    votes = sum(1 if one.winner == "A" else -1 for one, _ in scored)
    winner: Winner = "A" if votes > 0 else "B" if votes < 0 else "tie"
    is_forced = any(generation.finish_reason == "forced" for _, generation in scored)
    return Comparison(
        outcome=Outcome.FORCED if is_forced else Outcome.SCORED,
        winner=winner,
        feedback=scored[0][0].feedback,
        prob_a=sum(_prob_a(one.winner, generation) for one, generation in scored) / len(scored),
        error=error,
        **counts,
    )


def _worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome to tell if all are unscored: one that failed in the engine can be asked for again."""
    return max(outcomes, key=lambda outcome: outcome.severity)


def _prob_a(winner: str | None, generation: Generation) -> float:
    if not generation.score_logprobs:
        return float(winner == "A")
    codes = {"A": "0", "B": "1"}  # label_probs takes integers
    return label_probs({codes[label]: value for label, value in generation.score_logprobs.items()})[0]


def counted(judgment: Judgment) -> Judgment:
    """Return a judgment without its tokens, which are counted elsewhere."""
    none: dict[str, Any] = dict.fromkeys(TOKEN_COUNTS, 0)
    return replace(judgment, **none)


def compare_by_grading(
    requests: Sequence[ComparisonRequest], grade: Callable[[list[GradingRequest]], list[Judgment]]
) -> list[Comparison]:
    """Return comparisons by grades. A side that stands in several, as in both orders, is graded and counted once."""
    sides = [[(_key(side), side) for side in request.sides()] for request in requests]
    asked = dict(chain.from_iterable(sides))
    grades = dict(zip(asked, grade(list(asked.values())), strict=True))
    found = []
    for (first, _), (second, _) in sides:
        one, grades[first] = grades[first], counted(grades[first])
        other, grades[second] = grades[second], counted(grades[second])
        found.append(compare_judgments(one, other))
    return found


def _key(side: GradingRequest) -> tuple[str, str, str | None, str, bool]:
    is_criterion = isinstance(side.rubric, Rubric) and side.rubric.is_criterion  # asked with another task text
    return side.instruction, side.response, side.reference_answer, rubric_digest(side.rubric), is_criterion


def compare_judgments(first: Judgment, second: Judgment) -> Comparison:
    """Return the comparison of two direct assessments by their expected scores.

    The probability is that of their distributions, but never on the other side than the winner: then it is 1/2.
    """
    counts: dict[str, Any] = summed_counts([first, second])
    worst = max(first, second, key=lambda judgment: judgment.outcome.severity)
    if not worst.is_scored:
        return Comparison(outcome=worst.outcome, error=worst.error, **counts)
    difference = (first.expected_score or 0.0) - (second.expected_score or 0.0)  # scored ones have one
    winner: Winner = "A" if difference > 0 else "B" if difference < 0 else "tie"
    prob_a = {"A": 1.0, "B": 0.0, "tie": 0.5}[winner]
    if first.score_probs is not None and second.score_probs is not None:
        prob_a = prob_first_is_better(first.score_probs, second.score_probs)
        prob_a = {"A": max(prob_a, 0.5), "B": min(prob_a, 0.5), "tie": 0.5}[winner]
    elif first.parts or second.parts:  # checklists, on [0, 1]
        prob_a = min(max((1 + difference) / 2, 0.0), 1.0)
    is_forced = Outcome.FORCED in (first.outcome, second.outcome)
    return Comparison(
        outcome=Outcome.FORCED if is_forced else Outcome.SCORED,
        winner=winner,
        feedback=f"A: {first.feedback}\nB: {second.feedback}".strip() if first.feedback or second.feedback else "",
        prob_a=prob_a,
        **counts,
    )
