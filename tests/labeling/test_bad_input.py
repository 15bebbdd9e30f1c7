"""Bad rows, files and options: each is one clear line, and no other row is lost."""

import json

import pytest

from prom_reward.errors import ConfigError, InputError
from prom_reward.labeling.labeling import label
from tests.labeling.label_inputs import GOOD, pairs, scripted_judge, verdict, write_rows


def test_an_empty_file(labeled):
    with pytest.raises(InputError, match=r"rows\.jsonl: it has no rows; expected at least one$"):
        labeled([])


def test_an_unknown_format_says_what_was_seen_and_what_would_do(labeled):
    with pytest.raises(
        InputError,
        match=r"rows\.jsonl: no row can be label+ed; line 1: unknown format: got text; expected chosen and rejected",
    ):
        labeled([{"text": "a"}])


def test_mixed_formats_are_refused_with_their_places(labeled):
    with pytest.raises(
        InputError,
        match=r"rows\.jsonl: mixed formats: got preference pairs \(line 1\) and one response per row \(line 3\); "
        r"expected rows of one kind, give each its own file$",
    ):
        labeled([GOOD, GOOD, {"prompt": "Hi?", "completion": "Yes."}])


def test_verdicts_that_count_from_another_number_refuse_the_file(labeled):
    with pytest.raises(InputError, match="label = 0, 1, which may be a scale, or count the answers from"):
        labeled([{"prompt": "Q?", "output_1": "a", "output_2": "b", "label": at} for at in (1, 0)])


def test_a_row_of_another_kind_far_behind_is_a_problem_of_its_own(labeled):
    rows, [problem], _ = labeled([GOOD] * 70 + [{"prompt": "Hi?", "completion": "Yes."}])
    assert len(rows) == 70
    assert problem == {
        "row": 70,
        "place": "line 71",
        "problem": "got a row of another kind (response) than the first ones (pair)",
    }


def test_rows_without_a_rubric_are_refused_before_the_work(labeled):
    with pytest.raises(InputError, match=r"rows\.jsonl: no row can be label+ed; line 1: no rubric; give the row"):
        labeled([GOOD], rubric=None)


def test_broken_rows_are_named_and_the_others_labeled(labeled):
    lines = [
        json.dumps(GOOD).encode(),
        b"{broken",
        b'{"prompt": "caf\xe9", "chosen": "a", "rejected": "b"}',
        json.dumps({"prompt": "a", "rejected": "b"}).encode(),
        json.dumps({**GOOD, "rubric": {"criteria": "?"}}).encode(),
        json.dumps({**GOOD, "prompt": [{"role": None, "content": None}]}).encode(),
        json.dumps({**GOOD, "chosen": [{"role": "assistant", "content": None}], "rejected": []}).encode(),
        b"[1]",
        json.dumps(GOOD).encode(),
    ]
    rows, problems, found = labeled(b"\n".join(lines) + b"\n")
    assert [row["row"] for row in rows] == [0, 6, 8]  # nested nulls are empty texts
    assert [one["place"] for one in problems] == [f"line {number}" for number in (2, 3, 4, 5, 6, 8)]
    said = [one["problem"] for one in problems]
    assert said[0].startswith("not valid JSON (")
    assert said[1:3] == [
        "not UTF-8 text: save the file as UTF-8",
        "a pair without 'chosen'; expected a response beside 'rejected'",
    ]
    assert (found.num_rows, found.num_labeled, found.num_problems) == (9, 3, 6)


def test_the_last_line_of_a_file_that_is_being_written_waits_for_a_later_run(labeled):
    whole = json.dumps({**GOOD, "prompt": "Later?"}).encode()
    first = json.dumps(GOOD).encode() + b"\n"
    rows, problems, found = labeled(first + whole[:20])
    assert (len(rows), problems) == (1, [])
    assert found.warnings == ["line 2 has no end, as if it were being written: left to a later run"]
    rows, problems, found = labeled(first + whole)
    assert ([row["prompt"] for row in rows], problems, found.warnings) == (["Hi?", "Later?"], [], [])


def test_repeated_ids_are_said_and_every_row_is_labeled(labeled):
    rows, _, found = labeled([{**GOOD, "id": "a"}, {**GOOD, "id": "a", "chosen": "Maybe."}, {**GOOD, "id": "b"}])
    assert len(rows) == 3
    assert found.warnings == ["1 row with the id of an earlier row, first 'a' (line 2): all are labeled"]


def test_equal_sides_are_a_tie_and_judged_once(labeled):
    asked = []

    def script(prompt):
        asked.append(prompt)
        return verdict(prompt)

    [row], _, _ = labeled([{**GOOD, "rejected": "Yes."}], judge=scripted_judge(script))
    assert (row["agreement"], row["margin"], len(asked)) == ("tie", 0.0, 1)


def test_a_response_of_two_megabytes_is_too_long_and_loses_no_other(labeled):
    from prom_reward.engines.scripted_engine import ScriptedEngine
    from prom_reward.judging.judge import PrometheusJudge

    judge = PrometheusJudge(ScriptedEngine(verdict, context_length=2000))
    rows, problems, found = labeled([{**GOOD, "chosen": "word " * 400_000}, GOOD], judge=judge)
    assert [row["chosen_outcome"] for row in rows] == ["too_long", "scored"]
    assert "the context takes 2000" in rows[0]["chosen_error"]
    assert (rows[0]["agreement"], problems, found.agreement["unscored"]) == (None, [], 1)


def test_lone_surrogates_are_written_and_read_back(labeled):
    [row], _, _ = labeled(b'{"prompt": "a\\ud800", "chosen": "b", "rejected": "c"}\n')
    assert row["prompt"] == "a\ud800"


def test_only_pairs_can_be_ranked(labeled):
    with pytest.raises(
        InputError, match=r"got one response per row and method=rank; only preference pairs can be ranked$"
    ):
        labeled([{"prompt": "a", "completion": "b"}], method="rank")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "both sides"}, "got method='both sides'; expected grade, rank or both"),
        ({"shard_size": 0}, "got shard_size=0; expected at least 1"),
    ],
)
def test_wrong_options_are_refused(labeled, options, said):
    with pytest.raises(ConfigError) as error:
        labeled([GOOD], **options)
    assert str(error.value) == said


def test_a_folder_that_cannot_be_made(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [GOOD])
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"out: cannot be made \(Not a directory\); give an --out in a writable folder$"
    ):
        label(tmp_path / "rows.jsonl", judge=scripted_judge(), out=tmp_path / "file/out", rubric="helpfulness")


def test_an_input_that_changes_between_the_passes_is_said(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", pairs(4))

    def meddling(prompt):
        write_rows(source, [{**row, "chosen": "changed"} for row in pairs(4)])
        return verdict(prompt)

    with pytest.raises(InputError, match=r"out: the input changed while it was labeled; run the same command again$"):
        label(source, judge=scripted_judge(meddling), out=tmp_path / "out", rubric="helpfulness")


@pytest.mark.parametrize("cut", ["Q2", "Q2,A", "Q2,", '"Q2\n', '"Q2, é'])
def test_the_last_row_of_a_csv_that_is_being_written_waits_for_a_later_run(labeled, cut):
    whole = {"Q2": "Q2,A2\n", "Q2,A": "Q2,A\n", "Q2,": "Q2,\n", '"Q2\n': '"Q2\n",A2\n', '"Q2, é': '"Q2, é",A2\n'}[cut]
    rows, problems, _ = labeled(f"prompt,response\nQ1,A1\n{cut}".encode(), name="rows.csv")
    assert (rows[0]["prompt"], problems) == ("Q1", [])
    rows, problems, found = labeled(f"prompt,response\nQ1,A1\n{whole}".encode(), name="rows.csv")
    assert ([row["prompt"][:2] for row in rows], problems, found.num_labeled) == (["Q1", "Q2"], [], 2)
