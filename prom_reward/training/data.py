"""Reads labeled files into training and validation examples: split by question, repeated, in several layouts."""

import hashlib
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from prom_reward.data.labels.criterion_labels import LabeledChecklist
from prom_reward.data.labels.human_labels import LabelColumns, read_labeled
from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.data.rows import read_values
from prom_reward.errors import InputError, number_of
from prom_reward.prompts.checklist import CHECKLIST_TEXTS
from prom_reward.rubrics.reading import only_levels, with_levels
from prom_reward.training.constructed import constructed_requests
from prom_reward.training.examples import ExampleEncoder, TrainingExample
from prom_reward.training.sources import DataSource

logger = logging.getLogger(__name__)

_MANY_ROWS = 20  # so many rows without a shared question are suspicious


@dataclass(frozen=True, slots=True)
class ExampleSets:
    """The examples of a judge's training."""

    training: list[TrainingExample]
    """Examples to train on, with repetitions."""
    validation: list[TrainingExample]
    """Examples of held-out questions, in score mode."""
    num_too_long: int
    """Training examples that were left out because they are too long."""
    num_rows: int | None = None
    """The different rows of the training examples; None if a file that was prepared earlier does not say."""


def build_examples(
    sources: Sequence[DataSource],
    encoders: Mapping[ExampleEncoder, float],
    *,
    max_tokens: int,
    validation_share: float,
    max_validation: int,
    seed: int,
    labeled: Sequence[Sequence[LabeledRequest]] | None = None,
) -> ExampleSets:
    """Read, split, repeat and encode labeled data.

    Args:
        sources: The files.
        encoders: An encoder for each of the judge's layouts, with its share of the training examples. Validation uses
            the first.
        max_tokens: Longer examples are left out and counted.
        validation_share: The share of questions to hold out; a question is held out in all sources or in none.
        max_validation: At most so many validation examples a source.
        seed: Seeds all draws.
        labeled: The rows of each source, from `read_source`; None reads them now.

    Raises:
        InputError: A file cannot be read, or no example is left to train on.
    """
    draw = random.Random(seed)
    training: list[TrainingExample] = []
    validation: list[TrainingExample] = []
    num_kept = num_held_out = num_rows = 0
    first, shares = next(iter(encoders)), list(encoders.values())
    for source, rows in zip(sources, labeled or [read_source(one, seed=seed) for one in sources], strict=True):
        name = f"{source.path.stem}_constructed" if source.constructed else source.path.stem
        kept, held_out = _split(rows, validation_share, seed)
        num_kept, num_held_out = num_kept + len(kept), num_held_out + len(held_out)
        used = set()
        for one in _repeated(kept, source.passes, draw):
            encoder = _encoder(source, draw.choices(list(encoders), shares)[0], one)
            writes_feedback = draw.random() < source.feedback
            training.append(encoder.encode(one, source=name, writes_feedback=writes_feedback))
            if len(training[-1].ids) <= max_tokens:
                used.add(id(one))
        num_rows += len(used)
        draw.shuffle(held_out)
        held = [_encoder(source, first, one).encode(one, source=name) for one in held_out[: 2 * max_validation]]
        validation += [example for example in held if len(example.ids) <= max_tokens][:max_validation]
    fitting = [example for example in training if len(example.ids) <= max_tokens]
    if not num_kept:
        raise InputError(
            f"got {number_of(num_held_out, 'labeled row')}, all held out; give more, or lower validation_share"
        )
    if not training:
        raise InputError(
            f"got passes so low that none of {number_of(num_kept, 'labeled row')} is taken; raise passes, or give more"
        )
    if not fitting:
        shortest = min(len(example.ids) for example in training)
        raise InputError(
            f"got no example of at most {max_tokens} tokens: the shortest of {len(training)} has {shortest}; raise "
            "max_tokens"
        )
    return ExampleSets(fitting, validation, len(training) - len(fitting), num_rows)


def read_source(source: DataSource, *, seed: int = 0) -> list[LabeledRequest]:
    """Return all labeled requests of a file; warn about rows that cannot be used.

    Raises:
        InputError: The file cannot be read, or none of its rows can be used.
    """
    if source.constructed:
        return _constructed(source, seed)
    columns = LabelColumns(score=source.score_column, cluster=source.cluster_column, scale=source.scale)
    found = read_labeled(source.path, source.rubrics, columns=columns)
    rows = [*found.rows, *(one for checklist in found.checklists for one in _verdicts(checklist))]
    if not rows:
        got = "preference pairs" if found.pairs else "verdicts on criteria with options alone"
        raise InputError(f"{source.path}: got {got}; expected responses with scores to train on, or yes-or-no criteria")
    if num_options := sum(
        len(labeled.labels[one.name]) for labeled in found.checklists for one in labeled.criteria if one.options
    ):
        logger.warning(
            "%s: left out: %s on criteria with options; met or not says nothing of the answers between",
            source.path,
            number_of(num_options, "verdict"),
        )
    if found.problems:
        logger.warning(
            "%s: %s left out; the first: %s", source.path, number_of(len(found.problems), "row"), found.problems[0]
        )
    if len({one.cluster for one in rows}) == len(rows) > _MANY_ROWS:
        logger.warning(
            "%s: each of %d rows counts as a question of its own; if rows share questions, name the question's "
            "column with --cluster or cluster_column",
            source.path,
            len(rows),
        )
    return rows


def _verdicts(labeled: LabeledChecklist) -> list[LabeledRequest]:
    """Return a labeled request for each yes-or-no criterion; verdicts say nothing of options between no and yes."""
    return [
        LabeledRequest(
            request=replace(labeled.request, rubric=one.rubric),
            scores=tuple(map(float, labeled.labels[one.name])),
            cluster=labeled.cluster,
            group=labeled.group,
        )
        for one in labeled.criteria
        if not one.options
    ]


def _encoder(source: DataSource, encoder: ExampleEncoder, labeled: LabeledRequest) -> ExampleEncoder:
    is_criterion = source.criteria or with_levels(labeled.request.rubric).is_criterion
    return replace(encoder, texts=CHECKLIST_TEXTS) if is_criterion else encoder


def _constructed(source: DataSource, seed: int) -> list[LabeledRequest]:
    tasks = read_values(source.path)
    made = constructed_requests(
        tasks,
        only_levels(source.rubrics, "constructed: true"),
        seed=seed,
        cluster_column=source.cluster_column,
        imitations=source.imitations,
    )
    if not made:
        raise InputError(
            f"{source.path}: got no usable task in {number_of(len(tasks), 'row')}; expected a reference_answer of two "
            "sentences or more, or wrong_answers beside it, to construct labels from"
        )
    return made


def _split(
    labeled: Iterable[LabeledRequest], share: float, seed: int
) -> tuple[list[LabeledRequest], list[LabeledRequest]]:
    """Split by question into training and held-out rows; a question is on the same side in every file."""
    sides: tuple[list[LabeledRequest], list[LabeledRequest]] = ([], [])
    for one in labeled:
        digest = hashlib.sha256(f"{seed}:{one.cluster}".encode()).digest()
        sides[int.from_bytes(digest[:8], "big") < share * 2**64].append(one)
    return sides


def _repeated(labeled: Sequence[LabeledRequest], passes: float, draw: random.Random) -> list[LabeledRequest]:
    """Return every request `passes` times; a fraction samples whole prompts, so that packs stay full."""
    whole, fraction = divmod(passes, 1)
    prompts: dict[tuple[str, str], list[LabeledRequest]] = {}
    for one in labeled:
        prompts.setdefault((one.request.instruction, with_levels(one.request.rubric).criteria), []).append(one)
    drawn = draw.sample(list(prompts.values()), round(fraction * len(prompts)))
    return list(labeled) * int(whole) + [one for family in drawn for one in family]
