"""Conversation text becomes token ids: one BOS, special tokens only from markup, labels as they really split."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from prom_reward.engines.tokens.verdict import find_verdict
from prom_reward.errors import ConfigError
from prom_reward.types import RESULT_MARKER, TextSpan

# Some tokenizers hold control tokens as added tokens that they do not call special: "<think>", "<tool_call>". Words
# of HTML are not among them, which Gemma's holds, too: broken up they would say the same in other tokens.
CONTROL_NAMES = (
    r"think|thinking|tools|tool_calls?|tool_responses?|tool_results?|function_calls?|(?:start|end|begin)_of_\w{1,40}"
    r"|extra_id_\d{1,4}|unused_?\d{1,5}|fim[_-]\w{1,20}|[A-Za-z]\w{0,40}_token|[se]op|bos|eos|pad|unk|s"
)
"""The names of control tokens in pointed brackets without bars, as a regular expression."""
_MARKER = re.compile(rf"<[|｜][^<>]*[|｜]>|</?(?i:{CONTROL_NAMES}|\w+_\w+|\|\w+|\w+\|)>|\[/?[A-Z_]+\]|\[[gs]MASK\]")


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """A tokenizer's ids of the labels after `[RESULT]`."""

    lead: tuple[int, ...]
    """Tokens that all labels share, for example the lone space piece of Llama-2 and Mistral."""
    tails: Mapping[str, tuple[int, ...]]
    """For each label the tokens after `lead`, at least one; "10" may begin like "1"."""


class PromptEncoder:
    """Encodes rendered conversations for one tokenizer.

    Text outside the markup is encoded with `split_special_tokens=True`, so that `<|im_end|>` in a response
    becomes ordinary pieces. Neighboring texts are joined before they are encoded: a benign conversation
    gives the same ids as encoding it in one go.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = control_tokens(tokenizer)
        self._strips = {str(token): (token.lstrip, token.rstrip) for token in tokenizer.added_tokens_decoder.values()}
        # Some tokenizers pad with an ordinary character, which may come out of a text.
        controls = {index for token, index in self._special.items() if len(token) > 1}
        self._control_ids = controls - {tokenizer.unk_token_id}
        names = sorted(self._special, key=len, reverse=True)
        self._special_pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self._label_cache: dict[tuple[str, ...], LabelTokens] = {}
        # Tokenizers with a dummy prefix space put it before the first text only, or before every text.
        self._prefixes_first_text_only = self._probe_prefix()
        self.closing_ids = tuple(self._continuation(".", f". {RESULT_MARKER}"))
        """` [RESULT]` as it is written after a sentence."""

    def encode(self, spans: Iterable[TextSpan], *, add_bos: bool) -> list[int]:
        """Return the ids of a conversation, with one BOS in front if `add_bos`."""
        bos = self._tokenizer.bos_token_id
        ids: list[int] = [bos] if add_bos and bos is not None else []
        is_first = True
        for piece in self._runs(spans):
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids += self._text_ids(piece, is_first=is_first)
            is_first = False
        return ids

    def label_tokens(self, labels: tuple[str, ...]) -> LabelTokens:
        """Return how the labels are written after `[RESULT] `, derived from the tokenizer itself.

        Raises:
            ConfigError: The tokenizer changes a verdict when it is encoded and decoded, for example for lack of digits.
        """
        if labels not in self._label_cache:
            self._check_verdicts(labels)
            tails = {label: self._continuation(RESULT_MARKER, f"{RESULT_MARKER} {label}") for label in labels}
            shared = min(num_shared(*tails.values()), min(map(len, tails.values())) - 1)
            lead = next(iter(tails.values()))[:shared]
            own_tails = {label: tuple(tail[shared:]) for label, tail in tails.items()}
            self._label_cache[labels] = LabelTokens(tuple(lead), own_tails)
        return self._label_cache[labels]

    def _check_verdicts(self, labels: tuple[str, ...]) -> None:
        """Refuse a tokenizer that changes a verdict: one without digits, or one that makes other spaces of it."""
        for label in labels:
            written = f"{RESULT_MARKER} {label}"
            ids = self._tokenizer(f"Good. {written}", add_special_tokens=False)["input_ids"]
            text = decoded(self._tokenizer, ids)
            verdict = find_verdict(text, labels)
            if verdict is None or verdict.text != label:
                raise ConfigError(
                    f"the judge's tokenizer gives {written!r} back as {text!r:.60}, so that no score could be read; "
                    "expected the same text: give another tokenizer="
                )

    def largest_text_id(self) -> int:
        """Return the largest token id that plain text can encode to; only markup gives control tokens."""
        return max(set(self._tokenizer.get_vocab().values()).difference(self._special.values()), default=0)

    def opening_control(self, markup: str) -> int | None:
        """Return the control token that a markup begins with, if it begins with one."""
        match = self._special_pattern.match(markup)
        return self._special[match[0]] if match else None

    def tails_without_space(self, labels: LabelTokens) -> Mapping[str, tuple[int, ...]]:
        """Return the labels' tokens without a space before them: `[RESULT](4)`, `Score:4`."""
        opening = self.encode([TextSpan("(", False)], add_bos=False)
        whole = {label: self.encode([TextSpan(f"({label}", False)], add_bos=False) for label in labels.tails}
        size = len(opening)
        is_split = all(ids[:size] == opening and len(ids) > size for ids in whole.values())
        return {label: tuple(ids[size:]) for label, ids in whole.items()} if is_split else labels.tails

    def _runs(self, spans: Iterable[TextSpan]) -> list[int | str]:
        """Split markup at its special tokens and join all text between them."""
        runs: list[int | str] = []
        for span in spans:
            if not span.is_markup:
                _append_text(runs, span.text)
                continue
            start = 0
            for match in self._special_pattern.finditer(span.text):
                _append_text(runs, span.text[start : match.start()])
                runs.append(self._special[match[0]])
                start = match.end()
            _append_text(runs, span.text[start:])
        return self._apply_strips(runs)

    def _apply_strips(self, runs: list[int | str]) -> list[int | str]:
        """Drop white space beside special tokens that swallow it (`AddedToken.lstrip`, `.rstrip`)."""
        swallowing = {
            self._special[name]: sides for name, sides in self._strips.items() if name in self._special and any(sides)
        }
        if not swallowing:
            return runs
        for index, run in enumerate(runs):
            if not isinstance(run, str):
                continue
            left = swallowing.get(_id_at(runs, index - 1), (False, False))
            right = swallowing.get(_id_at(runs, index + 1), (False, False))
            text = run.lstrip() if left[1] else run
            runs[index] = text.rstrip() if right[0] else text
        return [run for run in runs if run != ""]

    def _text_ids(self, text: str, *, is_first: bool) -> list[int]:
        if is_first or not self._prefixes_first_text_only:
            return self._plain_ids(text)
        return self._continuation("\n", f"\n{text}")

    def _continuation(self, before: str, whole: str) -> list[int]:
        """Return the ids of `whole` after those of `before`, with which it starts."""
        head, ids = self._plain_ids(before), self._plain_ids(whole)
        return ids[num_shared(head, ids) :]

    def _plain_ids(self, text: str) -> list[int]:
        ids = self._split_ids(text)
        if self._control_ids.isdisjoint(ids):
            return ids
        # Unigram models know "</s>" as a piece of their own, and no library splits an added token that is not called
        # special: they come out of any text that is not broken after their first character.
        cuts = [0, *(match.start() + 1 for match in self._special_pattern.finditer(text)), len(text)]
        first, *others = (text[start:end] for start, end in pairwise(cuts))
        ids = [*self._split_ids(first), *(index for part in others for index in self._after_a_line(part))]
        return [index for index in ids if index not in self._control_ids]

    def _after_a_line(self, text: str) -> list[int]:
        """Return the ids of text that goes on, without the space that some tokenizers put before all text."""
        head, ids = self._split_ids("\n"), self._split_ids(f"\n{text}")
        return ids[num_shared(head, ids) :]

    def _split_ids(self, text: str) -> list[int]:
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return list(encoded["input_ids"])

    def _probe_prefix(self) -> bool:
        if not self._special:
            return False
        token, index = next(iter(self._special.items()))
        ids = self._tokenizer(f"{token}x y", add_special_tokens=False)["input_ids"]
        return bool(ids != [index, *self._plain_ids("x y")])


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the ids of special tokens, and of conversation markers that the tokenizer does not call special.

    The judge's own marker is text, which the guard keeps out of a response.
    """
    added = {str(token): (index, token.special) for index, token in tokenizer.added_tokens_decoder.items()}
    return {
        name: index
        for name, (index, is_special) in added.items()
        if is_special or (_MARKER.fullmatch(name) and name != RESULT_MARKER)
    }


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return ids as the text that a judge wrote, without special tokens."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def num_shared(*sequences: Sequence[int]) -> int:
    """Return how many tokens all sequences have in common at their beginning."""
    columns = zip(*sequences, strict=False)
    return sum(1 for _ in takewhile(lambda column: column.count(column[0]) == len(column), columns))


def _append_text(runs: list[int | str], text: str) -> None:
    if not text:
        return
    if runs and isinstance(runs[-1], str):
        runs[-1] += text
    else:
        runs.append(text)


def _id_at(runs: Sequence[int | str], index: int) -> int:
    run = runs[index] if 0 <= index < len(runs) else -1
    return run if isinstance(run, int) else -1
