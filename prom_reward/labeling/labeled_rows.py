"""Rows of `labels.jsonl`: an input row beside the columns that labeling adds, and both read back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prom_reward.data.escaping import escaped, unescaped
from prom_reward.data.formats import Example, Kind, RowFormat
from prom_reward.data.grading import GRADED_COLUMNS
from prom_reward.errors import InputError
from prom_reward.labeling.manifest import load_manifest
from prom_reward.labeling.verdicts import PAIR_COLUMNS, RANKING_COLUMNS, SIDES, VERDICT_COLUMNS
from prom_reward.prompts.messages import TEXT_KEYS, read_messages
from prom_reward.prompts.transcripts import PromptValue

_TEMPLATE_BLOCKS = ("text", "image", "image_url", "video", "audio")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

ADDED_COLUMNS: Mapping[Kind, frozenset[str]] = {
    "response": frozenset({"row", *GRADED_COLUMNS}),
    "responses": frozenset({"row", "rubric_name", "verdicts", "best", "worst"}),
    "pair": frozenset(
        {
            *("row", "rubric_name", *PAIR_COLUMNS),
            *(f"{side}_{name}" for side in SIDES for name in VERDICT_COLUMNS),
            *(f"ranking_{name}" for name in RANKING_COLUMNS),
        }
    ),
}
"""The columns that labeling may add, or that grading may have; one of the input with such a name is escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledRow:
    """A row of `labels.jsonl`."""

    values: Mapping[str, Any]
    """All of its columns."""
    example: Example
    """The content of the input row."""

    @property
    def verdicts(self) -> list[Mapping[str, Any]]:
        """The verdict columns of each response, without prefix; empty if a pair was only ranked."""
        if self.example.kind == "responses":
            return list(self.values["verdicts"])
        if self.example.kind == "response":
            return [self.values]
        graded = [side for side in SIDES if f"{side}_outcome" in self.values]
        return [{name: self.values.get(f"{side}_{name}") for name in VERDICT_COLUMNS} for side in graded]

    @property
    def texts(self) -> list[PromptValue]:
        """The prompt and the responses as training text: all strings, or all lists of messages."""
        example = self.example
        if not example.is_conversational:
            return [example.prompt, *example.responses]
        prompt = _as_messages(example.prompt, "user")
        return [prompt, *(_as_messages(response, "assistant") for response in example.responses)]

    @property
    def has_foreign_calls(self) -> bool:
        """Whether it has tool calls in another layout than OpenAI's, which trainers do not read."""
        foreign = [text for text in (self.example.prompt, *self.example.responses) if _is_foreign(text)]
        return any(message.calls for text in foreign for message in read_messages(text, default_role="assistant"))


def labeled_values(values: Mapping[str, Any], kind: Kind, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an input row and those that labeling adds."""
    return {**{escaped(name, ADDED_COLUMNS[kind]): value for name, value in values.items()}, **columns}


def input_values(values: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return the columns of the input row, under their old names."""
    added = ADDED_COLUMNS[kind]
    return {unescaped(name, added): value for name, value in values.items() if name not in added}


def read_labels(folder: str | Path) -> Iterator[LabeledRow]:
    """Yield the rows of a labeling.

    Raises:
        InputError: The folder holds no finished labeling.
    """
    folder = Path(folder)
    manifest = load_manifest(folder / "manifest.json")
    row_format = RowFormat(columns=manifest.columns, reference_answer=manifest.reference_answer)
    labels = folder / "labels.jsonl"
    if not labels.exists():
        raise InputError(f"{labels}: no such file; the labeling is not finished: run `prom-reward label` again")
    last = -1
    with labels.open("rb") as file:
        for line in file:
            values = _row_values(labels, line)
            last = _next_row(labels, values, last)
            yield LabeledRow(values=values, example=row_format.example(input_values(values, manifest.kind)))


def _row_values(path: Path, line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: holds a line that is not JSON ({error}); run `prom-reward label` again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a JSON {type(values).__name__}; run `prom-reward label` again")
    return values


def _next_row(path: Path, values: Mapping[str, Any], last: int) -> int:
    """Return a row's number, which is higher than the last one's: in a file with two labelings both would count."""
    row = values.get("row")
    if not isinstance(row, int):
        raise InputError(f"{path}: holds a row without its number; run `prom-reward label` again")
    if row <= last:
        raise InputError(
            f"{path}: holds row {row} after row {last}, as if two labelings were in one file; expected one in each "
            "folder: run `prom-reward label` again"
        )
    return row


def _as_messages(text: PromptValue, role: str) -> PromptValue:
    """Return a text as messages with `role` and `content`, as trainers read them; OpenAI's stay as they are."""
    if isinstance(text, str):
        return [{"role": role, "content": text}]
    if not _is_foreign(text):
        return [{"content": "", **one} for one in text]  # an API's message that only calls tools may have none
    read = read_messages(text, default_role=role)
    thoughts = [{"reasoning_content": one.thoughts} if one.thoughts and not one.written else {} for one in read]
    words = ["\n".join(filter(None, (one.written or one.text, *one.calls))) for one in read]
    return [
        {"role": one.role, "content": said, **thought} for one, said, thought in zip(read, words, thoughts, strict=True)
    ]


def _is_foreign(text: PromptValue) -> bool:
    """Whether a text is messages in another layout than those that chat templates read."""
    return not isinstance(text, str) and any(
        one.get("role") not in _ROLES
        or ("content" not in one and not one.get("tool_calls"))
        or _has_foreign_blocks(one.get("content"))
        or _speaks_elsewhere(one)
        for one in text
    )


def _speaks_elsewhere(message: Mapping[str, Any]) -> bool:
    """Whether words of a message stand outside of its content, where no chat template looks."""
    is_empty = message.get("content") in (None, "", [])
    return any(message.get(key) for key in ("refusal", "audio")) or (is_empty and any(map(message.get, TEXT_KEYS)))


def _has_foreign_blocks(content: Any) -> bool:
    """Whether a content holds blocks of an API alone, as OpenAI's `output_text` or Anthropic's thinking."""
    blocks = content if isinstance(content, list) else []
    return any(isinstance(one, Mapping) and one.get("type", "text") not in _TEMPLATE_BLOCKS for one in blocks)
