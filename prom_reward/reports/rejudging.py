"""The rows of a judgment log or of labels, to grade again with another judge or rubric through a labeling."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prom_reward.data.formats import RowFormat
from prom_reward.errors import InputError
from prom_reward.files import write_lines
from prom_reward.labeling.labeled_rows import read_labels
from prom_reward.labeling.manifest import load_manifest
from prom_reward.reports.log import read_log
from prom_reward.reports.training_folder import LOG_FILE
from prom_reward.rubrics.reading import AnyRubric, rubric_digest
from prom_reward.rubrics.rubric import builtin_names, builtin_rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRows:
    """Problems of the rows that were written."""

    left_out: list[str]
    """Judgments that are not among them, each with the reason."""
    edited: list[str]
    """Lines on the given rubrics: which the source does not show to be those it was judged by, and which it keeps."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A row that was judged."""

    instruction: str
    response: str
    reference_answer: str | None
    rubric_name: str
    digest: str
    """The rubric's digest; empty if an older log holds only the name."""
    rubric: AnyRubric | None
    """None if the source is a log."""


def write_requests(source: str | Path, rows: Path, rubrics: tuple[AnyRubric, ...] = ()) -> WrittenRows:
    """Write what was judged as rows that `prom-reward label` reads, each once.

    Args:
        source: A folder of `prom-reward label`, a trainer's folder with its log, or a log.
        rows: The JSONL file to write.
        rubrics: If their names are the source's, they stand for those rubrics: a log has only names and digests, by
            which the built-in ones are known. A single one of another name grades every response instead of the
            source's rubrics.

    Raises:
        InputError: The source cannot be read, a rubric's text is not known, or only some names are the source's.
        WorkError: The disk is full.
    """
    source = Path(source)
    problems: list[str] = []
    digests = defaultdict[str, set[str]](set)
    for item in _items(source, []):
        digests[item.rubric_name].add(item.digest)
    names = set(digests)
    given = {rubric.name: rubric for rubric in rubrics}
    if given.keys() & names and given.keys() - names:
        raise InputError(
            f"{source}: got the rubrics {', '.join(sorted(given))}; expected names of the source alone "
            f"({', '.join(sorted(names))}), or another one alone"
        )
    if len(given) > 1 and not given.keys() & names:
        raise InputError(f"{source}: got {len(given)} other rubrics; expected one to grade every response by")
    if write_lines(rows, _rows(_items(source, problems), given, names, problems)) == 0:
        raise InputError(f"{source}: {problems[0] if problems else 'it has no judgments'}")
    notes = [_edited(given[name], digests[name]) for name in sorted(given.keys() & names)]
    if given.keys() & names and (others := sorted(names - given.keys())):
        notes.append(f"as before: {', '.join(others)}; a rubric of another name grades every response")
    return WrittenRows(edited=[f"{source}: {one}" for one in notes if one], left_out=problems)


def _edited(rubric: AnyRubric, digests: set[str]) -> str:
    """Return what is to say if a source's digests do not show that it was judged by this rubric; else nothing."""
    own, known = rubric_digest(rubric), sorted(digests - {""})
    if other := [one for one in known if one != own]:
        return (
            f"the rubric {rubric.name!r} was judged by another text than the given one (digest {', '.join(other)}; the "
            f"given one has {own}): changes come from the text, too"
        )
    return "" if known else f"no digest says whether the rubric {rubric.name!r} has the text that is given"


def _rows(
    items: Iterable[_Item], given: Mapping[str, AnyRubric], names: set[str], problems: list[str]
) -> Iterator[dict[str, Any]]:
    seen = set()
    for item in items:
        for rubric in [_own_rubric(item, given)] if given.keys() <= names else given.values():
            key = hash((item.instruction, item.response, item.reference_answer, rubric.name, rubric.text))
            if key in seen:
                continue
            seen.add(key)
            row: dict[str, Any] = {"prompt": item.instruction, "response": item.response, "rubric": rubric.to_dict()}
            if item.reference_answer is not None:
                row["reference_answer"] = item.reference_answer
            if _is_read_alike(row, item):
                yield row
            else:
                problems.append(
                    f"{item.instruction!r:.60}: `label` would read this prompt or response differently, for example as "
                    "stored messages"
                )


def _own_rubric(item: _Item, given: Mapping[str, AnyRubric]) -> AnyRubric:
    if item.rubric_name in given:
        return given[item.rubric_name]
    if item.rubric is not None:
        return item.rubric
    if item.rubric_name in builtin_names() and item.digest == rubric_digest(builtin_rubric(item.rubric_name)):
        return builtin_rubric(item.rubric_name)
    digest_note = "and a digest that is no built-in rubric's" if item.digest else "and no digest"
    raise InputError(
        f"the log has only the name of the rubric {item.rubric_name!r} {digest_note}; give its text with --rubric"
    )


def _is_read_alike(row: Mapping[str, Any], item: _Item) -> bool:
    """Whether a row asks the judge for the same: texts that are stored messages, or begin with thoughts, are not."""
    try:
        [[request]] = RowFormat(columns={}).example(row).requests(())
    except InputError:
        return False
    asked = (request.instruction, request.response, request.reference_answer)
    return asked == (item.instruction, item.response, item.reference_answer)


def _items(source: Path, missing: list[str]) -> Iterator[_Item]:
    if source.is_dir() and not (source / LOG_FILE).exists():
        yield from _labeled_items(source)
        return
    log = source / LOG_FILE if source.is_dir() else source
    yield from (item for item in read_log(log, _logged_item, missing) if item is not None)


def _logged_item(record: Mapping[str, Any], rank: int) -> _Item | None:
    """Return what a record judged; None for an evaluation's."""
    values = [*(record[name] for name in ("instruction", "response", "rubric")), record.get("rubric_digest") or ""]
    reference = record.get("reference_answer")
    if not all(isinstance(value, str) for value in (*values, reference or "")):
        raise TypeError("got a text that is no string")
    instruction, response, rubric, digest = values
    is_evaluation = record.get("mode") == "eval"
    return None if is_evaluation else _Item(instruction, response, reference, rubric, digest, None)


def _labeled_items(folder: Path) -> Iterator[_Item]:
    manifest = load_manifest(folder / "manifest.json")
    if manifest.method == "rank":
        raise InputError(f"{folder}: its pairs were ranked and not graded; expected grades, to set others beside them")
    default = manifest.parsed_rubrics()
    for row in read_labels(folder):
        for requests in row.example.requests(default):
            for request in requests:
                yield _Item(
                    request.instruction,
                    request.response,
                    request.reference_answer,
                    request.rubric.name,
                    rubric_digest(request.rubric),
                    request.rubric,
                )
