import json

import pytest

from prom_reward.errors import InputError
from prom_reward.judging.cache import JudgmentCache
from prom_reward.offline.answers import Answer
from prom_reward.offline.policy_comparison import AnswerPair
from prom_reward.offline.policy_measures import PolicyTask, before_and_after, measure_policies
from tests.offline.label_inputs import scripted_judge

BRIEF = {"criteria": "Is it brief?", **{f"score{label}_description": f"Level {label}." for label in range(1, 6)}}
TASKS = [
    PolicyTask(key="a", instruction="Say a.", rubric="helpfulness", reference_answer="The letter a."),
    PolicyTask(key="b", instruction="Say b.", rubric=[{"rubric": BRIEF, "weight": 0.5}, {"rubric": "honesty"}]),
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


def measured(out, script=kind, before=BEFORE, after=AFTER):
    return measure_policies(TASKS, before, after, judges={"judge": scripted_judge(script)}, out=out)


def test_both_answers_are_graded_ranked_and_measured_without_a_model(tmp_path):
    first, _, looped, other = measured(tmp_path)
    assert [(one.prompt, one.sample) for one in (first, looped, other)] == [
        ("a", "greedy"),
        ("a", "seed 0"),
        ("b", "seed 0"),
    ]
    assert first.before == pytest.approx(
        {"judge": 2, "overlap": 0, "words": 0, "repetition": 0, "empty": 1, "cut off": 0}, abs=0.2
    )
    assert first.after["judge"] == pytest.approx(4, abs=0.2)
    assert first.after["overlap"] > 70
    assert (first.after["words"], first.after["empty"]) == (4, 0)
    assert looped.before["repetition"] == pytest.approx(1 - 3 / 7)
    assert (other.before["cut off"], other.before["overlap"], other.after["cut off"]) == (1, None, 0)
    assert first.prob_after["judge"] > 0.5


def test_a_labelling_of_each_judge_is_kept_and_not_made_again(tmp_path):
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
    with pytest.raises(InputError, match=r"^got 4 answers before and \d after, which are not to the same prompts and"):
        measured(tmp_path, after=after)
    with pytest.raises(InputError, match="among 1 tasks; expected both policies' answers in one order"):
        measure_policies(TASKS[:1], BEFORE, AFTER, judges={}, out=tmp_path)


def test_other_answers_in_the_same_folder_are_refused(tmp_path):
    measured(tmp_path)
    with pytest.raises(InputError, match="are not those that"):
        measured(tmp_path, after=policy(lambda *_: "Something else."))


def test_the_best_and_the_worst_have_feedback():
    tasks = [PolicyTask(key=str(at), instruction=f"Say {at}.", rubric="helpfulness") for at in range(6)]
    gains = [0.0, 2.0, -1.0, None, 1.0, 0.5]
    pairs = [
        AnswerPair(
            prompt=task.key,
            sample=sample,
            before={"judge": 2.0},
            after={"judge": None if gain is None else 2.0 + gain},
            prob_after={},
        )
        for sample, sign in (("greedy", 1), ("seed 0", -1))
        for task, gain in zip(tasks, [gain and sign * gain for gain in gains], strict=True)
    ]
    before, after = (
        [
            Answer(key=str(at), sample=sample, text=f"{sample} {word} {at}. {mood}", num_tokens=3, is_cut=False)
            for sample in ("greedy", "seed 0")
            for at in range(6)
        ]
        for word, mood in (("old", ""), ("new", "Good."))
    )
    asked = {"pairs": pairs, "judge": scripted_judge(kind), "measure": "judge"}
    found = before_and_after(tasks, before, after, **asked, num_each=1)
    assert [(one.prompt, one.change) for one in found] == [("Say 1.", 2.0), ("Say 2.", -1.0)]
    assert (found[0].before, found[0].after) == ("greedy old 1. ", "greedy new 1. Good.")
    assert found[0].before_feedback == found[0].after_feedback == "Seen."
    assert [one.change for one in before_and_after(tasks, before, after, **asked)] == [2.0, 1.0, 0.5, 0.0, -1.0]
    sampled = before_and_after(tasks, before, after, **asked, num_each=1, sample="seed 0")
    assert [(one.after, one.change) for one in sampled] == [("seed 0 new 2. Good.", 1.0), ("seed 0 new 1. Good.", -2.0)]
