"""Labeled rows become exactly what a TRL trainer takes (https://huggingface.co/docs/trl/dataset_formats).

What a row lacks for a trainer is counted, never made up: unscored rows and ties are dropped, and a pair whose rejected
side the judge prefers is swapped, dropped or kept by choice. Texts stay as they are in the source; if a row has
messages, all of its texts are messages.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

from prom_reward.data.formats import KINDS, Kind
from prom_reward.errors import ConfigError, InputError, near_miss
from prom_reward.files import replacing, write_records
from prom_reward.labeling.labeled_rows import LabeledRow, read_labels
from prom_reward.labeling.manifest import load_manifest
from prom_reward.labeling.verdicts import SAME, logit
from prom_reward.prompts.transcripts import PromptValue
from prom_reward.rubrics.reading import AnyRubric

logger = logging.getLogger(__name__)

FORMATS = ("reward", "dpo", "kto", "sft", "grpo")
"""The trainers of TRL whose data set format can be written."""
OnDisagreement = Literal["swap", "drop", "keep"]
BestOfN = Literal["worst", "all"]


@dataclass(slots=True)
class Export:
    """A written export."""

    path: Path
    """The file."""
    num_written: int = 0
    """Rows of the file."""
    num_swapped: int = 0
    """Pairs whose sides were swapped."""
    dropped: Counter[str] = field(default_factory=Counter)
    """The number of pairs or responses that were left out, by reason."""


def export_labels(
    folder: str | Path,
    formats: str | Sequence[str],
    *,
    on_disagreement: OnDisagreement = "drop",
    min_margin: float = 0.0,
    max_entropy: float | None = None,
    best_of_n: BestOfN = "worst",
    threshold: float = 0.5,
) -> list[Export]:
    """Write `FOLDER/FORMAT.jsonl` for each format and return what was written.

    Args:
        folder: A folder of `prom_reward.label`.
        formats: One or several of "reward" (`prompt`, `chosen`, `rejected`, `margin`), "dpo" (`prompt`, `chosen`,
            `rejected`), "kto" (`prompt`, `completion`, `label`), "sft" (`prompt`, `completion`), "grpo" (each `prompt`
            once, `rubric`, `reference_answer`).
        on_disagreement: What becomes of a pair whose rejected side the judge prefers. Drop it unless the judge is
            known to be better than the given order.
        min_margin: Pairs with a smaller margin, in logit units, are dropped.
        max_entropy: Rows with a judgment of more entropy, in nats, are dropped; None drops none.
        best_of_n: Several responses become the best against the worst, or the best against every other.
        threshold: The unit score, 0 to 1, from which on a single response is good: KTO's label, and SFT's choice.

    Raises:
        InputError: The folder holds no finished labeling, or its rows cannot become this format.
        ConfigError: A format or an option's name is unknown, or a number is out of its range.
    """
    formats = [formats] if isinstance(formats, str) else formats
    check_formats(formats)
    _check_options(on_disagreement, best_of_n, min_margin=min_margin, max_entropy=max_entropy, threshold=threshold)
    manifest = load_manifest(Path(folder) / "manifest.json")
    check_formats(formats, manifest.kind)
    note = manifest.about.get("pairs_note")
    if note and manifest.kind != "response" and set(formats) - {"grpo"}:
        logger.warning("%s: the judge %s is %s", folder, manifest.about.get("judge"), note)
    exports = []
    for name in formats:
        exporter = _Exporter(
            found=Export(Path(folder) / f"{name}.jsonl"),
            rubrics=manifest.parsed_rubrics(),
            on_disagreement=on_disagreement,
            min_margin=min_margin,
            max_entropy=max_entropy,
            best_of_n=best_of_n,
            threshold=threshold,
        )
        exports.append(exporter.export(name, read_labels(folder)))
    return exports


def _check_options(on_disagreement: str, best_of_n: str, **numbers: float | None) -> None:
    """Raise ConfigError for a name that is unknown or a number out of its range: a guess would be wrong data."""
    for option, name, known in (
        ("on_disagreement", on_disagreement, get_args(OnDisagreement)),
        ("best_of_n", best_of_n, get_args(BestOfN)),
    ):
        if name not in known:
            raise ConfigError(f"got {option}={name!r}; expected one of {', '.join(known)}.{near_miss(name, known)}")
    for option, number in numbers.items():
        highest = 1 if option == "threshold" else inf
        if number is not None and not 0 <= number <= highest:
            raise ConfigError(f"got {option}={number}; expected {'0 to 1' if highest == 1 else '0 or more'}")


def check_formats(formats: Sequence[str], kind: Kind | None = None) -> None:
    """Check that formats are known, and that rows of a kind can become them.

    Raises:
        ConfigError: A format is unknown.
        InputError: The rows cannot become it.
    """
    for name in formats:
        if name not in FORMATS:
            known = ", ".join(FORMATS)
            raise ConfigError(f"unknown export {name!r}; expected one of {known}.{near_miss(name, FORMATS)}")
        if kind == "response" and name in ("reward", "dpo"):
            raise InputError(f"got {KINDS[kind]} and the export {name}; it needs pairs or several responses")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    prompt: PromptValue
    chosen: PromptValue
    rejected: PromptValue
    margin: float


@dataclass(slots=True, kw_only=True)
class _Exporter:
    """Turns labeled rows into a trainer's rows, and counts what it drops."""

    found: Export
    rubrics: tuple[AnyRubric, ...]
    on_disagreement: OnDisagreement
    min_margin: float
    max_entropy: float | None
    best_of_n: BestOfN
    threshold: float
    prompts: set[bytes] = field(default_factory=set)
    num_without_entropy: int = 0

    def export(self, name: str, rows: Iterator[LabeledRow]) -> Export:
        """Write all rows in one format."""
        write = {"reward": self.reward, "dpo": self.dpo, "kto": self.kto, "sft": self.sft, "grpo": self.grpo}[name]
        with replacing(self.found.path) as file:
            for row in rows:
                if row.has_foreign_calls:
                    self._drop("tool calls in another layout")
                else:
                    self.found.num_written += write_records(file, write(row))
        if self.num_without_entropy:
            logger.warning(
                "%s: without an entropy (only ranked, decided by code, or the judge tells none): %d; max_entropy=%g "
                "drops none of them",
                self.found.path,
                self.num_without_entropy,
                self.max_entropy,
            )
        return self.found

    def reward(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        for pair in self._pairs(row, self.best_of_n):
            yield {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected, "margin": pair.margin}

    def dpo(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        for pair in self._pairs(row, self.best_of_n):
            yield {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}

    def kto(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        if row.example.kind == "response":
            completions = [(text, is_good) for text, is_good in self._graded(row)]
        else:
            pairs = list(self._pairs(row, self.best_of_n))  # the best response is chosen in each: it is written once
            completions = [*((pair.chosen, True) for pair in pairs[:1]), *((pair.rejected, False) for pair in pairs)]
        for text, is_good in completions:
            yield {"prompt": row.texts[0], "completion": text, "label": is_good}

    def sft(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        if row.example.kind == "response":
            for text, is_good in self._graded(row):
                if is_good:
                    yield {"prompt": row.texts[0], "completion": text}
                else:
                    self._drop("threshold")
        for pair in self._pairs(row, "worst") if row.example.kind != "response" else ():
            yield {"prompt": pair.prompt, "completion": pair.chosen}

    def grpo(self, row: LabeledRow) -> Iterator[dict[str, Any]]:
        prompt = row.texts[0]
        digest = hashlib.sha256(json.dumps(prompt).encode()).digest()[:16]
        if digest in self.prompts:
            return self._drop("repeated prompt")
        self.prompts.add(digest)
        rubrics = [request.rubric.to_dict() for request in row.example.requests(self.rubrics)[0]]
        yield {"prompt": prompt, "rubric": rubrics, "reference_answer": row.example.reference_answer}

    def _pairs(self, row: LabeledRow, best_of_n: BestOfN) -> Iterator[_Pair]:
        """Yield the pairs of a row in the judge's order."""
        if row.example.kind == "pair":
            yield from self._pair(row)
            return
        best, worst = row.values["best"], row.values["worst"]
        if len(row.example.responses) == 1:
            return self._drop("only one response")
        if best is None:
            is_scored = any(verdict["unit_score"] is not None for verdict in row.verdicts)
            return self._drop("tie" if is_scored else "unscored")
        others = [at for at in range(len(row.example.responses)) if at != best]
        for other in [worst] if best_of_n == "worst" else others:
            yield from self._best_against(row, best, other)

    def _pair(self, row: LabeledRow) -> Iterator[_Pair]:
        margin = row.values["margin"]
        if reason := self._reason(margin, row.verdicts):
            return self._drop(reason)
        prompt, chosen, rejected = row.texts
        if row.values["agreement"] == "disagrees":
            if self.on_disagreement == "drop":
                return self._drop("disagreement")
            if self.on_disagreement == "swap":
                chosen, rejected, margin = rejected, chosen, -margin
                self.found.num_swapped += 1
        yield _Pair(prompt=prompt, chosen=chosen, rejected=rejected, margin=margin)

    def _best_against(self, row: LabeledRow, best: int, other: int) -> Iterator[_Pair]:
        verdicts = [row.verdicts[best], row.verdicts[other]]
        high, low = (verdict["unit_score"] for verdict in verdicts)
        margin = None if low is None else logit((1 + high - low) / 2)
        if reason := self._reason(margin, verdicts):
            return self._drop(reason)
        prompt, *responses = row.texts
        yield _Pair(prompt=prompt, chosen=responses[best], rejected=responses[other], margin=margin or 0.0)

    def _graded(self, row: LabeledRow) -> Iterator[tuple[PromptValue, bool]]:
        """Yield a single response and whether it is good; nothing if it is dropped."""
        score = row.values["unit_score"]
        if score is None:
            return self._drop("unscored")
        if self._is_unsure(row.verdicts):
            return self._drop("entropy")
        yield row.texts[1], score >= self.threshold - SAME

    def _reason(self, margin: float | None, verdicts: Sequence[Mapping[str, Any]]) -> str | None:
        """Return why a pair is dropped, if it is."""
        if margin is None:
            return "unscored"
        if abs(margin) <= SAME:
            return "tie"
        if abs(margin) < self.min_margin - SAME:
            return "margin"
        return "entropy" if self._is_unsure(verdicts) else None

    def _is_unsure(self, verdicts: Sequence[Mapping[str, Any]]) -> bool:
        if self.max_entropy is None:
            return False
        entropies = [verdict["entropy"] for verdict in verdicts if verdict["entropy"] is not None]
        self.num_without_entropy += not entropies
        return max(entropies, default=0.0) > self.max_entropy + SAME

    def _drop(self, reason: str) -> None:
        self.found.dropped[reason] += 1
