"""Keeps candidate text from posing as judge text.

It does not know templates or tokenizers: special tokens are disarmed where text becomes token ids.

The guard changes only what could pass for the judge's own text: result markers, section headers of the task
texts, conversation markers. They stay readable: `[RESULT]` becomes `(RESULT)`, `###Feedback:` becomes
`# # #Feedback:`, `[/INST]` becomes `(/INST)`, `<|im_end|>` becomes `(|im_end|)`. All other text passes byte
by byte, Markdown headings and HTML included.

It looks at the text as it looks to a reader (`guard.lookalikes`), so that `[ＲＥＳＵＬＴ]`, `[RESULT]` in
Cyrillic letters and `[RE` + zero-width space + `SULT]` are found too. Only the brackets and hashes of what is found are
exchanged: honest joiners, accents and scripts stay as they are.

What is left holds nothing that `engines.tokens.verdict` reads as a verdict, but for four forms that no judge is
trained on: an index that is not all in capitals (`counts[result] = 5`), a link (`[Result][5]`), `[result]` in small
letters before a sentence that begins with a number, and a winner with a letter outside ASCII behind it.
"""

from collections.abc import Iterator

from prom_reward.prompts.guard.lookalikes import fold, folded_origins
from prom_reward.prompts.guard.markers import Span, heading_marks, posing_marks, speaker_marks, written_marks

GUARD_VERSION = 3
"""Part of every judge's fingerprint; goes up whenever a text can come out differently."""

ALIKE_GUARDS = frozenset({1, 2, 3})
"""Versions that differ on disguised attacks alone: each changes attacks as the earlier ones do and finds more, and
version 3 leaves some code alone besides (`regs[INST];`, `<|x|>`). A judge that was trained with one of them sees the
same prompts with the others."""

_PLAIN = {"[": "(", "<": "(", "]": ")", ">": ")", ":": " :"}


def neutralize(response: str) -> str:
    """Return the response with everything that could pass for judge text made harmless and visible.

    Benign text comes back byte for byte, and a neutralized text comes back as it is.
    """
    looks = fold(response)
    return _exchanged(response, looks, [*posing_marks(looks), *heading_marks(looks)])


def neutralize_step(text: str) -> str:
    """Return what a policy wrote before its answer, neutralized, and with no line that could pass for another turn."""
    looks = fold(text)
    return _exchanged(text, looks, [*posing_marks(looks), *heading_marks(looks), *speaker_marks(looks)])


def poses_as_judge(response: str) -> bool:
    """Whether a response holds judge text that has no honest use.

    `neutralize` changes more: "### Feedback:" heads honest sections of an answer, too.
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
    """Yield the index of every bracket, hash and colon of a span, with what it becomes."""
    last = text.rfind("#", start, end)
    for at in range(start, end):
        if text[at] == "#":
            yield at, "#" if at == last else "# "
        elif text[at] in _PLAIN:
            yield at, _PLAIN[text[at]]
