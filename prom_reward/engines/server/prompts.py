"""A prompt in the forms in which servers take it: token ids, text, or chat messages."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prom_reward.engines.tokens.encoding import CONTROL_NAMES, LabelTokens, PromptEncoder, control_tokens
from prom_reward.errors import ConfigError
from prom_reward.thinking import opening_mark, thoughts_closing
from prom_reward.types import Conversation, JudgePrompt, TextSpan

# If no tokenizer says which texts are special tokens, these are: a space keeps them from being read as such.
_MISTRAL_NAMES = (
    r"/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|THINK)|TOOL_(?:CALLS|CONTENT)|IMG(?:_BREAK|_END)?|ARGS|CALL_ID"
    r"|MODEL_SETTINGS|(?:BEGIN_)?AUDIO|[gs]MASK"
)
_KNOWN_SPECIAL = re.compile(
    rf"<(?=[|｜](?!\s)[^<>\n]{{1,64}}(?<!\s)[|｜]>|/?(?i:{CONTROL_NAMES})>|\|[a-z_]{{2,30}}>|[a-z_]{{2,30}}\|>)|\[(?=(?:{_MISTRAL_NAMES})\])"
)


class PromptWriter:
    """Writes prompts for one conversation.

    Args:
        conversation: Makes the judge's conversation for its tokenizer, or for None if it needs none.
        tokenizer: The judge's tokenizer, if it is at hand.
        system_separator: What stands between system and task text in one user turn; None makes two messages.
    """

    def __init__(
        self, conversation: Callable[[Any], Conversation], tokenizer: Any, *, system_separator: str | None
    ) -> None:
        self._system_separator = system_separator
        self.tokenizer = tokenizer
        self.encoder = PromptEncoder(tokenizer) if tokenizer is not None else None
        self._special = _special_pattern(tokenizer)
        try:
            self._conversation: Conversation | None = conversation(tokenizer)
        except ConfigError:
            if tokenizer is not None:
                raise
            self._conversation = None  # a chat template, which only the server has

    @property
    def can_render(self) -> bool:
        """Whether the conversation's text can be written here."""
        return self._conversation is not None

    def ids(self, prompt: JudgePrompt, written: str = "") -> list[int]:
        """Return the ids of a prompt with the judge's text so far; after a verdict's marker, up to the verdict."""
        assert self._conversation is not None and self.encoder is not None
        spans, ends_in_marker = self._spans(prompt, written)
        ids = self.encoder.encode(spans, add_bos=self._conversation.adds_bos)
        return [*ids, *self.labels(prompt).lead] if ends_in_marker else ids

    def labels(self, prompt: JudgePrompt) -> LabelTokens:
        """Return how the tokenizer writes a prompt's labels."""
        assert self.encoder is not None
        return self.encoder.label_tokens(prompt.labels)

    def tails_without_space(self, labels: LabelTokens) -> Mapping[str, tuple[int, ...]]:
        """Return the labels' tokens without a space before them; see `PromptEncoder.tails_without_space`."""
        assert self.encoder is not None
        return self.encoder.tails_without_space(labels)

    @property
    def closing_ids(self) -> tuple[int, ...]:
        """` [RESULT]` as it is written after a feedback."""
        assert self.encoder is not None
        return self.encoder.closing_ids

    def opened_thoughts(self, prompt: JudgePrompt) -> str:
        """Return the conversation's end if its template opens thoughts in it; else an empty text."""
        spans = self._spans(prompt, "")[0] if self._conversation is not None else ()
        rendered = "".join(span.text for span in spans[-2:])
        return rendered if opening_mark(rendered) else ""

    def thoughts_closing_ids(self, text: str, rendered: str) -> list[int]:
        """Return the ids that lead from thoughts which the judge's text leaves open to its answer."""
        return list(self.tokenizer.encode(thoughts_closing(text, rendered), add_special_tokens=False))

    def without_end(self, ids: Sequence[int]) -> list[int]:
        """Return what the judge wrote without the special token that ended it."""
        kept = list(ids)
        while kept and kept[-1] in self.tokenizer.all_special_ids:
            kept.pop()
        return kept

    def text(self, prompt: JudgePrompt, written: str = "") -> str:
        """Return the text of a prompt without its BOS, which the server's tokenizer puts before it."""
        assert self._conversation is not None
        spans, _ = self._spans(prompt, written)
        shown = "".join(span.text if span.is_markup else self._disarmed(span.text) for span in spans)
        return shown.removeprefix(self._conversation.written_bos)

    def messages(self, prompt: JudgePrompt, written: str = "") -> list[dict[str, str]]:
        """Return a prompt as chat messages; the last is the judge's started answer, if there is one."""
        system, user = self._disarmed(prompt.system), self._disarmed(prompt.user)
        if system and self._system_separator is not None:
            messages = [{"role": "user", "content": f"{system}{self._system_separator}{user}"}]
        else:
            messages = [{"role": "system", "content": system}] if system else []
            messages.append({"role": "user", "content": user})
        answer = (prompt.response_prefix + self._disarmed(written)).strip()
        return [*messages, {"role": "assistant", "content": answer}] if answer else messages

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids as the judge wrote it."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _spans(self, prompt: JudgePrompt, written: str) -> tuple[tuple[TextSpan, ...], bool]:
        """Return the conversation with the started answer, without white space after a last marker."""
        assert self._conversation is not None
        written = written if prompt.response_prefix else written.lstrip(" ")  # which the conversation itself writes
        started = JudgePrompt(prompt.system, prompt.user, prompt.response_prefix + written, labels=prompt.labels)
        if not started.reads_score_at_once:
            return self._conversation.render(started), False
        bare = JudgePrompt(prompt.system, prompt.user, started.response_prefix.rstrip())
        return self._conversation.render(bare), True

    def _disarmed(self, text: str) -> str:
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def _special_pattern(tokenizer: Any) -> "re.Pattern[str]":
    if tokenizer is None:
        return _KNOWN_SPECIAL
    names = sorted(control_tokens(tokenizer), key=len, reverse=True)
    return re.compile("|".join(re.escape(name) for name in names if len(name) > 1) or r"(?!)")
