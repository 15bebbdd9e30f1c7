import prom_reward
from tests.labeling.label_inputs import write_rows

RECORD = {
    "instruction": "Q?",
    "response": "A.",
    "rubric": "honesty",
    "outcome": "scored",
    "score": 4,
    "feedback": "Good.",
}
RECORD |= {"expected_score": 4.0, "score_probs": {"4": 1.0}, "entropy": 0.0, "step": 0, "row": 0}


def test_one_call_writes_the_page_beside_its_source(tmp_path):
    log = write_rows(tmp_path / "judgments.jsonl", [RECORD])
    assert prom_reward.report(log) == tmp_path / "judgments.html"
    assert prom_reward.report(tmp_path) == tmp_path / "report.html"
    assert "Training report" in (tmp_path / "report.html").read_text()


def test_a_second_source_and_another_place(tmp_path):
    log = write_rows(tmp_path / "first.jsonl", [RECORD])
    other = write_rows(tmp_path / "second.jsonl", [{**RECORD, "expected_score": 3.0}])
    page = prom_reward.report(log, page=tmp_path / "page.html", against=other)
    assert "Beside second.jsonl" in page.read_text()
