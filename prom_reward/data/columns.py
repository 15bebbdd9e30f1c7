"""The one table of column names, and the columns of a row by role."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prom_reward.data.advice import column_as_rubric
from prom_reward.data.cells import is_empty, is_missing, texts_of
from prom_reward.data.escaping import original
from prom_reward.data.references import reference_text, single
from prom_reward.data.row_rubrics import may_be_name, named_in_log, parsed_rubrics, reference_checklist
from prom_reward.errors import ConfigError, RowError, RubricError, near_miss
from prom_reward.prompts.content import parsed_text
from prom_reward.prompts.numpy_text import check_no_numpy_text
from prom_reward.rubrics.formats import is_rendered
from prom_reward.rubrics.reading import AnyRubric, read_rubrics

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (
        *("orig_instruction", "instruction", "prompt", "question.full_text", "question", "query", "problem", "post"),
        *("user_prompt", "user_input", "user_query", "context", "input.messages"),
    ),
    "system": (
        *("system", "system_prompt", "system_message", "systemInstruction", "system_instruction"),
        *("developer", "developer_prompt", "developer_message", "instructions", "preamble", "meta_instruction"),
        *("sys_prompt", "system_text", "system_role"),
    ),
    "input": ("input",),
    "context": (
        *("context", "contexts", "retrieved_contexts", "retrieval_context", "passage", "passages", "document"),
        *("documents", "article", "story", "support"),
    ),
    "history": (
        *("history", "chat_history", "conversation_history", "dialogue_history", "dialog_history"),
        *("previous_turns", "previous_messages"),
    ),
    "messages": ("messages", "conversations", "conversation", "dialog", "dialogue", "contents"),
    "response": (
        *("orig_response", "response", "completion", "model_output", "model_response", "prediction", "generation"),
        *("actual_output", "generated_text", "output", "answer"),
    ),
    "responses": ("completions", "responses", "generations", "answers", "outputs", "candidates"),
    "chosen": (
        *("chosen", "chosen_response", "response_chosen", "chosen_messages", "preferred", "preferred_output"),
        *("better", "response_j", "answer_w", "answer_winning"),
    ),
    "rejected": (
        *("rejected", "rejected_response", "response_rejected", "rejected_messages", "dispreferred"),
        *("non_preferred_output", "worse", "response_k", "answer_l", "answer_losing"),
    ),
    "winner": (
        *("orig_preference", "preference", "winner", "label", "labels", "overall_preference", "preference_strength"),
        *("judgment", "better_response_id", "safer_response_id", "choice", "winner_model_a", "score_0"),
    ),
    "reference_answer": (
        *("orig_reference_answer", "reference_answer", "reference", "reference_response", "ground_truth"),
        *("gold_answer", "ideal_answer", "expected_answer", "expected_output", "target", "solution", "gts"),
        *("best_answer", "correct_answer", "golden_answer", "standard_answer", "ref_answer", "target_answer"),
        *("ideal_response", "reference_output", "reference_solution", "canonical_solution", "gt"),
        "reward_model.ground_truth",
    ),
    "rubric": (
        *("rubric", "score_rubric", "score_rubrics", "grading_rubric", "scoring_rubric", "rubrics", "Rubrics"),
        *("rubric_items", "checklist", "scoring_questions", "decomposed_questions", "prompt_metadata.rubrics"),
    ),
    "tools": ("tools", "functions", "available_tools"),
    "id": ("id", "prompt_id", "row_id", "uid"),
}
"""The columns of each role; the first that has a value wins. `--column ROLE=PATH` names another."""

_SHOWN = [shown for role in COLUMN_NAMES for shown in (("pair", role) if role == "winner" else (role,))]
_FLAT_RUBRIC = re.compile(r"(?:orig_)?(?:criteria|score\d{1,9}_description)")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d{1,9})\]")
_PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[-?\d{1,9}\])*")
_RUBRIC_LIKE = re.compile(
    r"(?:.*_)?(?:rubrics?|criteri(?:a|on|ons)|check_?(?:lists?|points?)|principles?|marking_(?:scheme|guide)"
    r"|(?:grading|scoring|rating|judging|evaluation)_(?:notes|guide|guidelines?|instructions?|questions|principles?))"
    r"(?:_(?:list|text|items|json))?"
)


def spelling(name: object) -> str:
    """Return a column's name in lower case with underscores: `Ground Truth` and `groundTruth` as `ground_truth`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", str(name).strip())
    return re.sub(r"[\s_-]+", "_", apart).lower()


def may_hold_rubric(name: str) -> bool:
    """Whether a column of this name is read as a rubric, as a part of one, or refused because it may be one."""
    return name in COLUMN_NAMES["rubric"] or _is_rubric_like(name)


def _is_rubric_like(name: object) -> bool:
    written = spelling(name)
    return bool(_FLAT_RUBRIC.fullmatch(written) or _RUBRIC_LIKE.fullmatch(written))


def check_roles(columns: Mapping[str, str]) -> None:
    """Raise ConfigError if a role is unknown, its column is neither a name nor a path, or two roles have one column."""
    roles: dict[str, str] = {}
    for role, column in columns.items():
        if role not in COLUMN_NAMES:
            known = ", ".join(COLUMN_NAMES)
            held = (one for one, names in COLUMN_NAMES.items() if one != "winner" and spelling(role) in names)
            meant = next((f" Did you mean {one!r}?" for one in held), "")
            hint = meant or near_miss(role, COLUMN_NAMES)
            raise ConfigError(f"unknown column role {role!r}; expected one of {known}.{hint}")
        if not isinstance(column, str) or ("[" in column and not _PATH.fullmatch(column)):
            raise ConfigError(f"got the column {column!r:.60}; expected a name or a path, as messages[-1].content")
        if role != "id" and (other := roles.setdefault(column, role)) != role:
            raise ConfigError(f"got the column {column!r:.60} for {other} and for {role}; expected one for each")


class Columns:
    """The columns of one row by role; remembers which ones were read.

    Args:
        values: The row.
        named: A column or a path into one (`messages[-1].content`) for each role whose name says nothing.
    """

    def __init__(self, values: Mapping[str, Any], named: Mapping[str, str] | None = None) -> None:
        self.values = values
        self._named = dict(named or {})
        self._taken = {name for role, name in self._named.items() if role != "id"}  # they play that role alone
        self.read: dict[str, str] = {}

    def get(self, role: str) -> Any:
        """Return the value of a role, and note where it came from; None if the row has none.

        Raises:
            RowError: The role is named a column that the row does not have, or a path leads into a list of numpy's.
        """
        in_text = role != "prompt" or self.is_named(role)  # a question in JSON is asked whole
        for name in self._names(role):
            value = value_at(self.values, name, in_text=in_text)
            if not is_missing(value):
                self.read[role] = name
                return value
            _check_reach(self.values, name)
        if role in self._named and value_at(self.values, self._named[role], is_strict=True) is _ABSENT:
            raise RowError(f"no column {self._named[role]!r} for {role}; got {shown_names(self.values)}")
        return None

    def has(self, role: str) -> bool:
        """Whether the row has a column for a role, perhaps an empty one."""
        return any(value_at(self.values, name, is_strict=True) is not _ABSENT for name in self._names(role))

    def having(self, role: str) -> list[str]:
        """Return all columns of a role that have a value; the first one wins."""
        return [name for name in self._names(role) if not is_missing(value_at(self.values, name))]

    def is_named(self, role: str) -> bool:
        """Whether the caller said which column plays a role."""
        return role in self._named

    def named(self, role: str) -> str | None:
        """Return the column or path that the caller named for a role."""
        return self._named.get(role)

    def is_taken(self, name: str) -> bool:
        """Whether the caller said that a column, or a part of it, plays a role."""
        return any(name in (path, re.split(r"[.\[]", path)[0]) for path in self._named.values())

    def take(self, role: str, *names: str) -> None:
        """Note columns that a role was read from together; "pair" is the role of two answers under a verdict."""
        self.read |= {f"{role}: {name}": name for name in names}

    def by_role(self) -> dict[str, list[str]]:
        """Return the columns that were read, by role; "pair" are two answers, and "winner" the verdict on them."""
        names: dict[str, list[str]] = {}
        for role, name in self.read.items():
            names.setdefault(role.partition(":")[0], []).append(name)
        return {role: names[role] for role in _SHOWN if role in names}

    def reference(self, *, include_reasoning: bool = False) -> str | None:
        """Return the reference answer as text, None if the row has none; see `reference_text`."""
        value, is_named = self.get("reference_answer"), self.is_named("reference_answer")
        name = self.read.get("reference_answer", "")
        text = reference_text(value, name, is_named=is_named, include_reasoning=include_reasoning)
        if text is None:
            self.forget("reference_answer")
        return text

    def rubrics(self, default: tuple[AnyRubric, ...]) -> tuple[AnyRubric, ...]:
        """Return the row's own rubrics, else the default ones; a rubric that cannot be read is never covered by them.

        Raises:
            RubricError: The row's rubric cannot be read, or there is none.
        """
        if found := self.own_rubrics(default) or default:
            return found
        raise RubricError(
            "no rubric; give the row a 'rubric' column, or all rows one: --rubric or rubric=, for example helpfulness"
        )

    def own_rubrics(self, known: Sequence[AnyRubric] = ()) -> tuple[AnyRubric, ...]:
        """Return the row's own rubrics, empty if it has none.

        Args:
            known: One of them is meant if the row has its digest, as a judgment log does.

        Raises:
            RubricError: They cannot be read, or the digest beside a name is another rubric's.
        """
        value = self.get("rubric")
        if not is_empty(value):
            digest = original(self.values, "rubric_digest")
            if isinstance(value, str) and isinstance(digest, str) and may_be_name(value):
                return (named_in_log(value, digest, known),)
            return parsed_rubrics(value, self.read["rubric"])
        if (elsewhere := self._checklist_elsewhere()) is not None:
            self.read["rubric"], found = elsewhere
            return parsed_rubrics(found, self.read["rubric"])
        levels = {name: self.values[name] for name in self.values if _FLAT_RUBRIC.fullmatch(str(name))}
        flat = {name: text for name, text in levels.items() if not is_missing(text)}
        is_named = self.is_named("rubric")  # then a column of another name is not meant
        if not (flat or is_named) and (like := next(_rubric_like(self.values), None)):
            raise RubricError(f"got a column {like!r} that may be the row's rubric; {column_as_rubric(like)}")
        self.take("rubric", *flat)
        name, value = next(iter(flat.items()), ("", None))
        if len(flat) == 1 and isinstance(value, str) and "criteria" in name:
            if is_rendered(value):
                return parsed_rubrics(value, name)
            raise RubricError(
                f"got {value!r:.60} in {name!r} and no column of levels; expected score1_description to "
                f"score5_description beside it, or a name or a whole rubric: {column_as_rubric(name)}"
            )
        return read_rubrics(flat) if flat else ()

    def _checklist_elsewhere(self) -> tuple[str, Any] | None:
        """Return a checklist in a column of another name: WildChecklists', or DR Tulu's in the reference answer's."""
        requirements = self.values.get("requirements")
        if isinstance(requirements, str) and "(importance:" in requirements:
            return "requirements", requirements
        for name in self._names("reference_answer"):
            if (found := reference_checklist(single(value_at(self.values, name)))) is not None:
                return name, found
        return None

    def forget(self, role: str) -> None:
        """Note that the column of a role was not read after all."""
        self.read.pop(role, None)

    def _names(self, role: str) -> tuple[str, ...]:
        if role in self._named:
            return (self._named[role],)
        return tuple(name for name in COLUMN_NAMES[role] if name not in self._taken)


_ABSENT = object()


def value_at(values: Mapping[str, Any], path: str, *, is_strict: bool = False, in_text: bool = True) -> Any:
    """Return the value at a path such as `messages[-1].content`; None if there is none.

    Args:
        values: A row.
        path: The path.
        is_strict: Return `_ABSENT` if there is none.
        in_text: Reach into lists and mappings that are stored as text, as CSV files hold them.
    """
    if path in values:
        return values[path]
    value: Any = values
    for key, index in _STEP.findall(path):
        if isinstance(value, str):  # whose letters are no parts
            stripped = value.strip() if in_text and key in value else ""
            value = parsed_text(stripped) if stripped.startswith(("[", "{")) else None
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT if is_strict else None
    return value


def _check_reach(values: Mapping[str, Any], path: str) -> None:
    """Refuse a path whose column holds a list as numpy prints it, which nobody can reach into."""
    column, *keys = (key or index for key, index in _STEP.findall(path))
    text = values.get(column)
    if keys and path not in values and isinstance(text, str) and (keys[-1] in text or "[" in path):
        check_no_numpy_text(text, column)


def shown_names(values: Mapping[str, Any]) -> str:
    """Return a row's column names for an error message, and which of them hold nothing: null, or NaN."""
    nothing = {name: "null" if value is None else "NaN" for name, value in values.items() if is_missing(value)}
    shown = (f"{name} ({nothing[name]})" if name in nothing else str(name) for name in values)
    return ", ".join(sorted(shown)) or "no columns"


def _rubric_like(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns, and the keys of mappings such as verl's `extra_info`, that are named like a rubric."""
    for name, value in values.items():
        if _is_rubric_like(name) and any(text.strip() for text in texts_of(value)):
            yield str(name)
        elif isinstance(value, Mapping):
            yield from (f"{name}.{one}" for one in _rubric_like(value))
