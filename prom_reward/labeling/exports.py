"""Labeled rows become exactly what a TRL trainer takes.

It does not know judges. What a row lacks for a trainer is counted, never made up: an unscored row and a tie are
dropped, a pair that the judge sees the other way round is swapped, dropped or kept by choice.

Formats: https://huggingface.co/docs/trl/dataset_formats. Texts stay strings where they were strings; where a row
has messages, all of its texts are messages.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from prom_reward.data.formats import Example, Kind, RowFormat
from prom_reward.errors import ConfigError, InputError, near_miss
from prom_reward.files import replacing, write_records
from prom_reward.labeling.assembly import input_values
from prom_reward.labeling.manifest import load_manifest
from prom_reward.labeling.row_labels import logit
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rubrics.rubric import Rubric, parse_rubrics

Trainer = Literal["reward", "dpo", "kto", "sft", "grpo"]
TRAINERS: tuple[Trainer, ...] = ("reward", "dpo", "kto", "sft", "grpo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What goes into an export."""

    on_disagreement: Literal["swap", "drop", "keep"] = "drop"
    """What becomes of a pair whose rejected side the judge prefers."""
    min_margin: float = 0.0
    """Pairs with a smaller margin, in logit units, are dropped."""
    max_entropy: float | None = None
    """Rows with a judgment of more entropy, in nats, are dropped."""
    best_of_n: Literal["worst", "all"] = "worst"
    """Several responses become the best against the worst, or the best against every other."""
    threshold: float = 0.5
    """From which unit score on, 0 to 1, a single response is good: KTO's label, and what SFT trains on."""


@dataclass(slots=True)
class Export:
    """What came of an export."""

    path: Path
    """The file."""
    num_written: int = 0
    """Its rows."""
    num_swapped: int = 0
    """Pairs whose sides were exchanged."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Pairs or responses that were left out, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledRow:
    """A row of `labels.jsonl`, read back."""

    values: Mapping[str, Any]
    """All of its columns."""
    example: Example
    """What it was in the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    prompt: PromptValue
    chosen: PromptValue
    rejected: PromptValue
    margin: float


def trainer_named(name: str) -> Trainer:
    """Return a trainer's name as such; another name raises ConfigError."""
    for trainer in TRAINERS:
        if name == trainer:
            return trainer
    raise ConfigError(f"unknown export {name!r}; expected one of {', '.join(TRAINERS)}.{near_miss(name, TRAINERS)}")


def read_labels(folder: str | Path) -> Iterator[LabeledRow]:
    """Yield the rows of a labeling.

    Raises:
        InputError: The folder holds no finished labeling.
    """
    folder = Path(folder)
    manifest = load_manifest(folder / "manifest.json")
    row_format = RowFormat(columns=manifest["columns"], reference_answer=manifest["reference_answer"])
    kind: Kind = manifest["kind"]
    labels = folder / "labels.jsonl"
    if not labels.exists():
        raise InputError(f"{labels}: no such file; the labeling is not finished: run `prom-reward label` again")
    with labels.open("rb") as file:
        for line in file:
            values = _row_values(labels, line)
            yield LabeledRow(values=values, example=row_format.example(input_values(values, kind)))


def _row_values(path: Path, line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: holds a line that is no JSON ({error}); run `prom-reward label` again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a JSON {type(values).__name__}; run `prom-reward label` again")
    return values


def export_labels(folder: str | Path, trainer: Trainer, options: ExportOptions | None = None) -> Export:
    """Write `FOLDER/TRAINER.jsonl` for a trainer.

    Args:
        folder: Of a finished labeling.
        trainer: "reward" (`chosen`, `rejected`, `margin`), "dpo" (`prompt`, `chosen`, `rejected`), "kto" (`prompt`,
            `completion`, `label`), "sft" (`prompt`, `completion`) or "grpo" (`prompt` once each, `rubric`,
            `reference_answer`).
        options: What goes into it.

    Raises:
        InputError: The folder holds no finished labeling, or its rows are nothing for this trainer.
    """
    trainer_named(trainer)
    found = Export(Path(folder) / f"{trainer}.jsonl")
    manifest = load_manifest(Path(folder) / "manifest.json")
    if trainer in ("reward", "dpo") and manifest["kind"] == "response":
        raise InputError(f"{folder}: its rows have one response each; {trainer} needs pairs or several responses")
    exporter = _Exporter(options or ExportOptions(), found, tuple(map(_rubric, manifest["rubrics"])))
    writers: dict[Trainer, Callable[[LabeledRow], Iterator[dict[str, Any]]]] = {
        "reward": exporter.reward,
        "dpo": exporter.dpo,
        "kto": exporter.kto,
        "sft": exporter.sft,
        "grpo": exporter.grpo,
    }
    with replacing(found.path) as file:
        for row in read_labels(folder):
            found.num_written += write_records(file, writers[trainer](row))
    return found


class _Exporter:
    """Turns labeled rows into a trainer's, and counts what it drops."""

    def __init__(self, options: ExportOptions, found: Export, rubrics: tuple[Rubric, ...]) -> None:
        self._options = options
        self._found = found
        self._rubrics = rubrics
        self._prompts: set[str] = set()

    def reward(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        for pair in self._pairs(row):
            yield {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected, "margin": pair.margin}

    def dpo(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        for pair in self._pairs(row):
            yield {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}

    def kto(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        if row.example.kind != "response":
            for pair in self._pairs(row):
                yield {"prompt": pair.prompt, "completion": pair.chosen, "label": True}
                yield {"prompt": pair.prompt, "completion": pair.rejected, "label": False}
        elif (is_good := self._is_good(row)) is not None:
            prompt, completion = texts(row.example)
            yield {"prompt": prompt, "completion": completion, "label": is_good}

    def sft(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        if row.example.kind != "response":
            for pair in self._pairs(row, only_best=True):
                yield {"prompt": pair.prompt, "completion": pair.chosen}
        elif (is_good := self._is_good(row)) is not None:
            prompt, completion = texts(row.example)
            if is_good:
                yield {"prompt": prompt, "completion": completion}
            else:
                self._drop("threshold")

    def grpo(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        prompt = texts(row.example)[0]
        key = json.dumps(prompt)
        if key in self._prompts:
            return self._drop("repeated prompt")
        self._prompts.add(key)
        rubrics = [request.rubric for request in row.example.requests(self._rubrics)[0]]
        weighted = [{"rubric": rubric.text, "weight": rubric.weight, "name": rubric.name} for rubric in rubrics]
        yield {"prompt": prompt, "rubric": weighted, "reference_answer": row.example.reference_answer}

    def _pairs(self, row: LabeledRow, *, only_best: bool = False) -> Iterator[_Pair]:
        """Yield the pairs of a row in the judge's order."""
        if row.example.kind == "pair":
            yield from self._pair(row)
            return
        best, worst = row.values["best"], row.values["worst"]
        if best is None:
            is_scored = any(label["unit_score"] is not None for label in row.values["labels"])
            return self._drop("tie" if is_scored else "unscored")
        others = [at for at in range(len(row.example.responses)) if at != best]
        for other in [worst] if only_best or self._options.best_of_n == "worst" else others:
            yield from self._best_against(row, best, other)

    def _pair(self, row: LabeledRow) -> Iterator[_Pair]:
        margin, agreement = row.values["margin"], row.values["agreement"]
        entropies = [row.values.get(f"{side}_entropy") for side in ("chosen", "rejected")]
        if reason := self._reason(margin, entropies):
            return self._drop(reason)
        prompt, chosen, rejected = texts(row.example)
        if agreement == "disagrees":
            if self._options.on_disagreement == "drop":
                return self._drop("disagreement")
            if self._options.on_disagreement == "swap":
                chosen, rejected, margin = rejected, chosen, -margin
                self._found.num_swapped += 1
        yield _Pair(prompt=prompt, chosen=chosen, rejected=rejected, margin=margin)

    def _best_against(self, row: LabeledRow, best: int, other: int) -> Iterator[_Pair]:
        labels = row.values["labels"]
        high, low = labels[best]["unit_score"], labels[other]["unit_score"]
        margin = None if low is None else logit((1 + high - low) / 2)
        if reason := self._reason(margin, [labels[best]["entropy"], labels[other]["entropy"]]):
            return self._drop(reason)
        prompt, *responses = texts(row.example)
        yield _Pair(prompt=prompt, chosen=responses[best], rejected=responses[other], margin=margin or 0.0)

    def _is_good(self, row: LabeledRow) -> bool | None:
        """Return whether a single response is good; None where it is dropped."""
        score = row.values["unit_score"]
        reason = "unscored" if score is None else "entropy" if self._is_unsure([row.values["entropy"]]) else None
        if reason is not None:
            self._drop(reason)
            return None
        return bool(score >= self._options.threshold)

    def _reason(self, margin: float | None, entropies: list[float | None]) -> str | None:
        """Return why a pair is dropped, if it is."""
        if margin is None:
            return "unscored"
        if margin == 0:
            return "tie"
        if abs(margin) < self._options.min_margin:
            return "margin"
        return "entropy" if self._is_unsure(entropies) else None

    def _is_unsure(self, entropies: list[float | None]) -> bool:
        limit = self._options.max_entropy
        return limit is not None and any(entropy is not None and entropy > limit for entropy in entropies)

    def _drop(self, reason: str) -> None:
        self._found.dropped[reason] += 1


def texts(example: Example) -> list[PromptValue]:
    """Return prompt and responses: all strings, or all messages."""
    if not example.is_conversational:
        return [example.prompt, *example.responses]
    prompt = _as_messages(example.prompt, "user")
    return [prompt, *(_as_messages(response, "assistant") for response in example.responses)]


def _as_messages(text: PromptValue, role: str) -> PromptValue:
    return [{"role": role, "content": text}] if isinstance(text, str) else text


def _rubric(values: Mapping[str, Any]) -> Rubric:
    [rubric] = parse_rubrics({"rubric": values["text"], "name": values["name"], "weight": values["weight"]})
    return rubric
