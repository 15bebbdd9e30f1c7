"""Judgments that the tests of reports share."""

from prom_reward.explorer.judged import Judged


def judged(*, step=1, member=1, rubric="r", score=3.0, **changes):
    """A scored judgment of a training, in the group of its step."""
    values = {
        "row": step,
        "group": f"{step}",
        "side": "response",
        "member": str(member),
        "rubric": rubric,
        "outcome": "scored",
        "score": None if score is None else round(score),
        "expected_score": score,
        "probs": None if score is None else {str(label): float(label == round(score)) for label in range(1, 6)},
        "entropy": 0.5,
        "length": 10,
        "prompt": f"Prompt {step}",
        "response": f"Response {member}",
        "feedback": "",
    }
    return Judged(**{**values, **changes})


UNSCORED = {"score": None, "entropy": None}
