"""Rubrics that ask for truth, in many words."""

import random

from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale

_CRITERIA = (
    "Is the answer correct with respect to the reference answer?",
    "Does the response give the right answer?",
    "Are the facts in the response correct and supported by what is known or given?",
    "How accurate is the response?",
    "Does the response state what is true, without errors?",
    "Would a teacher mark this answer as right?",
    "Does the content of the response agree with the facts?",
    "Is what the response claims factually right and complete?",
    "How helpful and correct is the response to the question?",
)
_LEVELS = (
    (
        "The answer is wrong or missing.",
        "The answer is mostly wrong.",
        "About half of the answer is right.",
        "Nearly all is right; a small part is missing.",
        "The answer is correct and complete.",
    ),
    (
        "The central facts are wrong or invented.",
        "Some facts are right, but the answer misleads.",
        "The main point is right, with an error beside it.",
        "Right apart from a small slip.",
        "All facts are right.",
    ),
    ("Incorrect.", "Mostly incorrect.", "Partly correct.", "Mostly correct.", "Fully correct."),
    (
        "No credit: the reader would learn something false.",
        "Little credit.",
        "Half credit.",
        "Nearly full credit.",
        "Full credit: right, however short it is.",
    ),
)
_PICKED = {2: (0, 4), 3: (0, 2, 4), 4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4)}


def correctness_rubric(draw: random.Random) -> Rubric:
    """Return a rubric for truth: criteria, levels and scale are drawn; four of five have the scale 1 to 5."""
    low, high = draw.choice(((0, 1), (1, 3), (0, 4), (1, 4))) if draw.random() < 0.2 else (1, 5)
    levels = draw.choice(_LEVELS)
    texts = [levels[at] for at in _PICKED[high - low + 1]]
    return Rubric(
        name="correctness",
        criteria=draw.choice(_CRITERIA),
        descriptions=dict(enumerate(texts, start=low)),
        scale=ScoreScale(low, high),
    )
