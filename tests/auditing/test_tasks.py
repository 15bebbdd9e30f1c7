import json
from dataclasses import replace

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine
from prom_reward.auditing.attacks import AttackFamily, draw_trials, weak_responses
from prom_reward.auditing.audit import audit
from prom_reward.auditing.probes import NUM_STEPS, graded_ladder
from prom_reward.auditing.tasks import builtin_tasks, check_tasks, distinct_tasks, other_answers, read_tasks
from prom_reward.errors import InputError

ONE, TWO, THREE = builtin_tasks()[:3]


def rubrics_of(task, count):
    """Rows of one question, as of a file with several rubrics a question."""
    return [replace(task, rubric=other.rubric) for other in builtin_tasks()[:count]]


def judge():
    return PrometheusJudge(
        ScriptedEngine(lambda prompt: f"[RESULT] {'A' if len(prompt.labels) == 2 else 2}", confidence=1.0),
        mode="score",
    )


def test_an_answer_to_another_question_is_none_to_this_one():
    tasks = [*rubrics_of(ONE, 6), *rubrics_of(TWO, 6), THREE]
    other_wording = replace(ONE, reference_answer="the same question has another good answer, too")
    assert list(other_answers([*tasks, other_wording], 0)) == [TWO.reference_answer, THREE.reference_answer]
    assert list(other_answers(tasks, 6)) == [THREE.reference_answer, ONE.reference_answer]
    assert list(other_answers(tasks, 12)) == [ONE.reference_answer, TWO.reference_answer]


def test_rows_of_one_question_do_not_make_the_reference_the_worst_response():
    tasks = [*rubrics_of(ONE, 6), *rubrics_of(TWO, 6)]
    ladder = graded_ladder(judge(), tasks)
    for step in range(0, len(ladder.steps), NUM_STEPS):
        best, worst = ladder.steps[step], ladder.steps[step + NUM_STEPS - 1]
        assert {best.response, worst.response} == {ONE.reference_answer, TWO.reference_answer}
    for weak in weak_responses(tasks):
        assert weak.task.reference_answer not in (weak.text, *weak.others)


def test_a_row_with_several_rubrics_is_a_task_for_each(tmp_path):
    path = tmp_path / "tasks.jsonl"
    rows = [
        {"instruction": one.instruction, "reference_answer": one.reference_answer, "rubric": ["helpfulness", "honesty"]}
        for one in (ONE, TWO)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = read_tasks(path)
    assert [(task.instruction, task.rubric.name) for task in tasks] == [
        (one.instruction, name) for one in (ONE, TWO) for name in ("helpfulness", "honesty")
    ]


def test_a_quick_audit_takes_questions_that_differ():
    tasks = [*rubrics_of(ONE, 6), *builtin_tasks()]
    assert distinct_tasks(tasks, 6) == [tasks[0], *builtin_tasks()[1:6]]
    assert distinct_tasks([ONE, replace(TWO, reference_answer=ONE.reference_answer), THREE], 6) == [ONE, THREE]
    found = audit(judge(), tasks=[*rubrics_of(ONE, 6), TWO], quick=True, num_trials=1)
    assert found.num_weak == 6


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [ONE],
        rubrics_of(ONE, 3),
        [ONE, replace(ONE, reference_answer=TWO.reference_answer)],
        [ONE, replace(ONE, reference_answer=TWO.reference_answer), replace(TWO, reference_answer=ONE.reference_answer)],
    ],
)
def test_every_task_needs_another_question(tasks):
    expected = rf"^mine: got {len(tasks)} tasks?; expected, for each task, a second one"
    with pytest.raises(InputError, match=expected):
        check_tasks(tasks, "mine")
    with pytest.raises(InputError, match=r"^tasks: got"):
        audit(judge(), tasks=tasks)


def test_other_answers_are_as_many_as_there_are():
    family = AttackFamily(
        name="others",
        kind="semantic",
        texts=tuple(f"{{other_{number}}}" for number in range(1, 6)),
        positions=("alone",),
    )
    assert len(draw_trials(family, weak_responses([ONE, TWO]), 100, seed=0)) == 2
    assert len(draw_trials(family, weak_responses(builtin_tasks()), 100, seed=0)) == 80
