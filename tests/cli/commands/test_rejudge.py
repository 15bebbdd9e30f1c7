import json

import pytest

from prom_reward import label
from prom_reward.cli.commands import rejudge
from tests.labeling.label_inputs import scripted_judge


def by_number(prompt):
    number = next(number for number in range(4) if f"Answer {number}." in prompt.user)
    return f"Better. [RESULT] {number + 1}"


def test_a_log_is_graded_again_and_shown_beside_the_first_judge(run, judged_by, log, tmp_path):
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    done = run("rejudge", log, "--out", tmp_path / "again", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["matched"] == 4
    assert found["rubrics"]["helpfulness"]["n"] == 4
    assert found["rubrics"]["helpfulness"]["change"] > 1
    assert "What changed most" in (tmp_path / "again" / "report.html").read_text()


def test_a_second_run_asks_the_judge_for_nothing(run, judged_by, log, tmp_path):
    asked = []

    def counting(prompt):
        asked.append(prompt)
        return by_number(prompt)

    judged_by(scripted_judge(counting), command="commands.rejudge")
    assert run("rejudge", log).status == 0
    labels = (tmp_path / "judgments-rejudged" / "labels.jsonl").read_bytes()
    done = run("rejudge", log)
    assert done.status == 0, done.err
    assert len(asked) == 4
    assert "4 judgments beside their first ones" in done.out
    assert (tmp_path / "judgments-rejudged" / "labels.jsonl").read_bytes() == labels


def test_ctrl_c_before_the_first_shard_says_how_to_go_on(run, judged_by, log, tmp_path):
    is_stopped = True

    def script(prompt):
        if is_stopped:
            raise KeyboardInterrupt
        return by_number(prompt)

    judged_by(scripted_judge(script), command="commands.rejudge")
    out = tmp_path / "again"
    stopped = run("rejudge", log, "--out", out)
    assert stopped.status == 130
    assert stopped.err.endswith(f"stopped; 0 rows judged in {out}: run the same command again to resume\ninterrupted\n")
    is_stopped = False
    assert run("rejudge", log, "--out", out).status == 0


def test_labels_of_dialogues_are_shown_beside_their_first_ones(run, judged_by, rows_file, tmp_path):
    start = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: What is a prime?\n\nAssistant:"
    source = rows_file({"chosen": f"{start} Answer 1.", "rejected": f"{start} Answer 2."})
    label(source, judge=scripted_judge(by_number), rubric="helpfulness", out=tmp_path / "labels")
    judged_by(scripted_judge(lambda prompt: "Bad. [RESULT] 1"), command="commands.rejudge")
    done = run("rejudge", tmp_path / "labels", "--out", tmp_path / "again", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["matched"] == 2


def test_second_judgments_without_a_score_are_counted(run, judged_by, log, tmp_path):
    judged_by(scripted_judge(lambda prompt: "Bad. [RESULT] 9"), command="commands.rejudge")
    done = run("rejudge", log, "--out", tmp_path / "again")
    assert (done.status, "without a score: 4 of 4 second judgments (4 off_scale)" in done.err) == (0, True)


def test_pairs_that_were_only_ranked_are_refused(run, rows_file, tmp_path):
    source = rows_file({"prompt": "A?", "chosen": "B.", "rejected": "C."})
    label(source, judge=scripted_judge(), rubric="helpfulness", method="rank", out=tmp_path / "labels")
    done = run("rejudge", tmp_path / "labels", "--out", tmp_path / "again")
    assert (done.status, "its pairs were ranked and not graded; expected grades" in done.err) == (2, True)


def test_labels_are_not_written_into_their_source(run, rows_file, tmp_path):
    source = rows_file({"prompt": "A?", "response": "B."})
    label(source, judge=scripted_judge(), rubric="helpfulness", out=tmp_path / "labels")
    done = run("rejudge", tmp_path / "labels", "--out", tmp_path / "labels")
    assert (done.status, "got the source as --out" in done.err) == (2, True)


def test_a_folder_with_a_training_is_not_written_into(run, log):
    done = run("rejudge", log, "--out", log.parent)
    assert (done.status, "holds a training's judgments.jsonl; give another --out" in done.err) == (2, True)
    assert not (log.parent / "rows.jsonl").exists()


def test_figures_cover_all_judgments_and_the_page_shows_some(run, judged_by, log, tmp_path, monkeypatch):
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    monkeypatch.setattr(rejudge, "MAX_SHOWN", 2)
    records = [{**json.loads(line), "step": step // 2} for step, line in enumerate(log.open())]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    done = run("rejudge", log, "--out", tmp_path / "again", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["rubrics"]["helpfulness"]["n"] == 4
    page = (tmp_path / "again" / "report.html").read_text()
    assert "4 judgments" in page
    assert "2 with their texts below" in page


@pytest.mark.parametrize("source", [".", "../run.v2"])
def test_a_folder_is_rejudged_beside_itself_however_it_is_named(run, judged_by, log, monkeypatch, source):
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    folder = log.parent / "run.v2"
    folder.mkdir()
    log.rename(folder / log.name)
    monkeypatch.chdir(folder)
    done = run("rejudge", source)
    assert done.status == 0, done.err
    assert (log.parent / "run.v2-rejudged" / "report.html").exists()


def test_a_rubric_without_a_text_is_one_line(run, judged_by, log):
    log.write_text(log.read_text().replace('"rubric": "helpfulness"', '"rubric": "mine"'))
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    done = run("rejudge", log)
    assert done.status == 2
    assert "only the name of the rubric 'mine'" in done.err


def test_another_rubric_is_named_beside_the_first_one(run, judged_by, log, tmp_path):
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    done = run("rejudge", log, "--rubric", "honesty", "--out", tmp_path / "again")
    assert done.status == 0, done.err
    assert "helpfulness, then honesty" in done.out
    assert "helpfulness, then honesty" in (tmp_path / "again" / "report.html").read_text()


def test_a_report_takes_a_second_source(run, judged_by, log, tmp_path):
    judged_by(scripted_judge(by_number), command="commands.rejudge")
    assert run("rejudge", log, "--out", tmp_path / "again").status == 0
    page = tmp_path / "page.html"
    assert run("report", log, "--against", tmp_path / "again", "--page", page).status == 0
    assert "Beside rows.jsonl" in page.read_text()
