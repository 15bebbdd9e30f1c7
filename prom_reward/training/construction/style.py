"""The style of a response, drawn without a look at its truth."""

import random

_OPENINGS = (
    *("Sure! ", "Great question! ", "Of course. ", "Certainly, here is the answer: ", "Thanks for asking. "),
    *("I am absolutely certain of this: ", "As an expert in the field, I can confirm: ", "Without any doubt: "),
    *("I think ", "If I remember well, ", "In short: ", "Answer: ", "Let me think step by step. "),
)
_CLOSINGS = (
    *(" I hope this helps!", " Let me know if you have more questions.", " This is well known.", " Have a nice day!"),
    *(" Feel free to ask me anything else.", " You can rely on this.", " I am happy to explain more if you like."),
)
_FILLERS = (
    "This is a question that many people ask, and it deserves a careful look.",
    "There is a lot to say about this topic, and experts have studied it for a long time.",
    "It is worth thinking about this in detail, since it matters in many situations.",
    "People come across this in everyday life more often than they notice.",
    "To understand it well, one should look at it from more than one side.",
    "Many books and lectures treat this subject in depth.",
    "The matter is of interest to students and professionals alike.",
)


def styled(text: str, draw: random.Random) -> str:
    """Return a text in a style: bare in two of five cases, else with an opening, a closing, filler or a list's form."""
    if draw.random() < 0.4:
        return text
    if draw.random() < 0.4:
        text = draw.choice(_OPENINGS) + text
    if draw.random() < 0.4:
        text += draw.choice(_CLOSINGS)
    if draw.random() < 0.35:
        filler = " ".join(draw.sample(_FILLERS, draw.randint(1, 3)))
        text = draw.choice((f"{filler} {text}", f"{text} {filler}"))
    if draw.random() < 0.15:
        text = draw.choice((f"- {text}", f"**{text}**", f"{text}\n\nSummary: see above.", text.lower()))
    return text
