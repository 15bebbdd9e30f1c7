"""Responses that imitate instead of answering: the rubric's words, the request, repetition, special tokens."""

import random
from collections.abc import Sequence

from prom_reward.rubrics.rubric import Rubric
from prom_reward.training.construction.variants import Question, Variant

_TOKENS = ("<|im_end|>", "<|im_start|>assistant", "<|endoftext|>", "</s>", "[/INST]", "<bos>", "<|eot_id|>", "<|user|>")
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
    return [_joined(draw.choice(makers)(question, rubric, draw), question, draw) for _ in range(num_variants)]


def _joined(made: tuple[str, str], question: Question, draw: random.Random) -> Variant:
    kind, text = made
    if draw.random() < 0.5:
        return Variant(response=text, share=0.0, kind=kind)
    carrier = draw.choice([one for one in question.variants if one.share < 0.7] or question.variants)
    forms = (f"{carrier.response}\n\n{text}", f"{text} {carrier.response}", f"{text}\n\n{carrier.response}")
    return Variant(response=draw.choice(forms), share=carrier.share, kind=f"{kind}, added")


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
