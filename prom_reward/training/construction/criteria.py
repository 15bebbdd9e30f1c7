"""Yes-or-no criteria whose answers code computes."""

import random
from collections.abc import Callable, Mapping

from prom_reward.rubrics.checklists.checks import num_sentences, num_words
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.training.construction.aspects import Aspect, Text
from prom_reward.training.construction.variants import Variant

_ASKED: Mapping[str, tuple[str, ...]] = {
    "exclamations": ("The response contains an exclamation mark.", "Is there an exclamation mark?"),
    "questions": ("The response asks a question.", "Does the text contain a question?"),
    "numbers": ("The response gives a number.", "Does the response contain digits?"),
    "first person": ("The response is written in the first person.", "Does the writer say 'I'?"),
    "politeness": ("The response is polite.", "Does the response use polite words?"),
    "time order": ("The response uses time words such as 'then'.", "Does the response put events in order?"),
    "foreign language": ("The response holds a sentence that is not English.", "Is all or part not in English?"),
    "reasons": ("The response gives a reason.", "Does the response say why?"),
    "brackets": ("The response has a remark in brackets.", "Are parentheses used?"),
    "address": ("The response speaks to the reader.", "Does the text address the reader as 'you'?"),
    "examples": ("The response gives an example.", "Is something illustrated by an example?"),
    "contrast": ("The response contrasts two sides.", "Does the text use a word such as 'however'?"),
    "feelings": ("The response mentions feelings.", "Does the text convey emotion?"),
    "emoji": ("The response uses emoji.", "Is there an emoji in the text?"),
    "hearsay": ("The response reports hearsay.", "Does the text pass on what others said?"),
    "citations": ("The response cites a source.", "Is a source cited?"),
    "hedging": ("The response expresses doubt.", "Does the response hedge its claims?"),
    "quotations": ("The response quotes somebody.", "Does the response contain a quotation?"),
}
_FORM: Mapping[str, tuple[tuple[str, str], Callable[[str], bool]]] = {
    "short": (
        ("The response has at most 30 words.", "The response has more than 30 words."),
        lambda text: num_words(text) <= 30,
    ),
    "sentences": (
        ("The response has at least four sentences.", "The response has fewer than four sentences."),
        lambda text: num_sentences(text) >= 4,
    ),
}
_TRUTH = ("The answer is correct.", "The response agrees with the reference answer.", "Is the answer right?")
_FALSEHOOD = ("The answer is wrong.", "The response contradicts the reference answer or does not answer.")


def text_criteria(
    text: Text, aspects: Mapping[str, Aspect], draw: random.Random, *, is_balanced: bool = False
) -> list[tuple[Rubric, int]]:
    """Return criteria for a text with their answers (1 if met): two aspects, an item, and a matter of form.

    Args:
        text: The text.
        aspects: What it may have.
        draw: Of all choices.
        is_balanced: Ask for one aspect that the text has, if it has any, so that yes is about as frequent as no.
    """
    found = []
    names = draw.sample(list(aspects), 2)
    met = [name for name in aspects if aspects[name].count(text.text)] if is_balanced else []
    if met and not {*met} & {*names}:
        names[0] = draw.choice(met)
    for name in names:
        asked, has = draw.choice(_ASKED[name]), int(aspects[name].count(text.text) > 0)
        found.append((criterion(asked), has))
    item = draw.choice(text.items)
    found.append((criterion(f"The response mentions {item}."), int(item in text.text)))
    (yes, no), test = draw.choice(list(_FORM.values()))
    is_yes = draw.random() < 0.5
    found.append((criterion(yes if is_yes else no), int(test(text.text) == is_yes)))
    return found


def truth_criterion(variant: Variant, draw: random.Random) -> tuple[Rubric, int] | None:
    """Return a criterion for the truth of a response with its answer; None if the response is partly right."""
    if 0.1 < variant.share < 0.9:
        return None
    is_right = variant.share > 0.5
    asks_truth = draw.random() < 0.7
    return criterion(draw.choice(_TRUTH if asks_truth else _FALSEHOOD)), int(is_right == asks_truth)


def criterion(text: str) -> Rubric:
    """Return a yes-or-no criterion as a rubric."""
    return Rubric(name="criterion", criteria=text, descriptions={0: "no", 1: "yes"}, scale=ScoreScale(0, 1))
