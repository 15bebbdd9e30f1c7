import json
from argparse import Namespace
from statistics import fmean

import pytest

from prom_reward.evaluation.evaluate import labeled_input
from training_examples.prove_it import constraints
from training_examples.prove_it.constraints import KINDS, TOPICS, UNSEEN, constraint_rows, share_met, with_shares

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def test_the_judge_reads_what_the_code_checks_and_sees_no_check():
    known = {text: check for kind in {**KINDS, **UNSEEN}.values() for text, check in kind}
    for row in constraint_rows(list(KINDS), TOPICS, 30, 0):
        texts = [one["text"] for one in row["rubric"]["criteria"]]
        assert [known[text] for text in texts] == json.loads(row["checks"])
        assert all(text in row["prompt"][0]["content"] for text in texts)
        assert "check" not in row["rubric"]["criteria"][0]


def test_kinds_to_measure_on_are_never_trained_on():
    trained, unseen = ({text for kind in side.values() for text, _ in kind} for side in (KINDS, UNSEEN))
    assert not trained & unseen


def test_the_truth_is_the_share_of_checks_passed():
    checks = json.dumps([{"max_words": 3}, {"contains": "?"}])
    assert [share_met(text, checks) for text in ("Is it?", "It is.", "It is not so at all.")] == [1.0, 0.5, 0.0]


def test_a_gain_is_a_share_of_the_gain_of_the_code():
    def result(reward, gain):
        return {"reward": reward, "seed": 0, **{side: {"gain": {"value": gain}} for side in ("seen", "unseen")}}

    judged, code = with_shares([result("criteria", 0.1), result("code", 0.4)])
    assert judged["seen"]["share_of_code"] == pytest.approx(0.25)
    assert code["unseen"]["share_of_code"] == 1
    worse, _ = with_shares([result("criteria", -0.1), result("code", -0.4)])
    assert worse["seen"]["share_of_code"] is None


def test_a_run_measures_truth_before_and_after_and_in_every_step(tiny_judge_folder, tmp_path, monkeypatch):
    settings = {"per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 4}
    monkeypatch.setitem(constraints.RECIPE, "trainer", {**constraints.RECIPE["trainer"], **settings})
    sides = {side: list(constraint_rows(list(KINDS), TOPICS, 2, 0)) for side in ("train", "seen", "unseen")}
    folder = str(tiny_judge_folder)
    found = constraints.run("criteria", 0, sides, Namespace(judge=folder, policy=folder, steps=1, out=tmp_path))
    assert found["seen"]["gain"]["value"] == pytest.approx(found["seen"]["after"] - found["seen"]["before"])
    assert [sorted(step) for step in found["steps"]] == [["reward", "rewards/true_share/mean", "step"]]
    met = [met for row in labeled_input(tmp_path / "seen.jsonl").checklists for [met] in row.labels.values()]
    assert fmean(met) == pytest.approx(found["seen"]["before"])
