"""A judge that knows how good a response is: its text ends in a number."""

from collections.abc import Callable

from scipy.special import expit

from prom_reward import Comparison, Judge, Judgment, Outcome

FAILED = {"outcome": Outcome.ENGINE_FAILED, "error": "no answer"}

COUNTS = {"num_prompt_tokens": 7, "num_computed_tokens": 5, "num_generated_tokens": 1}
"""What a comparison costs; grades do not tell."""


def quality(text):
    return float(text.rpartition(" ")[2])


class QualityJudge(Judge):
    """Grades by the number at a response's end, 1 to 5, and compares by the numbers' difference plus `bias`."""

    fingerprint = "quality"

    def __init__(self, *, bias: float = 0.0, fails: Callable = lambda request: False):
        self.bias, self.fails = bias, fails
        self.graded, self.compared = [], []
        """The requests of each call."""

    def grade(self, requests):
        self.graded.append(list(requests))
        return [self._graded(request) for request in requests]

    def _graded(self, request):
        if self.fails(request):
            return Judgment(**FAILED)
        score = min(quality(request.response), 5.0)
        return Judgment(outcome=Outcome.SCORED, score=round(score), expected_score=score)

    def compare(self, requests):
        self.compared.append(list(requests))
        return [self._compared(request) for request in requests]

    def _compared(self, request):
        if self.fails(request):
            return Comparison(**FAILED)
        prob = float(expit(quality(request.response_a) - quality(request.response_b) + self.bias))
        return Comparison(outcome=Outcome.SCORED, winner="A" if prob > 0.5 else "B", prob_a=prob, **COUNTS)
