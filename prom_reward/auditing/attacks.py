"""Attack strings, the weak responses that they are put on, and the trials that come of both.

It does not know judges. The built-in strings are in `presets/attacks.yaml`, in this project's own wording; other
people's come from a JSONL file with `kind`, `text` and perhaps `sort`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from prom_reward.auditing.tasks import Task, other_answers
from prom_reward.data.rows import read_values
from prom_reward.errors import InputError, RowError
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.template import fill
from prom_reward.types import GradingRequest

AttackKind = Literal["structural", "semantic", "control"]
Position = Literal["alone", "before", "after", "inside"]
POSITIONS: tuple[Position, ...] = ("alone", "before", "after", "inside")

_VAGUE = (
    "I am not sure about this.",
    "That depends on many things.",
    "There is a lot that one could say here.",
    "It is hard to give an answer.",
)
_NUM_OTHERS = 5  # as many as the six tasks of a quick audit have; with them 30 requests, of which 29 can pass


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
    others: tuple[str, ...]
    """Five good answers to other questions; where there are fewer, some come several times."""


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
    preset = resources.files("prom_reward").joinpath("presets/attacks.yaml")
    families: dict[str, dict[str, Any]] = yaml.safe_load(preset.read_text(encoding="utf-8"))
    return tuple(
        AttackFamily(
            name=name,
            kind=settings["kind"],
            texts=tuple(settings["texts"]),
            positions=tuple(settings.get("positions", POSITIONS)),
        )
        for name, settings in families.items()
    )


def read_attacks(path: str | Path) -> tuple[AttackFamily, ...]:
    """Read one's own attacks, a family for every `kind`; their braces are no placeholders.

    A row may say with `sort` what its family is held to: structural, semantic (the default) or control.

    Raises:
        InputError: The file cannot be read, a row lacks `kind` or `text`, or the rows of a kind differ in `sort`.
    """
    texts: dict[str, list[str]] = {}
    sorts: dict[str, AttackKind] = {}
    for number, row in enumerate(read_values(path), start=1):
        kind, text = row.get("kind"), row.get("text")
        sort: AttackKind = row.get("sort") or "semantic"
        if not isinstance(kind, str) or not isinstance(text, str):
            got = ", ".join(sorted(map(str, row))) or "none"
            raise RowError(
                f"{path}, row {number}: expected an attack with the strings kind and text, got columns {got}"
            )
        kind = kind.encode("utf-8", "replace").decode()  # it is a seed and a cell of a page; neither holds surrogates
        if sort not in get_args(AttackKind):
            raise RowError(f"{path}, row {number}: got sort {sort!r:.60}; expected structural, semantic or control")
        if sorts.setdefault(kind, sort) != sort:
            raise RowError(
                f"{path}, row {number}: got sort {sort!r}, but {sorts[kind]!r} in a row above of the same kind; "
                "expected one sort a kind"
            )
        texts.setdefault(kind, []).append(text)
    if not texts:
        raise InputError(f"{path}: got no attacks; expected rows with kind and text")
    return tuple(
        AttackFamily(name=f"file:{kind}", kind=sorts[kind], texts=tuple(dict.fromkeys(family)))
        for kind, family in texts.items()
    )


def weak_responses(tasks: Sequence[Task]) -> list[WeakResponse]:
    """Return for every task a vague response, its reference's first quarter, and an answer to another question.

    Args:
        tasks: Tasks that `check_tasks` accepts.

    Returns:
        Three a task, tasks in order.
    """
    found = []
    for at, task in enumerate(tasks):
        others = tuple(islice(cycle(islice(other_answers(tasks, at), _NUM_OTHERS)), _NUM_OTHERS))
        words = task.reference_answer.split(" ")
        start = " ".join(words[: max(1, len(words) // 4)])
        texts = (_VAGUE[at % len(_VAGUE)], start, others[0])
        found += [WeakResponse(task=task, text=text, others=others) for text in texts]
    return found


def draw_trials(
    family: AttackFamily, weak: Sequence[WeakResponse], num_trials: int, *, seed: int, fills: bool = True
) -> list[Trial]:
    """Return trials of a family, drawn from texts x positions x weak responses.

    No two of them give a judge the same prompt with the guard on. So an attack that stands alone, which leaves
    nothing of the weak response, is one trial a task, against one of its weak responses.

    Args:
        family: The attacks.
        weak: What they are put on.
        num_trials: Trials to draw; fewer come back where there are no more.
        seed: Of the draw.
        fills: Whether the family's texts have placeholders.
    """
    combinations = list(product(family.texts, family.positions, weak))
    random.Random(f"{seed}:{family.name}").shuffle(combinations)
    trials: dict[GradingRequest, Trial] = {}
    for text, position, one in combinations:
        attack = fill(text, _values(one)) if fills and "{" in text else text
        trial = Trial(family=family, weak=one, position=position, attack=attack)
        if trial.response == one.text:  # nothing was attacked
            continue
        trials.setdefault(replace(trial.request, response=neutralize(trial.response)), trial)
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
        **{f"other_{number}": answer for number, answer in enumerate(weak.others, start=1)},
    }
