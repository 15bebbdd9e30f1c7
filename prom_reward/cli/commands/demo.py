"""`prom-reward demo`: the whole chain on real weights, offline."""

import time
from typing import Annotated, Any

import typer
from rich.table import Table

from prom_reward.cli.parts import options
from prom_reward.cli.parts.console import distribution_bar, load_now, print_json, quiet_libraries, stderr, stdout
from prom_reward.cli.parts.demo_training import show_training, train_policy
from prom_reward.config import load_prometheus_judge
from prom_reward.errors import number_of
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rewards.normalizers import UnitInterval
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest

_QUESTION = "Why do we see lightning before we hear its thunder?"
_REFERENCE = (
    "Lightning and thunder start at the same moment, but light reaches us almost at once while sound travels only "
    "about 340 meters a second, so the thunder arrives roughly three seconds later for every kilometer of distance."
)
# Chosen by kind, not by their scores; True if the answer is good and belongs on the scale's upper half.
_ANSWERS = {
    "complete": (
        "Both begin together. Light covers the distance in practically no time, but sound needs about three seconds "
        "for each kilometer, so the flash reaches you first and the thunder follows.",
        True,
    ),
    "short": ("Because light travels much faster than sound.", True),
    "vague": ("It has to do with how storms work and how our senses react to them.", False),
    "wrong": ("Thunder happens several seconds after lightning because the cloud needs time to close again.", False),
    "off topic": ("My favorite pasta is spaghetti with tomatoes and a little basil.", False),
    "empty": ("", False),
}


def demo(
    steps: Annotated[int, typer.Option(min=0, help="GRPO steps to train; 0 grades only.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Grade six answers of known quality, then train SmolLM2-135M with GRPO for a few steps, offline.

    Example: `prom-reward demo --steps 2`
    """
    quiet_libraries()
    stderr.print("loading torch and transformers ...", highlight=False)
    judge = load_prometheus_judge(options.DEFAULT_JUDGE)
    load_now(judge, f"{judge.name} (the first time this takes half a minute)")
    graded = _grade(judge, Rubric.parse("factual_validity"), shows_table=not as_json)
    if steps and not as_json:
        stderr.print("loading the policy SmolLM2-135M and its trainer ...", highlight=False)
    trained = train_policy(judge, options.DEFAULT_JUDGE, steps=steps, seed=seed, is_shown=not as_json) if steps else []
    if as_json:
        print_json({"graded": graded, "trained": trained})
    elif trained:
        show_training(trained)


def _grade(judge: PrometheusJudge, rubric: Rubric, *, shows_table: bool) -> list[dict[str, Any]]:
    """Grade the answers, and tell for each whether its score is on the right side of the scale's middle."""
    requests = [
        GradingRequest(instruction=_QUESTION, response=text, rubric=rubric, reference_answer=_REFERENCE)
        for text, _ in _ANSWERS.values()
    ]
    start = time.perf_counter()
    judgments = judge.grade(requests)
    seconds = time.perf_counter() - start
    rewards = UnitInterval()([judgment.expected_score for judgment in judgments], rubric.scale)
    rows: list[dict[str, Any]] = [
        {
            "answer": name,
            "score": judgment.expected_score,
            "reward": reward,
            "is_good": is_good,
            "is_judged_right": reward is not None and (reward > 0.5) == is_good,
        }
        for (name, (_, is_good)), judgment, reward in zip(_ANSWERS.items(), judgments, rewards, strict=True)
    ]
    if shows_table:
        bars = [distribution_bar(judgment.score_probs) for judgment in judgments]
        _show(rows, bars, title=f"{_QUESTION}  [{rubric.name}]")
        stdout.print(f"{number_of(len(rows), 'answer')} graded in {seconds:.1f} s.", highlight=False)
        _show_mistakes(judge.name, rows)
    return rows


def _show(rows: list[dict[str, Any]], bars: list[str], *, title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("answer", "text", "in truth", "score", "1-5", "reward", "judged"):
        table.add_column(heading, overflow="fold")
    for row, bar in zip(rows, bars, strict=True):
        text = _ANSWERS[row["answer"]][0]
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        score, reward = ("-" if value is None else f"{value:.2f}" for value in (row["score"], row["reward"]))
        truth, verdict = "good" if row["is_good"] else "bad", "rightly" if row["is_judged_right"] else "WRONGLY"
        table.add_row(row["answer"], shown, truth, score, bar, reward, verdict)
    stdout.print(table)


def _show_mistakes(judge: str, rows: list[dict[str, Any]]) -> None:
    """Say which answers are on the wrong side of the scale's middle, and how many pairs are in the right order."""
    wrong = [row["answer"] for row in rows if not row["is_judged_right"]]
    if wrong:
        named = f"Judged wrongly: {', '.join(wrong)}. A good answer should get a reward over .5, a bad one less."
    else:
        named = "All answers are on the right side of the scale."
    good, bad = ([row["reward"] for row in rows if row["is_good"] == kind] for kind in (True, False))
    pairs = [(one, other) for one in good for other in bad if one is not None and other is not None]
    ordered = sum(one > other for one, other in pairs)
    order = (
        f"The good one got more in {ordered} of {number_of(len(pairs), 'pair')} of a good and a bad answer: GRPO "
        "learns from that."
    )
    text = f"{named}\n{order}\n{judge} is a small judge for trying things out; `prom-reward judges` lists others.\n"
    stdout.print(text, highlight=False)
