import re

import pytest

from prom_reward import PrometheusJudge, ScriptedEngine, evaluate
from prom_reward.data.labels.human_labels import LabelColumns
from prom_reward.evaluation.page import evaluation_page


def quality(prompt):
    said = re.search(r"quality (\d)", prompt.user)
    return f"Seen. [RESULT] {said[1]}" if said else "no verdict"


def judge(name):
    return PrometheusJudge(ScriptedEngine(quality, confidence=0.8), name=name)


def rows(count):
    return [
        {
            "instruction": f"Question {at}?",
            "response": f"quality {at % 5 + 1} " + "word " * (at % 7),
            "score": max(1, at % 5),
            "part": ["a", "b"][at % 2],
        }
        for at in range(count)
    ]


def page(data, **options):
    found = evaluate(data, judge=judge("<b>mine</b>"), rubric="helpfulness", resamples=20, **options)
    return evaluation_page(found, title="rows.jsonl")


def test_it_shows_figures_intervals_baselines_and_plots():
    html = page([*rows(30), {**rows(1)[0], "response": "N/A"}, {**rows(1)[0], "response": "nothing"}])
    assert "<b>mine" not in html
    for text in (
        "Spearman",
        "mean absolute error",
        "constant",
        "length",
        "0.800",
        " to ",
        "in no other figure: 1 of 32 rows, 0 scored",
    ):
        assert text in html
    assert html.count("<svg") == 3
    assert ">1</strong><span>unscored" in html
    assert html.count('<a href="#view=groups') == 6  # furthest from the labels
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](?!data:)", html)


def test_an_answer_that_is_none_is_not_among_the_furthest_from_the_labels():
    far = {"instruction": "Is it of quality 5?", "response": "N/A", "score": 1}
    html = page([*rows(3), far])
    [furthest] = re.findall(r'<section id="worst">.*?</section>', html, re.DOTALL)
    assert furthest.count("<li>") == 3
    assert far["instruction"] not in furthest
    assert "with empty and placeholder answers, which are left out here" in furthest
    answered = page([*rows(3), {**far, "response": "quality 4"}])
    assert "placeholder answers, which" not in answered
    assert answered.count("Is it of quality 5?</span></li>") == 1


def test_few_questions_a_second_judge_and_groups():
    html = page(rows(6), against=judge("other"), columns=LabelColumns(group="part"))
    assert "interval from 6 questions" in html
    assert "Difference to other" in html
    assert "By group" in html


def test_pairs_have_a_page_too():
    pairs = [
        {"prompt": f"q{at}", "chosen": "A quality 4", "rejected": f"quality {at % 4 + 1}", "part": f"part {at % 2}"}
        for at in range(12)
    ]
    html = page([*pairs, {**pairs[0], "rejected": "-"}], columns=LabelColumns(group="part"))
    assert "1 of 13 pairs, 0 scored; accuracy undefined" in html  # the judge gives it no verdict
    assert html.count('<th scope="row">part ') == 2
    assert "of pairs in the right order" in html
    assert html.count("<svg") == 1


@pytest.mark.parametrize("text", ["\ud800", "</script>\u202e", "{{ 7 * 7 }}"])
def test_no_text_ends_the_page(text):
    data = [{**row, "instruction": text, "response": f"quality 2 {text}", "part": text} for row in rows(12)]
    html = page(data, columns=LabelColumns(group="part", cluster="score"))
    html.encode("utf-8")
    assert html.count("<script") == html.count("</script>") == 4
    parts = r"\d*\.\d+|#\w+|<svg.*?</svg>|<style>.*?</style>|<script.*?</script>"
    assert "49" not in re.sub(parts, "", html, flags=re.DOTALL)
