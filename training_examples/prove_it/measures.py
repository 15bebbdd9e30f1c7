"""Measures two policies' answers to the same prompts: by judges (grading and ranking), and without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError, number_of
from prom_reward.files import write_lines
from prom_reward.judging.base import Judge
from prom_reward.labeling.labeling import label
from prom_reward.labeling.task import Method
from prom_reward.labeling.verdicts import graded_prob
from prom_reward.reports.training_folder import BeforeAfter
from prom_reward.rubrics.rubric import parse_rubrics
from prom_reward.types import GradingRequest, Judgment
from training_examples.prove_it.answers import GREEDY, Answer
from training_examples.prove_it.comparison import AnswerPair
from training_examples.prove_it.text_measures import measure_text


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTask:
    """A prompt to measure policies on."""

    key: str
    """A unique name."""
    instruction: str
    """The instruction that a judge sees."""
    rubric: Any
    """One rubric or several, in any form of `Rubric.parse` that JSON can hold."""
    reference_answer: str | None = None
    """An answer that deserves the best score, or None."""


def measure_policies(
    tasks: Sequence[PolicyTask],
    before: Sequence[Answer],
    after: Sequence[Answer],
    *,
    judges: Mapping[str, Judge],
    out: Path,
    generic_rubrics: Mapping[str, Any] | None = None,
    short_tokens: int | None = None,
) -> list[AnswerPair]:
    """Measure two policies' answers; call it again to go on after a stop.

    Every judge grades both answers and ranks them in both orders. `OUT/NAME` is its labeling of `OUT/NAME.jsonl`, with
    the second policy's answers as the chosen ones; `prom-reward report OUT/NAME` shows it. Give a judge a cache if the
    same answers come up in several folders, as a base policy's do.

    Args:
        tasks: The prompts.
        before: The first policy's answers.
        after: The second policy's answers: the same prompts and samples, in the same order.
        judges: The judges by name.
        out: The folder for labels.
        generic_rubrics: By a judge's name: another rubric to grade by once more, without reference answer. It gives
            the measure "NAME, generic rubric", on which a policy with the tasks' own rubrics was not trained.
        short_tokens: A length of interest, such as the token limit in training.

    Returns:
        One pair an answer, in order. Measures: each judge's expected score under its name, "overlap" with the
        reference, "words", "sentences", "repetition", "copied" from the instruction, "empty" and "cut off" (0 or 1),
        and "over N tokens" (0 or 1) with N = short_tokens.

    Raises:
        InputError: The two policies answered different prompts, or `out` holds labels of other answers.
        MissingPackageError: There is a reference answer, and sacrebleu is not installed.
    """
    known = {task.key: task for task in tasks}
    kinds = [[(answer.key, answer.sample) for answer in answers] for answers in (before, after)]
    if kinds[0] != kinds[1] or not known.keys() >= {key for key, _ in kinds[0]}:
        raise InputError(
            f"got {len(before)} answers before and {len(after)} after, of different prompts or samples among "
            f"{number_of(len(tasks), 'task')}; expected both policies' answers to the same prompts, in the same order"
        )
    out.mkdir(parents=True, exist_ok=True)
    asked = [known[answer.key] for answer in before]
    rows = list(map(_row, asked, before, after))
    labels = {name: _labels(rows, judge, out / name, "both") for name, judge in judges.items()}
    for name, rubric in (generic_rubrics or {}).items():
        bare = [{**row, "rubric": rubric, "reference_answer": None} for row in rows]
        labels[f"{name}, generic rubric"] = _labels(bare, judges[name], out / f"{name}-generic", "grade")
    pairs = zip(asked, before, after, strict=True)
    found = [{name: flat[at] for name, flat in labels.items()} for at in range(len(rows))]
    return [_pair(*pair, labels=one, short_tokens=short_tokens) for pair, one in zip(pairs, found, strict=True)]


def before_and_after(
    tasks: Sequence[PolicyTask],
    before: Sequence[Answer],
    after: Sequence[Answer],
    *,
    judge: Judge,
    writer: Judge,
    sample: str = GREEDY,
    num_each: int = 5,
) -> list[BeforeAfter]:
    """Return the answers that gained most and that lost most under each task's first rubric, with feedback.

    Args:
        tasks: The prompts.
        before: The first policy's answers.
        after: The second policy's answers: the same prompts, in the same order.
        judge: Scores the answers; with a cache it grades nothing twice.
        writer: Writes the feedback, for example the same judge in feedback mode.
        sample: The name of the answer to take for each prompt.
        num_each: How many to return of each kind; answers without a score are left out.
    """
    known = {task.key: task for task in tasks}
    asked = [
        (_request(known[old.key], old.text), _request(known[new.key], new.text))
        for old, new in zip(before, after, strict=True)
        if old.sample == sample
    ]
    graded = zip(asked, _in_twos(judge.grade([one for pair in asked for one in pair])), strict=True)
    scored = [(_gain(*judged), pair, judged) for pair, judged in graded if all(one.is_scored for one in judged)]
    order = sorted(scored, key=lambda one: (-one[0], one[1][0].instruction))
    shown = order if len(order) <= 2 * num_each else [*order[:num_each], *order[-num_each:]]
    written = _in_twos(writer.grade([one for _, pair, _ in shown for one in pair]))
    return [
        BeforeAfter(
            prompt=old.instruction,
            rubric=old.rubric.criteria,
            before=old.response,
            after=new.response,
            before_score=judged[0].expected_score,
            after_score=judged[1].expected_score,
            before_feedback=feedback[0].feedback,
            after_feedback=feedback[1].feedback,
        )
        for (_, (old, new), judged), feedback in zip(shown, written, strict=True)
    ]


def _row(task: PolicyTask, before: Answer, after: Answer) -> dict[str, Any]:
    given = {"prompt": task.instruction, "reference_answer": task.reference_answer, "rubric": task.rubric}
    return {"id": f"{task.key}, {before.sample}", **given, "rejected": before.text, "chosen": after.text}


def _labels(rows: Sequence[Mapping[str, Any]], judge: Judge, out: Path, method: Method) -> list[dict[str, Any]]:
    """Return the labels of all pairs, in order."""
    source = out.with_name(f"{out.name}.jsonl")
    write_lines(source, rows)
    found = label(source, judge=judge, out=out, method=method)
    labels = read_values(found.labels)
    if found.num_problems:
        raise InputError(
            f"{out / 'problems.jsonl'}: {found.num_problems} pairs of answers cannot be judged; correct them"
        )
    return labels


def _pair(
    task: PolicyTask,
    before: Answer,
    after: Answer,
    *,
    labels: Mapping[str, Mapping[str, Any]],
    short_tokens: int | None,
) -> AnswerPair:
    """Return two answers with their measures by judges and without a model."""
    ranked = {name: row for name, row in labels.items() if "ranking_orders" in row}
    scores = [{name: row[f"{side}_expected_score"] for name, row in labels.items()} for side in ("rejected", "chosen")]
    return AnswerPair(
        prompt=task.key,
        sample=before.sample,
        before=scores[0] | _text_measures(task, before, short_tokens),
        after=scores[1] | _text_measures(task, after, short_tokens),
        prob_after={
            name: graded_prob(row["chosen_unit_score"], row["rejected_unit_score"]) for name, row in labels.items()
        },
        prob_ranked={name: row["ranking_prob_chosen"] for name, row in ranked.items()},
        orders_agree={name: _agreement(row) for name, row in ranked.items()},
    )


def _agreement(row: Mapping[str, Any]) -> float | None:
    if row["ranking_prob_chosen"] is None:
        return None
    return fmean(float(first == second) for first, second in row["ranking_orders"])


def _text_measures(task: PolicyTask, answer: Answer, short_tokens: int | None) -> dict[str, float | None]:
    text = measure_text(answer.text, task.reference_answer, task.instruction)
    long = {} if short_tokens is None else {f"over {short_tokens} tokens": float(answer.num_tokens > short_tokens)}
    return {
        "overlap": text.overlap,
        "words": float(text.num_words),
        "sentences": float(text.num_sentences),
        "repetition": text.repetition,
        "copied": text.copied,
        "empty": float(text.is_empty),
        "cut off": float(answer.is_cut),
        **long,
    }


def _in_twos(judgments: Sequence[Judgment]) -> list[tuple[Judgment, Judgment]]:
    return list(zip(judgments[::2], judgments[1::2], strict=True))


def _gain(before: Judgment, after: Judgment) -> float:
    return (after.expected_score or 0.0) - (before.expected_score or 0.0)


def _request(task: PolicyTask, response: str) -> GradingRequest:
    return GradingRequest(
        instruction=task.instruction,
        response=response,
        rubric=parse_rubrics(task.rubric)[0],
        reference_answer=task.reference_answer,
    )
