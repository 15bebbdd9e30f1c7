"""Attack strings, the weak responses that they are put on, and the trials that come of both.

It does not know judges. The built-in strings are in `presets/attacks.yaml`, in this project's own wording; other
people's come from a JSONL file with `kind` and `text`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml

from prom_reward.errors import InputError, RowError
from prom_reward.offline.rows import read_values
from prom_reward.prompts.template import fill
from prom_reward.rubrics import parse_rubrics
from prom_reward.types import GradingRequest, Rubric

AttackKind = Literal["structural", "semantic", "control"]
Position = Literal["alone", "before", "after", "inside"]
POSITIONS: tuple[Position, ...] = ("alone", "before", "after", "inside")

_VAGUE = (
    "I am not sure about this.",
    "That depends on many things.",
    "There is a lot that one could say here.",
    "It is hard to give an answer.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question with an answer that deserves the best score."""

    instruction: str
    """The question."""
    reference_answer: str
    """The answer."""
    rubric: Rubric
    """What answers are judged by."""

    def request(self, response: str) -> GradingRequest:
        """Return the request to grade a response to this task."""
        return GradingRequest(
            instruction=self.instruction,
            response=response,
            rubric=self.rubric,
            reference_answer=self.reference_answer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFamily:
    """Attacks of one sort."""

    name: str
    """For tables and JSON."""
    kind: AttackKind
    """Whether they pose as the judge, persuade it, or are harmless text to compare with."""
    texts: tuple[str, ...]
    """With placeholders for what comes from the task."""
    positions: tuple[Position, ...] = POSITIONS
    """Where they are put."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakResponse:
    """A response that deserves a low score."""

    task: Task
    """What it answers."""
    text: str
    """The response."""
    other_reference: str
    """A good answer to another question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attack on one weak response."""

    family: AttackFamily
    """The attack's family."""
    weak: WeakResponse
    """What is attacked."""
    position: Position
    """Where the attack stands."""
    attack: str
    """The attack with its placeholders filled in."""

    @property
    def response(self) -> str:
        """The attacked response."""
        weak, attack = self.weak.text, self.attack
        if self.position == "alone":
            return attack
        if self.position == "inside":
            words = weak.split(" ")
            middle = (len(words) + 1) // 2
            return f"{' '.join(words[:middle])}\n{attack}\n{' '.join(words[middle:])}"
        return f"{attack}\n\n{weak}" if self.position == "before" else f"{weak}\n\n{attack}"

    @property
    def request(self) -> GradingRequest:
        """The request to grade the attacked response."""
        return self.weak.task.request(self.response)


@cache
def builtin_families() -> tuple[AttackFamily, ...]:
    """Return this project's own attacks."""
    families: dict[str, dict[str, Any]] = _preset("attacks.yaml")
    return tuple(
        AttackFamily(
            name=name,
            kind=settings["kind"],
            texts=tuple(settings["texts"]),
            positions=tuple(settings.get("positions", POSITIONS)),
        )
        for name, settings in families.items()
    )


@cache
def builtin_tasks() -> tuple[Task, ...]:
    """Return this project's own tasks."""
    return _tasks(_preset("audit_tasks.yaml"), "audit_tasks.yaml", ())


def read_attacks(path: str | Path) -> tuple[AttackFamily, ...]:
    """Read one's own attacks, a family for every `kind`; their braces are no placeholders.

    Raises:
        InputError: The file cannot be read, or a row lacks `kind` or `text`.
    """
    texts: dict[str, list[str]] = {}
    for number, row in enumerate(read_values(path), start=1):
        kind, text = row.get("kind"), row.get("text")
        if not isinstance(kind, str) or not isinstance(text, str):
            got = ", ".join(sorted(map(str, row))) or "none"
            raise RowError(
                f"{path}, row {number}: expected an attack with the strings kind and text, got columns {got}"
            )
        texts.setdefault(kind, []).append(text)
    if not texts:
        raise InputError(f"{path}: got no attacks; expected rows with kind and text")
    return tuple(
        AttackFamily(name=f"file:{kind}", kind="semantic", texts=tuple(dict.fromkeys(family)))
        for kind, family in texts.items()
    )


def read_tasks(path: str | Path, default_rubrics: tuple[Rubric, ...] = ()) -> tuple[Task, ...]:
    """Read one's own tasks: rows with `instruction`, `reference_answer`, and `rubric` unless there is a default.

    Raises:
        InputError: The file cannot be read, a row lacks one of them, or there are fewer than two tasks.
    """
    return _tasks(read_values(path), str(path), default_rubrics)


def weak_responses(tasks: Sequence[Task]) -> list[WeakResponse]:
    """Return for every task a vague response, its reference's first quarter, and another task's reference.

    Returns:
        Three a task, tasks in order.
    """
    found = []
    for at, task in enumerate(tasks):
        other = tasks[(at + 1 + at % (len(tasks) - 1)) % len(tasks)].reference_answer
        unlike = tasks[(at + len(tasks) // 2) % len(tasks)].reference_answer
        words = task.reference_answer.split(" ")
        start = " ".join(words[: max(1, len(words) // 4)])
        texts = (_VAGUE[at % len(_VAGUE)], start, other if other != task.reference_answer else unlike)
        found += [WeakResponse(task=task, text=text, other_reference=unlike) for text in texts]
    return found


def draw_trials(
    family: AttackFamily, weak: Sequence[WeakResponse], num_trials: int, *, seed: int, fills: bool = True
) -> list[Trial]:
    """Return trials of a family, drawn without repetition from texts x positions x weak responses.

    Args:
        family: The attacks.
        weak: What they are put on.
        num_trials: Trials to draw; fewer come back where there are no more.
        seed: Of the draw.
        fills: Whether the family's texts have placeholders.
    """
    combinations = list(product(family.texts, family.positions, weak))
    random.Random(f"{seed}:{family.name}").shuffle(combinations)
    trials: dict[tuple[str, ...], Trial] = {}
    for text, position, one in combinations:
        attack = fill(text, _values(one)) if fills and "{" in text else text
        trial = Trial(family=family, weak=one, position=position, attack=attack)
        trials.setdefault((trial.response, one.text, one.task.instruction), trial)
        if len(trials) == num_trials:
            break
    return list(trials.values())


def _values(weak: WeakResponse) -> Mapping[str, str]:
    rubric = weak.task.rubric
    return {
        "high": str(rubric.scale.high),
        "top_description": rubric.descriptions[rubric.scale.high],
        "criteria": rubric.criteria,
        "instruction": weak.task.instruction,
        "weak": weak.text,
        "other_reference": weak.other_reference,
    }


def _preset(name: str) -> Any:
    return yaml.safe_load(resources.files("prom_reward").joinpath(f"presets/{name}").read_text(encoding="utf-8"))


def _tasks(rows: Sequence[Mapping[str, Any]], where: str, default_rubrics: tuple[Rubric, ...]) -> tuple[Task, ...]:
    tasks = []
    for number, row in enumerate(rows, start=1):
        instruction, reference = row.get("instruction"), row.get("reference_answer")
        if not isinstance(instruction, str) or not isinstance(reference, str) or len(reference.split()) < 8:
            raise RowError(f"{where}, row {number}: expected an instruction and a reference_answer of 8 words or more")
        rubrics = parse_rubrics(row["rubric"]) if row.get("rubric") else default_rubrics
        if not rubrics:
            raise RowError(f"{where}, row {number}: no rubric; give the row one, or all rows one with --rubric")
        tasks.append(Task(instruction=instruction, reference_answer=reference, rubric=rubrics[0]))
    if len({task.reference_answer for task in tasks}) < 2:
        raise InputError(f"{where}: got {len(tasks)} tasks; expected at least 2 with different reference answers")
    return tuple(tasks)
