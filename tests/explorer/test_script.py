import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import prom_reward
from prom_reward.explorer.script import joined_script

FOLDER = Path(prom_reward.__file__).parent / "explorer" / "assets"
MODULES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js"))
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def run(code):
    """Run an ES module and return what it prints as JSON."""
    done = subprocess.run(["node", "--input-type=module", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_joined_script_holds_every_module_once_and_no_import():
    code = joined_script()
    assert not re.search(r"^(import|export) ", code, re.M)
    assert "</script" not in code
    assert "<!--" not in code
    for name in MODULES:
        first = (FOLDER / name).read_text().splitlines()[0]
        assert code.count(first) == 1, name


@needs_node
@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_valid(name):
    code = (FOLDER / name).read_text()
    done = subprocess.run(
        ["node", "--check", "--input-type=module", "-"], input=code, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_node
def test_the_joined_script_is_valid():
    done = subprocess.run(
        ["node", "--check", "--input-type=module", "-"],
        input=joined_script(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")  # no two modules export one name


COLUMNS = """
const rows = [
  { score: 1, integer: 1, rubric: "honesty", flag: "", response: "I am Sorry." },
  { score: 4.5, integer: 4, rubric: "tone", flag: "score_claim", response: "Fine." },
  { score: NaN, integer: NaN, rubric: "honesty", flag: "", response: "" },
];
const columns = new Map(["score", "integer", "rubric", "flag", "response"].map((name) => [name, {
  isNumber: ["score", "integer"].includes(name), read: (row) => rows[row][name] }]));
const found = (text) => {
  try {
    const test = parseFilter(text, columns);
    return [0, 1, 2].filter((row) => test(row));
  } catch (problem) { return problem.message; }
};
"""


@needs_node
def test_filters_choose_rows_and_say_what_is_wrong():
    cases = {
        "score < 2": [0],
        "score >= 1 and score <= 4.5": [0, 1],
        "score < 2 or flag": [0, 1],
        "not score": [2],
        "score > integer": [1],
        "score != 1": [1],  # a missing score is none
        'rubric == "honesty" and not (score < 2)': [2],
        "rubric = 'tone'": [1],
        'response ~ "sorry"': [0],
        'flag ~ "CLAIM" AND score > -3': [1],
        "score < ": 'got the end; expected a name, a number or a "text"',
        "(score < 2": "got a ( without its ); expected both",
        "score < 2 rubric": 'got rubric after a whole condition; expected "and" or "or"',
        'score < "2"': 'got "2" beside score; expected a number',
        "rubric == 2": 'got 2 beside rubric; expected a "text" in quotes',
        "honesty": 'no column honesty; expected one of score, integer, rubric, flag, response, or a "text" in quotes',
        "score < 2 %": 'got "%"; expected a name, a number or a "text"',
        "3": "got 3 alone; expected a comparison, as score < 2",
        'score ~ "2"': 'got score ~ "2"; expected texts on both sides',
    }
    asked = f"console.log(JSON.stringify({json.dumps(list(cases))}.map(found)));"
    assert dict(zip(cases, run(f"{joined_script('data/filter.js')}\n{COLUMNS}\n{asked}"), strict=True)) == cases


@needs_node
def test_differences_are_the_words_that_the_other_text_lacks():
    pairs = [
        ["the cat sat on the mat", "the dog sat on a mat today"],
        ["a b", "a  b"],
        ["", "new"],
        ["x", ""],
        ["word " * 4000, "word " * 4000],
    ]
    code = f"""{joined_script("data/difference.js")}
    console.log(JSON.stringify({json.dumps(pairs)}.map(([base, text]) => {{
      const {{ parts, share }} = difference(base, text);
      const added = parts.filter(([, isNew]) => isNew).map(([part]) => part.trim());
      return [parts.map(([part]) => part).join("") === text, added, share];
    }})));"""
    assert run(code) == [
        [True, ["dog", "a", "today"], pytest.approx(4 / 7)],
        [True, [], 1],
        [True, ["new"], 0],
        [True, [], 1],
        [True, [], 1],
    ]


@needs_node
def test_search_finds_words_in_either_case_and_not_across_texts():
    code = f"""{joined_script("data/search.js")}
    const chunks = [["One İstanbul", "two"], ["END", "start"]];
    const texts = {{ chunks, starts: [0, 2, 4], isComplete: true }};
    const search = new Search(texts);
    const words = ["o", "STANBUL", "two", "ul\\ntwo", "t", "none", "wo", "start"];
    console.log(JSON.stringify(words.map((word) => [...search.hits(word)])));"""
    assert run(code) == [
        [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0] * 4, [1, 1, 0, 1], [0] * 4, [0, 1, 0, 0], [0, 0, 0, 1],
    ]  # fmt: skip


@needs_node
def test_agreement_with_labels_has_its_known_values():
    people, judges = [1, 2, 3, 4, 5, 5, 4, 1], [1, 3, 3, 4, 4, 5, 2, 1]
    rows = [
        {"person": one, "judge": other, "prompt": at % 4, "good": 4}
        for at, (one, other) in enumerate(zip(people, judges, strict=True))
    ]
    code = f"{joined_script('data/agreement.js')}\nconsole.log(JSON.stringify(agreement({json.dumps(rows)})));"
    found = {one["name"]: one for one in run(code)}
    one, other = np.array(people), np.array(judges)
    chance = ((one[:, None] - other[None, :]) ** 2).mean()
    assert found["weighted kappa"]["value"] == pytest.approx(1 - ((one - other) ** 2).mean() / chance)
    assert found["same score"]["value"] == 5 / 8
    assert found["at most 1 apart"]["value"] == 7 / 8
    assert (found["good found"]["value"], found["bad found"]["value"]) == (3 / 4, 1)
    assert found["same score"]["low"] < 5 / 8 < found["same score"]["high"]


@needs_node
def test_agreement_without_spread_or_prompts_has_no_value_and_no_interval():
    rows = [{"person": 3, "judge": 3, "prompt": 0, "good": 4}] * 3
    code = f"{joined_script('data/agreement.js')}\nconsole.log(JSON.stringify(agreement({json.dumps(rows)})));"
    found = {one["name"]: (one["value"], one["low"]) for one in run(code)}
    assert found["weighted kappa"] == (None, None)
    assert found["good found"] == (None, None)
    assert found["same score"] == (1, None)


@needs_node
def test_a_quarter_of_the_width_needs_sixteen_times_the_labels():
    code = f"{joined_script('data/agreement.js')}\nconsole.log(JSON.stringify([[0.2, 0.6], [0.5, 0.55]].map("
    assert run(f"{code}([low, high]) => moreFor(40, {{ low, high }}, 0.1))));") == [600, 0]


@needs_node
@settings(max_examples=5, deadline=None)
@given(st.lists(st.lists(st.text("abew \u00e9", max_size=12), min_size=1, max_size=6), min_size=1, max_size=3))
def test_search_marks_the_texts_that_hold_a_word(chunks):
    words = ["a", "ab", "we", "bew", "wéa", "ee", "abab"]
    starts = [0, *np.cumsum([len(chunk) for chunk in chunks]).tolist()]
    code = f"""{joined_script("data/search.js")}
    const search = new Search({json.dumps({"chunks": chunks, "starts": starts, "isComplete": True})});
    console.log(JSON.stringify({json.dumps(words)}.map((word) => [...search.hits(word)])));"""
    everything = [text for chunk in chunks for text in chunk]
    assert run(code) == [[int(word in text) for text in everything] for word in words]
