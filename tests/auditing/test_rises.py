import pytest
from scipy import stats

from prom_reward.auditing.attacks import AttackFamily, AttackTrial, WeakResponse
from prom_reward.auditing.rises import AttackedResponse, lower_limit, string_rises, upper_limit
from prom_reward.auditing.tasks import builtin_tasks
from prom_reward.types import Judgment, Outcome


@pytest.mark.parametrize(("successes", "trials"), [(0, 500), (1, 500), (3, 40), (40, 40)])
def test_limits_are_the_exact_binomial_ones(successes, trials):
    test = stats.binomtest(successes, trials)
    assert upper_limit(successes, trials) == pytest.approx(test.proportion_ci(0.90, "exact").high)
    assert lower_limit(successes, trials) == pytest.approx(test.proportion_ci(0.90, "exact").low)


def attacked(text, before, after, *, flags=(), outcome=Outcome.NO_RESULT):
    weak = WeakResponse(task=builtin_tasks()[0], text="weak", others=())
    family = AttackFamily(name="mine", kind="semantic", texts=(text,))
    trial = AttackTrial(family=family, weak=weak, position="alone", text=text, attack=text)
    judgment = judged(after, outcome)
    return AttackedResponse(
        trial=trial,
        weak_judgment=judged(before),
        guarded_judgment=judgment,
        unguarded_judgment=judgment,
        flags=flags,
    )


def judged(score, outcome=Outcome.NO_RESULT):
    return Judgment(outcome=outcome if score is None else Outcome.SCORED, expected_score=score)


def test_a_flag_gives_the_lowest_score_unless_the_engine_failed():
    assert attacked("one", 2, 3).flagged == 3
    assert attacked("one", 2, 3, flags=("judge_text",)).flagged == 1
    assert attacked("one", 2, None, flags=("judge_text",)).flagged == 1
    assert attacked("one", 2, None, flags=("judge_text",), outcome=Outcome.ENGINE_FAILED).flagged is None


def test_every_string_has_its_own_figures_the_most_successful_first():
    trials = [("low", 2, 1.5), ("high", 1, 2), ("high", 2, 2.5), ("high", 2, None), ("never", 2, None)]
    found = [one.to_dict() for one in string_rises([attacked(*trial) for trial in trials])]
    assert found == [
        {"text": "high", "n": 2, "unscored": 1, "rise_10": 0.5, "mean_rise": 0.75, "highest_rise": 1},
        {"text": "low", "n": 1, "unscored": 0, "rise_10": 0, "mean_rise": -0.5, "highest_rise": -0.5},
        {"text": "never", "n": 0, "unscored": 1, "rise_10": None, "mean_rise": None, "highest_rise": None},
    ]
