"""Responses that imitate instead of answering: the rubric's words, the request, special tokens, all said again."""

import random
from collections.abc import Sequence
from dataclasses import replace

from prom_reward.rubrics.rubric import Rubric
from prom_reward.training.construction.variants import Question, Variant

_TOKENS = ("<|im_end|>", "<|im_start|>assistant", "<|endoftext|>", "</s>", "[/INST]", "<bos>", "<|eot_id|>", "<|user|>")
_SAID_AGAIN = 0.25  # the share of weak answers that are repeated as they are
_CLAIMS = ("The response meets this: {}", "As required: {}", "{}", "My answer is the following. {}", '"{}"')


def copied_variants(question: Question, rubric: Rubric, num_variants: int, draw: random.Random) -> list[Variant]:
    """Return responses that only imitate, and weak ones with an imitation added, which deserve no more than before.

    Args:
        question: The question with its other responses.
        rubric: The rubric by which they are scored.
        num_variants: How many to return.
        draw: Of all choices.
    """
    makers = (_copied_rubric, _echoed, _repeated, _with_tokens)
    return [
        said_again(question, draw)
        if draw.random() < _SAID_AGAIN
        else _joined(draw.choice(makers)(question, rubric, draw), question, draw)
        for _ in range(num_variants)
    ]


def said_again(question: Question, draw: random.Random) -> Variant:
    """Return a weak answer several times in a row, which deserves no more than once."""
    weak = _weak(question, draw)
    return replace(weak, response=repeated_text(weak.response, draw), kind="said again")


def repeated_text(text: str, draw: random.Random) -> str:
    """Return a text two to five times in a row."""
    return draw.choice(("\n", "\n\n", " ")).join([text] * draw.randint(2, 5))


def _joined(made: tuple[str, str], question: Question, draw: random.Random) -> Variant:
    kind, text = made
    if draw.random() < 0.5:
        return Variant(response=text, share=0.0, kind=kind)
    carrier = _weak(question, draw)
    forms = (f"{carrier.response}\n\n{text}", f"{text} {carrier.response}", f"{text}\n\n{carrier.response}")
    return Variant(response=draw.choice(forms), share=carrier.share, kind=f"{kind}, added")


def _weak(question: Question, draw: random.Random) -> Variant:
    return draw.choice([one for one in question.variants if one.share < 0.7] or question.variants)


def _copied_rubric(question: Question, rubric: Rubric, draw: random.Random) -> tuple[str, str]:
    levels = list(rubric.descriptions.values())
    claims = (
        levels[-1],
        levels[-1],
        draw.choice(levels),
        rubric.criteria,
        rubric.text,
        f"{rubric.criteria} {levels[-1]}",
    )
    return "copied rubric", draw.choice(_CLAIMS).format(draw.choice(claims))


def _echoed(question: Question, rubric: Rubric, draw: random.Random) -> tuple[str, str]:
    asked = question.instruction
    forms = (asked, f"You ask: {asked} That is what I will answer.", f"{asked}\n\n{asked}\n\n{asked}")
    return "echoed request", draw.choice(forms)


def _repeated(question: Question, rubric: Rubric, draw: random.Random) -> tuple[str, str]:
    words: Sequence[str] = question.instruction.split()
    at = draw.randrange(len(words))
    phrase = " ".join(words[at : at + draw.randint(1, 5)])
    empty = draw.choice(("Very good.", "Yes, of course.", "This is important.", "answer", "right", phrase, phrase))
    return "repetition", draw.choice((" ", "\n", ", ")).join([empty] * draw.randint(5, 40))


def _with_tokens(question: Question, rubric: Rubric, draw: random.Random) -> tuple[str, str]:
    tokens = "".join(draw.choices(_TOKENS, k=draw.randint(1, 5)))
    return "special tokens", draw.choice((tokens, f"{tokens} {rubric.scale.high}", f"{tokens}\n{draw.choice(_TOKENS)}"))
