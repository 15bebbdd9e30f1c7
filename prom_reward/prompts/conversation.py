"""Conversations: the Llama-2 and Mistral forms byte for byte, and any tokenizer's own chat template.

It does not know what the messages say, nor how text becomes token ids.

The two fixed forms are FastChat's `llama-2` and `mistral` templates, with which Prometheus v1 and v2 were
trained. Both begin with one BOS, which is never part of the text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from prom_reward.errors import ConfigError
from prom_reward.types import Conversation, JudgePrompt, TextSpan

_SYSTEM, _USER = "PROMREWARDSYSTEM", "PROMREWARDUSER"
_EDGE = "\v"  # white space that no template writes itself: where it is gone, the template trims


@dataclass(frozen=True, slots=True)
class InstConversation:
    """The `[INST] ... [/INST]` form of Llama-2-Chat and Mistral-Instruct.

    The markers are plain text for these models' tokenizers. FastChat joins every message with a space, so
    a judge's answer begins with one.
    """

    system_open: str
    """Text before the system message."""
    system_close: str
    """Text between system message and task text."""
    adds_bos: bool = True
    """One BOS has to be put before the ids."""
    written_bos: str = ""
    """The text has none."""

    def render(self, prompt: JudgePrompt) -> tuple[TextSpan, ...]:
        """Return the conversation up to and with the response prefix, without BOS."""
        head = (
            (
                TextSpan(self.system_open, True),
                TextSpan(prompt.system, False),
                TextSpan(self.system_close, True),
            )
            if prompt.system
            else (TextSpan("[INST] ", True),)
        )
        tail = f" {prompt.response_prefix}" if prompt.response_prefix else ""
        return (*head, TextSpan(prompt.user, False), TextSpan(" [/INST]", True), TextSpan(tail, False))


LLAMA_2 = InstConversation("[INST] <<SYS>>\n", "\n<</SYS>>\n\n")
MISTRAL = InstConversation("[INST] ", "\n")


class ChatTemplateConversation:
    """The conversation that a tokenizer's own chat template writes.

    The template is rendered once with stand-ins for the messages, so a message can never change its markup.
    Where the template trims messages, they are trimmed too. Where it takes no system message, system text and
    task text stand in one user turn with a blank line between, as in the Prometheus 2 README.

    Args:
        tokenizer: Anything with `apply_chat_template`, `chat_template` and `bos_token`.
        merge_system: Put the system text into the user turn even where the template takes a system message.

    Raises:
        ConfigError: The tokenizer has no chat template, or one that does not show the user's message.
    """

    def __init__(self, tokenizer: Any, *, merge_system: bool = False) -> None:
        if not getattr(tokenizer, "chat_template", None):
            name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
            raise ConfigError(
                f"the tokenizer of {name!r} has no chat template; state the judge's conversation (llama-2 or "
                "mistral) or give a tokenizer= with a chat template"
            )
        self._with_system = None if merge_system else self._skeleton(tokenizer, with_system=True)
        self._alone = self._skeleton(tokenizer, with_system=False)
        if self._alone is None:
            raise ConfigError("the tokenizer's chat template does not show the user's message; give another template")
        self.adds_bos = False
        text, bos = self._alone.text, tokenizer.bos_token or ""
        # Where the BOS opens every turn (ChatML), it is a marker of the turns.
        self.written_bos = bos if text.startswith(bos) and text.count(bos) == 1 else ""

    def render(self, prompt: JudgePrompt) -> tuple[TextSpan, ...]:
        """Return the conversation up to and with the response prefix, with the BOS where the template has one."""
        skeleton, values = self._with_system, {_SYSTEM: prompt.system, _USER: prompt.user}
        if skeleton is None or not prompt.system:
            merged = f"{prompt.system}\n\n{prompt.user}" if prompt.system else prompt.user
            skeleton, values = self._alone, {_USER: merged}
        assert skeleton is not None  # checked on construction
        return (*skeleton.fill(values), TextSpan(prompt.response_prefix, False))

    @staticmethod
    def _skeleton(tokenizer: Any, *, with_system: bool) -> "_Skeleton | None":
        stand_ins = [_SYSTEM, _USER] if with_system else [_USER]
        roles = {_SYSTEM: "system", _USER: "user"}
        messages = [{"role": roles[name], "content": f"{_EDGE}{name}{_EDGE}"} for name in stand_ins]
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template refuses a role in its own words: jinja2's, or any that it raises
            if with_system:
                return None
            raise ConfigError(
                f"the tokenizer's chat template fails on a user message ({error}); give another template"
            ) from error
        places = [text.find(name) for name in stand_ins]
        is_plain = all(text.count(name) == 1 for name in stand_ins) and places == sorted(places)
        return _Skeleton(text, tuple(stand_ins)) if is_plain else None


@dataclass(frozen=True, slots=True)
class _Skeleton:
    """A rendered template with stand-ins, each once and in order, between edges unless the template trims."""

    text: str
    stand_ins: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> tuple[TextSpan, ...]:
        spans: list[TextSpan] = []
        rest = self.text
        for name in self.stand_ins:
            before, _, rest = rest.partition(name)
            value = values[name]
            value = value if before.endswith(_EDGE) else value.lstrip()
            value = value if rest.startswith(_EDGE) else value.rstrip()
            before, rest = before.removesuffix(_EDGE), rest.removeprefix(_EDGE)
            spans += [TextSpan(before, True), TextSpan(value, False)]
        return (*spans, TextSpan(rest, True))


ConversationFactory = Callable[[Any], Conversation]
"""Makes the conversation for a tokenizer; picklable, so that an engine can start in another process."""


def _llama_2(tokenizer: Any) -> Conversation:
    return LLAMA_2


def _mistral(tokenizer: Any) -> Conversation:
    return MISTRAL


CONVERSATIONS: dict[str, ConversationFactory] = {
    "llama-2": _llama_2,
    "mistral": _mistral,
    "tokenizer": ChatTemplateConversation,
    "tokenizer-merged": partial(ChatTemplateConversation, merge_system=True),
}
"""Every conversation by the name that a preset states."""
SYSTEM_SEPARATORS = {"tokenizer-merged": "\n\n", "mistral": "\n"}
"""What stands between system and task text in the conversations that have both in one user turn."""


def render_text(conversation: Conversation, prompt: JudgePrompt) -> str:
    """Return the exact conversation text that a judge gets, without the BOS."""
    return "".join(span.text for span in conversation.render(prompt)).removeprefix(conversation.written_bos)
