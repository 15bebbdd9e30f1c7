"""Measures two policies' answers to the same prompts: by judges, singly and against each other, and without a model.

It does not know policies, trainers or what is concluded: `prom_reward.offline.policy_comparison` compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prom_reward.errors import InputError
from prom_reward.offline.answers import GREEDY, Answer
from prom_reward.offline.labeling import label
from prom_reward.offline.policy_comparison import AnswerPair
from prom_reward.offline.rows import read_values
from prom_reward.offline.shards import write_lines
from prom_reward.offline.text_measures import measure_text
from prom_reward.offline.training_folder import BeforeAfter
from prom_reward.rubrics import parse_rubrics
from prom_reward.types import GradingRequest, Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTask:
    """A prompt that policies are measured on."""

    key: str
    """Its own name."""
    instruction: str
    """What is asked, as a judge sees it."""
    rubric: Any
    """One rubric or several, in any form of `Rubric.parse` that JSON can hold."""
    reference_answer: str | None = None
    """An answer that deserves the best score; None where there is none."""


def measure_policies(
    tasks: Sequence[PolicyTask],
    before: Sequence[Answer],
    after: Sequence[Answer],
    *,
    judges: Mapping[str, Judge],
    out: Path,
) -> list[AnswerPair]:
    """Measure two policies' answers; call it again to go on after a stop.

    Every judge grades both answers and ranks them in both orders: `OUT/NAME` is its labelling, with the second
    policy's answers as the chosen ones, and `prom-reward report OUT/NAME` shows it. A judge with a cache answers once
    what stands in several folders, such as a base policy's answers.

    Args:
        tasks: The prompts.
        before: The first policy's answers.
        after: The second policy's, to the same prompts with the same samples, in the same order.
        judges: By name.
        out: The folder.

    Returns:
        A pair an answer, in order. Measures: a judge's expected score under its name, "overlap", "words",
        "repetition", and the shares "empty" and "cut off".

    Raises:
        InputError: The answers are not to the same prompts, or `out` holds other ones.
        MissingPackageError: There is a reference, and sacrebleu is not installed.
    """
    known = {task.key: task for task in tasks}
    kinds = [[(answer.key, answer.sample) for answer in answers] for answers in (before, after)]
    if kinds[0] != kinds[1] or not known.keys() >= {key for key, _ in kinds[0]}:
        raise InputError(
            f"got {len(before)} answers before and {len(after)} after, which are not to the same prompts and samples "
            f"among {len(tasks)} tasks; expected both policies' answers in one order"
        )
    out.mkdir(parents=True, exist_ok=True)
    asked = [known[answer.key] for answer in before]
    write_lines(out / "pairs.jsonl", map(_row, asked, before, after))
    labels = {name: _labels(out / "pairs.jsonl", judge, out / name) for name, judge in judges.items()}
    return [
        AnswerPair(
            prompt=task.key,
            sample=first.sample,
            before=_measures(task, first, {name: rows[at]["rejected_expected_score"] for name, rows in labels.items()}),
            after=_measures(task, second, {name: rows[at]["chosen_expected_score"] for name, rows in labels.items()}),
            prob_after={name: rows[at]["ranking_prob_chosen"] for name, rows in labels.items()},
        )
        for at, (task, first, second) in enumerate(zip(asked, before, after, strict=True))
    ]


def before_and_after(
    tasks: Sequence[PolicyTask],
    before: Sequence[Answer],
    after: Sequence[Answer],
    *,
    pairs: Sequence[AnswerPair],
    judge: Judge,
    measure: str,
    sample: str = GREEDY,
    num_each: int = 5,
) -> list[BeforeAfter]:
    """Return the answers that gained most and those that lost most, with a judge's feedback.

    Args:
        tasks: The prompts.
        before: The first policy's answers.
        after: The second policy's.
        pairs: What `measure_policies` returned of them.
        judge: Writes the feedback, under each task's first rubric.
        measure: The measure that the gain is of; pairs without it are left out.
        sample: Which of each prompt's answers.
        num_each: How many of either.
    """
    known = {task.key: task for task in tasks}
    texts = [{one.key: one.text for one in answers if one.sample == sample} for answers in (before, after)]
    scored = {one.prompt: (one.before.get(measure), one.after.get(measure)) for one in pairs if one.sample == sample}
    gains = {key: new - old for key, (old, new) in scored.items() if old is not None and new is not None}
    order = sorted(gains, key=lambda key: (-gains[key], key))
    shown = order if len(order) <= 2 * num_each else [*order[:num_each], *order[-num_each:]]
    judgments = judge.grade([_request(known[key], answers[key]) for key in shown for answers in texts])
    return [
        BeforeAfter(
            prompt=known[key].instruction,
            before=texts[0][key],
            after=texts[1][key],
            before_score=scored[key][0],
            after_score=scored[key][1],
            before_feedback=judgments[2 * at].feedback,
            after_feedback=judgments[2 * at + 1].feedback,
        )
        for at, key in enumerate(shown)
    ]


def _row(task: PolicyTask, before: Answer, after: Answer) -> dict[str, Any]:
    given = {"prompt": task.instruction, "reference_answer": task.reference_answer, "rubric": task.rubric}
    return {"id": f"{task.key}, {before.sample}", **given, "rejected": before.text, "chosen": after.text}


def _labels(pairs: Path, judge: Judge, out: Path) -> list[dict[str, Any]]:
    """Return the labels of all pairs, in order."""
    found = label(pairs, judge=judge, out=out, method="both")
    rows = read_values(found.labels)
    if found.num_problems:
        raise InputError(f"{out / 'problems.jsonl'}: {found.num_problems} pairs of answers cannot be judged; mend them")
    return rows


def _measures(task: PolicyTask, answer: Answer, scores: Mapping[str, float | None]) -> dict[str, float | None]:
    text = measure_text(answer.text, task.reference_answer)
    return {
        **scores,
        "overlap": text.overlap,
        "words": float(text.num_words),
        "repetition": text.repetition,
        "empty": float(text.is_empty),
        "cut off": float(answer.is_cut),
    }


def _request(task: PolicyTask, response: str) -> GradingRequest:
    return GradingRequest(
        instruction=task.instruction,
        response=response,
        rubric=parse_rubrics(task.rubric)[0],
        reference_answer=task.reference_answer,
    )
