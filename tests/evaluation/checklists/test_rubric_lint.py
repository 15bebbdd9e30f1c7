from dataclasses import replace

import pytest

from prom_reward.data.formats import RowFormat
from prom_reward.data.labels.judged_rows import JudgedResponse
from prom_reward.data.rows import BrokenRow, Row
from prom_reward.errors import InputError
from prom_reward.evaluation.checklists.rubric_lint import lint_file, lint_rows, matching
from prom_reward.rubrics.checklists.checklist import Part
from prom_reward.rubrics.reading import read_rubrics
from prom_reward.types import Judgment, Outcome

PLAIN = RowFormat(columns={})
BAD = [{"criterion": "Avoids jargon.", "points": -1}, {"criterion": "Names the finding.", "points": 2}]


def test_a_rubric_that_cannot_be_read_is_an_error():
    found = lint_file("nothing-like-it")
    assert (found.num_errors, found.findings[0].rule, found.to_dict()["rubrics"]) == (1, "unreadable", 0)


def test_rubrics_of_rows_are_linted_once_and_name_all_their_rows():
    rows = [
        *(Row(f"line {at}", {"prompt": "Q", "rubrics": BAD}) for at in (1, 2)),
        Row("line 3", {"prompt": "Q", "rubrics": BAD[1:]}),
        Row("line 4", {"prompt": "Q", "rubrics": [{"criterion": "", "points": 1}]}),
        Row("line 5", {"prompt": "Q"}),
        BrokenRow("line 6", "not valid JSON"),
    ]
    found = lint_rows(rows, PLAIN)
    told = {(one.level, one.rule): one.rows for one in found.findings if one.rule != "unreadable"}
    assert told == {("warning", "double_negation"): ("line 1", "line 2")}
    assert [one.rows for one in found.findings if one.level == "error"] == [("line 4",), ("line 5",), ("line 6",)]
    assert (found.num_rows, found.to_dict()["criteria"]) == (6, 3)
    with pytest.raises(InputError, match="no rows"):
        lint_rows([], PLAIN)


def test_judgments_are_matched_with_their_rubric():
    [checklist] = read_rubrics([{"text": "Names the finding.", "name": "a", "weight": 1}])
    parts = (Part(name="a", weight=1, value=1.0),)
    own = Judgment(outcome=Outcome.SCORED, expected_score=1.0, parts=parts)
    other = Judgment(outcome=Outcome.SCORED, expected_score=3.0)
    row = JudgedResponse(place="line 1", instruction="Q", response="A", judgments={"renamed": own, "checklist": other})
    assert matching([row], [checklist])[0].judgments == {"checklist": own}
    elsewhere = replace(own, parts=(replace(parts[0], text="Names the author."),))
    with pytest.raises(InputError, match="expected some by 'checklist'"):
        matching([replace(row, judgments={"checklist": elsewhere})], [checklist])
    with pytest.raises(InputError, match="'checklist, renamed'; expected some by 'helpfulness'"):
        matching([row], read_rubrics("helpfulness"))


def test_a_file_is_linted_for_keys_that_nothing_reads(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("threshold: 0.5\ncriteria:\n- {text: It is short., min_score: 3}\n")
    assert [(one.rule, one.criteria) for one in lint_file(path).findings] == [
        ("unread_key", ()),
        ("unread_key", ("1",)),
    ]
