import json
from dataclasses import replace

import pytest

from prom_reward.data.rows import read_values
from prom_reward.errors import InputError
from prom_reward.labeling.labeling import label
from prom_reward.reports.comparison import compare
from prom_reward.reports.data import load_report
from prom_reward.reports.page import report_page
from prom_reward.reports.rejudging import write_requests
from prom_reward.rubrics.reading import rubric_digest
from prom_reward.types import Rubric
from tests.labeling.label_inputs import pairs, scripted_judge, write_rows

RECORD = {"instruction": "Q?", "response": "A.", "reference_answer": None, "rubric": "honesty", "mode": "train"}
OWN = replace(Rubric.parse("honesty"), name="own")


def with_digest(record):
    """A record with the digest of the built-in rubric of its name."""
    name = record["rubric"]
    return {"rubric_digest": rubric_digest(OWN if name == "own" else Rubric.parse(name)), **record}


@pytest.fixture
def log(tmp_path):
    def make(*changes):
        return write_rows(tmp_path / "judgments.jsonl", [with_digest({**RECORD, **one}) for one in changes])

    return make


def written(source, tmp_path, *rubrics):
    found = write_requests(source, tmp_path / "rows.jsonl", rubrics)
    return list(read_values(tmp_path / "rows.jsonl")), found.left_out


def test_each_request_of_a_log_is_written_once_and_evaluations_are_not(log, tmp_path):
    source = log({}, {}, {"rubric": "helpfulness"}, {"reference_answer": "R."}, {"mode": "eval", "response": "E."})
    rows, problems = written(tmp_path, tmp_path)
    assert source.exists()
    assert problems == []
    assert [(row["rubric"]["name"], row.get("reference_answer")) for row in rows] == [
        ("honesty", None), ("helpfulness", None), ("honesty", "R."),
    ]  # fmt: skip
    assert Rubric.parse(rows[0]["rubric"]) == Rubric.parse("honesty")


def test_a_rubric_of_the_same_name_is_its_text_and_another_one_takes_its_place(log, tmp_path):
    source = log({"rubric": "own"}, {"rubric": "helpfulness"})
    rows, _ = written(source, tmp_path, OWN)
    assert [row["rubric"]["name"] for row in rows] == ["own", "helpfulness"]
    rows, _ = written(source, tmp_path, Rubric.parse("reasoning"))
    assert [row["rubric"]["name"] for row in rows] == ["reasoning"]


EDITED = replace(OWN, criteria="Is it edited?")


@pytest.mark.parametrize(
    ("rubric", "digest", "said"),
    [
        (OWN, rubric_digest(OWN), []),
        (replace(OWN, weight=2.0), rubric_digest(OWN), []),
        (EDITED, rubric_digest(OWN), [rubric_digest(OWN), rubric_digest(EDITED), "'own'"]),
        (OWN, "", ["no digest", "'own'"]),
    ],
)
def test_an_edited_rubric_under_an_old_name_is_named(log, tmp_path, rubric, digest, said):
    source = log({"rubric": "own", "rubric_digest": digest}, {"rubric": "helpfulness"})
    *edited, kept = write_requests(source, tmp_path / "rows.jsonl", (rubric,)).edited
    assert "as before: helpfulness; a rubric of another name grades every response" in kept
    assert len(edited) == bool(said)
    assert all(part in line for line in edited for part in said)


def test_an_edited_rubric_of_labels_is_named_and_on_the_page(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(2))
    for rubric, out in ((OWN, "first"), (EDITED, "second")):
        label(source, judge=scripted_judge(), out=tmp_path / out, rubric=rubric)
    assert write_requests(tmp_path / "first", tmp_path / "again.jsonl", (OWN,)).edited == []
    [line] = write_requests(tmp_path / "first", tmp_path / "again.jsonl", (EDITED,)).edited
    assert rubric_digest(EDITED) in line
    first, second = (load_report(tmp_path / name) for name in ("first", "second"))
    assert "different texts under" in report_page(first, comparison=compare(first, against=second))
    assert "different texts under" not in report_page(first, comparison=compare(first, against=first))


@pytest.mark.parametrize(
    ("rubrics", "said"),
    [
        ((), r"only the name of the rubric 'own' and a digest that is no built-in rubric's; give"),
        (
            (OWN, Rubric.parse("reasoning")),
            r"got the rubrics own, reasoning; expected names of the source alone",
        ),
        ((Rubric.parse("reasoning"), Rubric.parse("honesty")), r"got 2 other rubrics; expected one"),
    ],
)
def test_rubrics_that_leave_a_guess_are_refused(log, tmp_path, rubrics, said):
    with pytest.raises(InputError, match=said):
        written(log({"rubric": "own"}), tmp_path, *rubrics)


@pytest.mark.parametrize(("digest", "said"), [("", "and no digest"), ("0" * 16, "that is no built-in rubric's")])
def test_a_built_in_name_alone_is_not_the_built_in_rubric(log, tmp_path, digest, said):
    source = log({"rubric_digest": digest})
    with pytest.raises(InputError, match=f"'honesty' .*{said}"):
        written(source, tmp_path)
    rows, _ = written(source, tmp_path, Rubric.parse("honesty"))
    assert len(rows) == 1


def test_what_a_row_would_not_ask_alike_is_left_out_and_named(log, tmp_path):
    stored = json.dumps([{"role": "user", "content": "Q?"}])
    rows, problems = written(log({}, {"instruction": stored}, {"response": "<think>x</think>A."}), tmp_path)
    assert len(rows) == 1
    assert len(problems) == 2
    assert "`label` would read this prompt or response differently" in problems[0]


def test_labels_are_graded_again_under_their_own_rubrics(tmp_path):
    source = write_rows(tmp_path / "source.jsonl", [{**row, "rubric": "honesty"} for row in pairs(3)])
    label(source, judge=scripted_judge(), out=tmp_path / "labels")
    rows, _ = written(tmp_path / "labels", tmp_path)
    assert len(rows) == 6
    assert {row["rubric"]["name"] for row in rows} == {"honesty"}
