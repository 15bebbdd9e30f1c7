"""Attack strings, the weak responses that they are added to, and the trials made of both.

The built-in strings are in `presets/attacks.yaml`, in this project's own wording. A file of your own has the columns
`kind`, `text` and, optionally, `sort`.
"""

import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from prom_reward.auditing.tasks import AuditTask, other_answers
from prom_reward.data.rows import read_values
from prom_reward.errors import ConfigError, InputError, RowError
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.template import PLACEHOLDER, fill
from prom_reward.rubrics.reading import AnyRubric
from prom_reward.types import Checklist, GradingRequest

AttackKind = Literal["structural", "semantic", "control"]
Position = Literal["alone", "before", "after", "inside"]
POSITIONS: tuple[Position, ...] = ("alone", "before", "after", "inside")

_VAGUE = (
    "I am not sure about this.",
    "That depends on many things.",
    "There is a lot that one could say here.",
    "It is hard to give an answer.",
)
_PLACEHOLDERS = ("high", "top_description", "criteria", "instruction", "weak", *(f"other_{at}" for at in range(1, 6)))
_NUM_OTHERS = 5  # the six tasks of a quick audit have five each: 30 requests, enough for its 29 trials


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFamily:
    """Attacks of one family.

    Raises:
        ConfigError: A text has another placeholder than those of `has_placeholders`.
    """

    name: str
    """For tables and JSON."""
    kind: AttackKind
    """structural: poses as the judge; semantic: persuades it; control: harmless text to compare with."""
    texts: tuple[str, ...]
    """The attack strings."""
    positions: tuple[Position, ...] = POSITIONS
    """Their place in the response."""
    has_placeholders: bool = True
    """Whether `{high}` and the like in the texts are filled in from the task."""

    def __post_init__(self) -> None:
        found = {name for text in self.texts for name in PLACEHOLDER.findall(text)} if self.has_placeholders else set()
        if unknown := sorted(found.difference(_PLACEHOLDERS)):
            raise ConfigError(
                f"got the placeholder {{{unknown[0]}}} in the attacks {self.name!r:.60}; expected one of "
                f"{', '.join(_PLACEHOLDERS)}, or has_placeholders=False for texts with braces of their own"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakResponse:
    """A response that deserves a low score."""

    task: AuditTask
    """The task that it answers."""
    text: str
    """The response."""
    others: tuple[str, ...]
    """Five good answers to other questions, repeated if there are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackTrial:
    """One attack on one weak response."""

    family: AttackFamily
    """The attack's family."""
    weak: WeakResponse
    """The response that is attacked."""
    position: Position
    """The attack's place in the response."""
    text: str
    """The attack as the family has it."""
    attack: str
    """The same with its placeholders filled in."""

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
    """Read attacks from a file, one family for each `kind`. Braces in their texts are not placeholders.

    A row's `sort` sets the threshold of its family: structural, semantic (the default) or control.

    Raises:
        InputError: The file cannot be read, a row lacks `kind` or `text`, or rows of one kind differ in `sort`.
    """
    texts: dict[str, list[str]] = {}
    sorts: dict[str, AttackKind] = {}
    for number, row in enumerate(read_values(path), start=1):
        kind, text, sort = _attack(row, f"{path}, row {number}")
        if sorts.setdefault(kind, sort) != sort:
            raise RowError(
                f"{path}, row {number}: got sort {sort!r}, but an earlier row of this kind has {sorts[kind]!r}; "
                "expected one sort for each kind"
            )
        texts.setdefault(kind, []).append(text)
    if not texts:
        raise InputError(f"{path}: got no attacks; expected rows with kind and text")
    return tuple(
        AttackFamily(name=f"file:{kind}", kind=sorts[kind], texts=tuple(dict.fromkeys(family)), has_placeholders=False)
        for kind, family in texts.items()
    )


def _attack(row: Mapping[str, Any], where: str) -> tuple[str, str, AttackKind]:
    """Return a row's kind, text and sort."""
    kind, text = row.get("kind"), row.get("text")
    sort: AttackKind = row.get("sort") or "semantic"
    if not isinstance(kind, str) or not isinstance(text, str):
        got = ", ".join(sorted(map(str, row))) or "none"
        raise RowError(f"{where}: expected an attack with the strings kind and text, got columns {got}")
    if sort not in get_args(AttackKind):
        raise RowError(f"{where}: got sort {sort!r:.60}; expected structural, semantic or control")
    return kind.encode("utf-8", "replace").decode(), text, sort  # a seed is made of the kind: no lone surrogates


def weak_responses(tasks: Sequence[AuditTask]) -> list[WeakResponse]:
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


def draw_trials(family: AttackFamily, weak: Sequence[WeakResponse], num_trials: int, *, seed: int) -> list[AttackTrial]:
    """Return trials of a family, drawn from texts x positions x weak responses.

    Texts take turns, so each is tried once before any is tried twice. No two trials give the judge the same prompt
    with the guard on. An attack that stands alone replaces the weak response and is one trial for each task.

    Args:
        family: The attacks.
        weak: The responses that they are added to.
        num_trials: Trials to draw; fewer are returned if there are no more.
        seed: Seed of the draw.
    """
    return list(
        islice(_trials(family, weak, random.Random(f"{seed}:{family.name}".encode("utf-8", "replace"))), num_trials)
    )


def _trials(family: AttackFamily, weak: Sequence[WeakResponse], draw: random.Random) -> Iterator[AttackTrial]:
    seen: set[GradingRequest] = set()
    turns = deque(_trials_of(text, family, weak, draw) for text in draw.sample(family.texts, len(family.texts)))
    while turns:
        trials = turns.popleft()
        for trial in trials:
            prompt = replace(trial.request, response=neutralize(trial.response))
            if trial.response != trial.weak.text and prompt not in seen:
                seen.add(prompt)
                turns.append(trials)
                yield trial
                break


def _trials_of(
    text: str, family: AttackFamily, weak: Sequence[WeakResponse], draw: random.Random
) -> Iterator[AttackTrial]:
    """Yield a text at every position of every weak response, in random order."""
    places = list(product(family.positions, weak))
    for position, one in draw.sample(places, len(places)):
        attack = fill(text, _values(one)) if family.has_placeholders and "{" in text else text
        yield AttackTrial(family=family, weak=one, position=position, text=text, attack=attack)


def _top_description(rubric: AnyRubric) -> str:
    """Return what deserves the best score: of a checklist all that is not a pitfall."""
    if not isinstance(rubric, Checklist):
        return rubric.descriptions[rubric.scale.high]
    return " ".join(leaf.text for leaf in rubric.leaves() if leaf.weight > 0 and leaf.role != "veto")


def _values(weak: WeakResponse) -> Mapping[str, str]:
    rubric = weak.task.rubric
    return {
        "high": str(rubric.scale.high),
        "top_description": _top_description(rubric),
        "criteria": " ".join(rubric.level_texts) if isinstance(rubric, Checklist) else rubric.criteria,
        "instruction": weak.task.instruction,
        "weak": weak.text,
        **{f"other_{number}": answer for number, answer in enumerate(weak.others, start=1)},
    }
