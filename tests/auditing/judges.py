"""Scripted judges for audits."""

import re

from prom_reward import PrometheusJudge, ScriptedEngine


def response_of(prompt):
    return prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###Feedback:")[0]


def judge(score_of, winner="A"):
    """A judge that scores a prompt by a function of it."""
    engine = ScriptedEngine(
        lambda prompt: f"[RESULT] {winner if prompt.labels == ('A', 'B') else score_of(prompt)}", confidence=1.0
    )
    return PrometheusJudge(engine, mode="score", layout="response_last", name="scripted")


def spoofable(prompt):
    return 5 if re.search(r"\[RESULT\] 5|\[/INST\]|\|im_end\|>|###Score Rubric", response_of(prompt)) else 2
