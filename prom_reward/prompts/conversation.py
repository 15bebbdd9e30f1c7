"""Conversations: the Llama-2 and Mistral forms byte for byte, and any tokenizer's own chat template.

The two fixed forms are FastChat's `llama-2` and `mistral` templates, with which Prometheus v1 and v2 were
trained. Both begin with one BOS, which is never part of the text.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from prom_reward.errors import ConfigError, check_unquoted
from prom_reward.thinking import SOLAR_ANSWER, answer_opening, split_thoughts
from prom_reward.types import Conversation, JudgePrompt, TextSpan

logger = logging.getLogger(__name__)

# With what a template could change: case, quotes, brackets, line breaks, indents.
_SYSTEM, _USER, _ANSWER, _NEXT = (
    f"Promreward \"'{role}'\"\n\n  & <1>" for role in ("SYSTEM", "USER", "ANSWER", "NEXT")
)
_EDGE = "\v"  # white space that no template writes itself: if it is gone, the template trims


@dataclass(frozen=True, slots=True)
class InstConversation:
    """The `[INST] ... [/INST]` form of Llama-2-Chat and Mistral-Instruct.

    The markers are plain text for these models' tokenizers. FastChat joins messages with a space, so a judge's answer
    begins with one.
    """

    system_open: str
    """Text before the system message."""
    system_close: str
    """Text between system message and task text."""
    adds_bos: bool = True
    """One BOS has to be put before the ids."""
    written_bos: str = ""
    """The text has none."""
    turn_end: str = ""
    """Answers end in the tokenizer's own EOS."""

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

    The template is rendered once with stand-ins for the messages, so a message can never change its markup. If the
    template trims messages, they are trimmed too. If it takes no system message, system text and task text share one
    user turn with a blank line between, as in the Prometheus 2 README. If it opens thoughts in the judge's turn, they
    are closed before a started answer; harmony's final channel is opened.

    Args:
        tokenizer: Anything with `apply_chat_template`, `chat_template` and `bos_token`.
        merge_system: Put the system text into the user turn even if the template takes a system message.
        template_kwargs: Further variables of the template, for example `{"enable_thinking": False}`.

    Raises:
        ConfigError: The tokenizer has no chat template, or one that does not show the user's message as
            it is.
    """

    def __init__(
        self, tokenizer: Any, *, merge_system: bool = False, template_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        check_unquoted("template_kwargs", template_kwargs or {})
        template = getattr(tokenizer, "chat_template", None)
        if not template:
            name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
            raise ConfigError(
                f"the tokenizer of {name!r} has no chat template; state the judge's conversation (llama-2 or "
                "mistral) or give a tokenizer= with a chat template"
            )
        write = partial(_skeleton, tokenizer, dict(template_kwargs or {}))
        self._with_system = None if merge_system else write((_SYSTEM, _USER))
        alone = write((_USER,))
        if alone is None:
            raise ConfigError(
                "the tokenizer's chat template does not show the user's message as it is; give another template"
            )
        self._alone = alone
        if unopened := _unopened(tokenizer, dict(template_kwargs or {}), alone):
            logger.warning(
                "the tokenizer's chat template has no generation prompt: the judge answers without the %r that opens "
                "its turn; expected a template that writes it",
                unopened[:80],
            )
        self.adds_bos = False
        self.turn_end = _turn_end(tokenizer, dict(template_kwargs or {}), alone)
        text, bos = alone.text, tokenizer.bos_token or ""
        # A BOS that opens every turn (ChatML) is a marker of the turns.
        self.written_bos = bos if text.startswith(bos) and text.count(bos) == 1 else ""

    def render(self, prompt: JudgePrompt) -> tuple[TextSpan, ...]:
        """Return the conversation up to and with the response prefix, with the BOS if the template has one."""
        skeleton, values = self._with_system, {_SYSTEM: prompt.system, _USER: prompt.user}
        if skeleton is None or not prompt.system:
            merged = f"{prompt.system}\n\n{prompt.user}" if prompt.system else prompt.user
            skeleton, values = self._alone, {_USER: merged}
        *spans, end = skeleton.fill(values)
        prefix = prompt.response_prefix
        opening = answer_opening(end.text, prefix) if prefix else ""
        return (*spans, TextSpan(end.text + opening, True), TextSpan(prefix, False))


def _skeleton(tokenizer: Any, template_kwargs: dict[str, Any], stand_ins: tuple[str, ...]) -> "_Skeleton | None":
    """Return the template's text with stand-ins for the messages; None if it does not show each once, in order."""
    roles = {_SYSTEM: "system", _USER: "user"}
    problem: Exception | None = None
    for wrap in (str, _as_blocks):  # templates of models that see pictures may take content blocks alone
        messages = [{"role": roles[name], "content": wrap(f"{_EDGE}{name}{_EDGE}")} for name in stand_ins]
        try:
            text = str(
                tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **template_kwargs)
            )
        except Exception as error:  # a template refuses a role in its own words: jinja2's, or any that it raises
            problem = problem or error
            continue
        places = [text.find(name) for name in stand_ins]
        if all(text.count(name) == 1 for name in stand_ins) and places == sorted(places):
            return _Skeleton(text, stand_ins)
    if problem is not None and _SYSTEM not in stand_ins:
        raise ConfigError(
            f"the tokenizer's chat template fails on a user message ({problem}); give another template"
        ) from problem
    return None


def _unopened(tokenizer: Any, template_kwargs: dict[str, Any], alone: "_Skeleton") -> str:
    """Return what the template writes before an answer, but not for one that is to come; empty if it is all there."""
    asked, answered = {"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}
    try:
        plain, text = (
            str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False, **template_kwargs))
            for turns in ([asked], [asked, answered])
        )
    except Exception:  # it takes no text as an answer: nothing is known
        return ""
    ends = [one.partition(_USER)[2].strip() for one in (alone.text, plain, text.partition(_ANSWER)[0])]
    is_known = ends[0] == ends[1] and text.count(_USER) == text.count(_ANSWER) == 1 and ends[2].startswith(ends[0])
    return ends[2].removeprefix(ends[0]).strip() if is_known else ""


def _turn_end(tokenizer: Any, template_kwargs: dict[str, Any], alone: "_Skeleton") -> str:
    """Return what the template writes after an answer, up to the next question's text; empty if it is not known.

    A template with a header of its own before an answer may end thoughts and calls with the same mark.
    """
    turns = [("user", _USER), ("assistant", _ANSWER), ("user", _NEXT)]
    messages = [{"role": role, "content": text} for role, text in turns]
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, **template_kwargs))
    except Exception:  # as in `_unopened`: it takes one question alone
        return ""
    head, _, rest = text.partition(_ANSWER)
    opening, written = (one.partition(_USER)[2].strip() for one in (alone.text, head))
    header = written.removeprefix(opening)
    if not opening.startswith(written) and (header == SOLAR_ANSWER or split_thoughts(header).answer.strip()):
        return ""
    return rest.partition(_NEXT)[0].strip()


def _as_blocks(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


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


def conversation_factory(name: str, template_kwargs: Mapping[str, Any]) -> ConversationFactory:
    """Return the maker of a named conversation whose chat template gets further variables.

    Raises:
        ConfigError: There are variables, and the conversation has no chat template.
    """
    if not template_kwargs:
        return CONVERSATIONS[name]
    if not name.startswith("tokenizer"):
        raise ConfigError(
            f"got chat_template_kwargs and conversation: {name}, which has no chat template; expected one of them"
        )
    return partial(
        ChatTemplateConversation, merge_system=name == "tokenizer-merged", template_kwargs=dict(template_kwargs)
    )


SYSTEM_SEPARATORS = {"tokenizer-merged": "\n\n", "mistral": "\n"}
"""The text between system and task text in conversations that put both into one user turn."""


def render_text(conversation: Conversation, prompt: JudgePrompt) -> str:
    """Return the exact conversation text that a judge gets, without the BOS."""
    return "".join(span.text for span in conversation.render(prompt)).removeprefix(conversation.written_bos)
