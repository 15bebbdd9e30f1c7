import json

import pytest

from prom_reward.errors import InputError
from prom_reward.judging.cache import JudgmentCache
from tests.labeling.label_inputs import scripted_judge
from training_examples.prove_it.answers import Answer
from training_examples.prove_it.measures import PolicyTask, before_and_after, measure_policies

BRIEF = {"criteria": "Is it brief?", **{f"score{label}_description": f"Level {label}." for label in range(1, 6)}}
TASKS = [
    PolicyTask(key="a", instruction="Say a.", rubric="helpfulness", reference_answer="The letter a."),
    PolicyTask(key="b", instruction="Say b.", rubric=[{"rubric": BRIEF}, {"rubric": "honesty"}]),
]


def policy(text_of, *, cut=()):
    keys = [(task.key, sample) for sample in ("greedy", "seed 0") for task in TASKS]
    return [
        Answer(key=key, sample=sample, text=text_of(key, sample), num_tokens=3, is_cut=(key, sample) in cut)
        for key, sample in keys
    ]


BEFORE = policy(
    lambda key, sample: "" if sample == "greedy" else "so it goes so it goes so it goes", cut={("b", "seed 0")}
)
AFTER = policy(lambda key, sample: f"The letter {key}. Good.")


def kind(prompt):
    """Like answers that say "Good", singly and in pairs."""
    if prompt.labels == ("A", "B"):
        first = prompt.user.partition("###Response A:")[2].partition("###Response B:")[0]
        return f"Clear. [RESULT] {'A' if 'Good.' in first else 'B'}"
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return f"Seen. [RESULT] {4 if 'Good.' in response else 2}"


def measured(out, script=kind, before=BEFORE, after=AFTER, **more):
    return measure_policies(TASKS, before, after, judges={"judge": scripted_judge(script)}, out=out, **more)


def test_both_answers_are_graded_ranked_and_measured_without_a_model(tmp_path):
    first, _, looped, other = measured(tmp_path)
    assert [(one.prompt, one.sample) for one in (first, looped, other)] == [
        ("a", "greedy"),
        ("a", "seed 0"),
        ("b", "seed 0"),
    ]
    of_text = {"overlap": 0, "words": 0, "sentences": 0, "repetition": 0, "copied": 0, "empty": 1, "cut off": 0}
    assert first.before == pytest.approx({"judge": 2, **of_text}, abs=0.2)
    assert first.after["judge"] == pytest.approx(4, abs=0.2)
    assert first.after["overlap"] > 70
    assert (first.after["words"], first.after["empty"]) == (4, 0)
    assert looped.before["repetition"] == pytest.approx(1 - 3 / 7)
    assert (other.before["cut off"], other.before["overlap"], other.after["cut off"]) == (1, None, 0)
    assert first.prob_after["judge"] == pytest.approx(0.75, abs=0.05)  # two points of four
    assert first.prob_ranked["judge"] > 0.5
    assert first.orders_agree == {"judge": 1.0}


def test_a_judge_that_prefers_a_place_has_orders_that_disagree(tmp_path):
    found = measured(tmp_path, lambda prompt: f"Hm. [RESULT] {'A' if prompt.labels == ('A', 'B') else 3}")
    assert [one.orders_agree["judge"] for one in found] == [0.0] * 4
    assert [one.prob_ranked["judge"] for one in found] == pytest.approx([0.5] * 4)
    assert [one.prob_after["judge"] for one in found] == pytest.approx([0.5] * 4)


def test_what_is_not_ranked_has_no_agreement(tmp_path):
    def grading_alone(prompt):
        if prompt.labels == ("A", "B"):
            raise RuntimeError("no ranking")
        return "[RESULT] 3"

    found = measured(tmp_path, grading_alone)
    assert {(one.orders_agree["judge"], one.prob_ranked["judge"]) for one in found} == {(None, None)}
    assert [one.prob_after["judge"] for one in found] == pytest.approx([0.5] * 4)


def test_a_generic_rubric_is_a_measure_of_its_own_without_reference(tmp_path):
    seen = []

    def noting(prompt):
        seen.append(prompt.user)
        return kind(prompt)

    noting.__qualname__ = kind.__qualname__
    found = measured(tmp_path, noting, generic_rubrics={"judge": "honesty"})
    name = "judge, generic rubric"
    assert [one.after[name] for one in found] == pytest.approx([4] * 4, abs=0.2)
    assert found[0].prob_after.keys() == {"judge", name}
    assert found[0].prob_ranked.keys() == {"judge"}
    rows = [json.loads(line) for line in (tmp_path / "judge-generic/labels.jsonl").read_text().splitlines()]
    assert {(row["rubric"], row["reference_answer"]) for row in rows} == {("honesty", None)}
    assert any("The letter a." in user and "Say a." in user for user in seen)


def test_answers_longer_than_a_length_are_counted(tmp_path):
    after = [*AFTER[:-1], Answer(key="b", sample="seed 0", text="long", num_tokens=9, is_cut=False)]
    found = measured(tmp_path, after=after, short_tokens=8)
    assert [one.after["over 8 tokens"] for one in found] == [0, 0, 0, 1]
    assert {one.before["over 8 tokens"] for one in found} == {0}


def test_a_labeling_of_each_judge_is_kept_and_not_made_again(tmp_path):
    found = measured(tmp_path)

    def never(prompt):
        raise AssertionError("asked again")  # the judgment would have no score

    never.__qualname__ = kind.__qualname__  # the same judge
    assert measured(tmp_path, never) == found
    labels = (tmp_path / "judge/labels.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in labels] == ["a, greedy", "b, greedy", "a, seed 0", "b, seed 0"]


def test_a_cache_answers_once_what_stands_in_several_folders(tmp_path):
    judge = scripted_judge(kind, mode="score", cache=JudgmentCache(tmp_path / "judge.sqlite"))
    asked = []

    def counting(prompt):
        asked.append(prompt.user)
        return kind(prompt)

    judge.engine = scripted_judge(counting).engine
    for name in ("one", "two"):
        measure_policies(TASKS, BEFORE, AFTER, judges={"judge": judge}, out=tmp_path / name)
    judge.cache.close()
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("after", [AFTER[:-1], AFTER[::-1], policy(lambda *_: "x")[:2] * 2])
def test_answers_to_other_prompts_are_refused(tmp_path, after):
    with pytest.raises(InputError, match=r"^got 4 answers before and \d after, of different prompts or samples"):
        measured(tmp_path, after=after)
    with pytest.raises(InputError, match="1 task; expected both policies' answers"):
        measure_policies(TASKS[:1], BEFORE, AFTER, judges={}, out=tmp_path)


def test_other_answers_in_the_same_folder_are_refused(tmp_path):
    measured(tmp_path)
    with pytest.raises(InputError, match="are not those that"):
        measured(tmp_path, after=policy(lambda *_: "Something else."))


def test_the_best_and_the_worst_have_feedback():
    scores = {0: (3, 3), 1: (2, 4), 2: (3, 2), 3: (3, None), 4: (2, 3), 5: (1, 5)}
    tasks = [PolicyTask(key=str(at), instruction=f"Say {at}.", rubric=[BRIEF, "honesty"]) for at in scores]
    before, after = (
        [
            Answer(key=str(at), sample=sample, text=f"{sample}: {pair[side]} of {at}", num_tokens=3, is_cut=False)
            for sample in ("greedy", "seed 0")
            for at, pair in scores.items()
        ]
        for side in (0, 1)
    )

    def as_it_says(prompt):
        assert "Is it brief?" in prompt.user
        said = prompt.user.partition("###Response to evaluate:\n")[2].partition(" of ")[0].split()[-1]
        if said == "None":
            raise RuntimeError("too long")
        return f"Seen {said}. [RESULT] {said}"

    judges = {"judge": scripted_judge(as_it_says, mode="score"), "writer": scripted_judge(as_it_says)}
    found = before_and_after(tasks, before, after, **judges, num_each=1)
    assert [one.prompt for one in found] == ["Say 5.", "Say 2."]
    assert [one.change for one in found] == pytest.approx([4, -1], abs=0.6)
    assert (found[0].before, found[0].after) == ("greedy: 1 of 5", "greedy: 5 of 5")
    assert (found[0].before_feedback, found[0].after_feedback) == ("Seen 1.", "Seen 5.")
    assert found[0].rubric == "Is it brief?"
    shown = before_and_after(tasks, before, after, **judges)
    assert [one.prompt for one in shown] == ["Say 5.", "Say 1.", "Say 4.", "Say 0.", "Say 2."]
    sampled = before_and_after(tasks, before, after, **judges, num_each=1, sample="seed 0")
    assert sampled[0].after == "seed 0: 5 of 5"
