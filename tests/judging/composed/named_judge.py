"""Judges whose answers are in a table: scores by response, verdicts by criterion."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from prom_reward import Comparison, Judge, Judgment, Outcome
from prom_reward.judging.distributions import entropy, expected_score


@contextmanager
def often_switching_threads() -> Iterator[ThreadPoolExecutor]:
    """Eight threads that take turns in the middle of a statement."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            yield pool
    finally:
        sys.setswitchinterval(before)


class NamedJudge(Judge):
    """Gives every response the score of a table; None is a failure, a mapping a distribution."""

    def __init__(self, name, scores, error=None):
        self.name, self.scores, self.error = name, scores, error
        self.asked = []
        """The responses of each call, or the pairs."""
        self.seed, self.is_loaded = None, False

    @property
    def fingerprint(self):
        return f"{self.name}:{self.scores}"

    @property
    def machine(self):
        return {"threads": 2} if self.name == "strong" else {}

    def seeded(self, seed):
        other = NamedJudge(self.name, self.scores)
        other.seed = seed
        return other

    def load(self):
        self.is_loaded = True

    def take_metrics(self):
        return {"calls": float(len(self.asked))}

    def _ask(self, asked):
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    def grade(self, requests):
        self._ask([request.response for request in requests])
        return [self._judgment(self.scores[request.response]) for request in requests]

    def _judgment(self, score):
        tokens = {"num_prompt_tokens": 10, "num_computed_tokens": 10, "num_generated_tokens": 1}
        if score is None:
            return Judgment(outcome=Outcome.NO_RESULT, error=f"{self.name} is silent", **tokens)
        if isinstance(score, dict):
            mean, spread = expected_score(score), entropy(score)
            return Judgment(
                outcome=Outcome.SCORED,
                score=round(mean),
                expected_score=mean,
                score_probs=score,
                entropy=spread,
                **tokens,
            )
        return Judgment(outcome=Outcome.SCORED, score=round(score), expected_score=score, feedback="ok", **tokens)

    def compare(self, requests):
        self._ask([(request.response_a, request.response_b) for request in requests])
        return [self._comparison(request) for request in requests]

    def _comparison(self, request):
        first, second = self.scores[request.response_a], self.scores[request.response_b]
        if first is None or second is None:
            return Comparison(outcome=Outcome.NO_RESULT, num_generated_tokens=1)
        prob = min(max(0.5 + (first - second) / 8, 0), 1)
        return Comparison(outcome=Outcome.SCORED, winner="A", prob_a=prob, num_generated_tokens=1)


class CriteriaJudge(Judge):
    """Says of each criterion by its name how far it is met, of all responses or of each; None is no result."""

    fingerprint = "criteria"

    def __init__(self, name, met):
        self.name, self.met = name, met

    def grade(self, requests):
        return [self._judgment(self.met[request.rubric.name], request.response) for request in requests]

    def _judgment(self, met, response):
        value = met[response] if isinstance(met, dict) else met
        return Judgment(outcome=Outcome.NO_RESULT if value is None else Outcome.SCORED, expected_score=value)
