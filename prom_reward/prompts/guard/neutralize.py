"""Keeps candidate text from posing as judge text.

The guard changes only text that could pass for the judge's own: result markers, section headers of the task texts,
conversation markers. They stay readable: `[RESULT]` becomes `(RESULT)`, `###Feedback:` becomes `# # #Feedback:`,
`[/INST]` becomes `(/INST)`, `<|im_end|>` becomes `(|im_end|)`. All other text passes byte for byte. README.md in this
folder says what the guard does and does not do.
"""

from collections.abc import Callable, Iterator

from prom_reward.prompts.guard.lookalikes import fold, folded_origins
from prom_reward.prompts.guard.markers import Span, heading_marks, posing_marks, speaker_marks, written_marks

GUARD_VERSION = 4
"""Part of every judge's fingerprint; goes up whenever a text can come out differently."""

ALIKE_GUARDS = frozenset({1, 2, 3, 4})
"""Versions that differ on disguised attacks alone, or leave some code alone besides (`regs[INST];`, `<|x|>`).

A judge that was trained with one of them sees the same honest prompts with the others."""

_PLAIN = {"[": "(", "<": "(", "]": ")", ">": ")", ":": " :"}


def neutralize(response: str) -> str:
    """Return the response with everything that could pass for judge text made harmless and visible.

    Benign text comes back byte for byte, and so does a neutralized text.
    """
    return _settled(response, lambda looks: [*posing_marks(looks), *heading_marks(looks)])


def neutralize_step(text: str) -> str:
    """Return an agent's earlier step, neutralized, and with no line that could pass for another turn."""
    return _settled(text, lambda looks: [*posing_marks(looks), *heading_marks(looks), *speaker_marks(looks)])


def _settled(text: str, marks: Callable[[str], list[Span]]) -> str:
    """Exchange marks until none is left: one that was exchanged may leave another, as in "[RESULT]] 5"."""
    looks = fold(text)
    while (changed := _exchanged(text, looks, marks(looks))) != text:
        text, looks = changed, fold(changed)
    return text


def poses_as_judge(response: str) -> bool:
    """Whether a response holds judge text that has no honest use.

    `neutralize` also changes "### Feedback:", which heads honest sections of an answer too.
    """
    return any(True for _ in posing_marks(fold(response))) or any(True for _ in written_marks(response))


def _exchanged(text: str, looks: str, spans: list[Span]) -> str:
    exchanged = {at: plain for start, end in written_marks(text) for at, plain in _exchanges(text, start, end)}
    if spans:
        origins = folded_origins(text)
        exchanged |= {origins[at]: plain for start, end in spans for at, plain in _exchanges(looks, start, end)}
    if not exchanged:
        return text
    return "".join(exchanged.get(index, character) for index, character in enumerate(text))


def _exchanges(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Yield the index of every bracket, hash and colon of a span, with its replacement."""
    last = text.rfind("#", start, end)
    for at in range(start, end):
        if text[at] == "#":
            yield at, "#" if at == last else "# "
        elif text[at] in _PLAIN:
            yield at, _PLAIN[text[at]]
