import json
import re

import pytest

from prom_reward.errors import InputError
from prom_reward.labeling.labeling import label
from prom_reward.reports.data import load_report
from prom_reward.reports.figures import agreement_rows, figures
from prom_reward.reports.page import report_figures_json, report_page
from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from tests.labeling.label_inputs import pairs, scripted_judge, verdict, write_rows

HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">{{ 7 * 7 }}'


def by_length(prompt):
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return f"Long or short. [RESULT] {min(5, 1 + len(response) // 4)}"


@pytest.fixture
def folder_of(tmp_path):
    def make(rows, script=verdict, **options):
        source = write_rows(tmp_path / "rows.jsonl", rows)
        label(source, judge=scripted_judge(script), out=tmp_path / "out", **{"rubric": "helpfulness", **options})
        return tmp_path / "out"

    return make


@pytest.fixture
def log(tmp_path, request_of):
    path = tmp_path / "log.jsonl"
    judgment_log = JudgmentLog(path)
    for step in range(5):
        requests = [request_of(f"Answer {number} of {step}.") for number in range(4)]
        judged = zip(requests, scripted_judge().grade(requests), strict=True)
        judgment_log.append({"step": step, **judgment_record(*one), "reward": step / 10} for one in judged)
    return path


def embedded(page, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)[1])


def test_the_figures_are_those_of_the_labels(folder_of):
    rows = [
        {"prompt": f"q{at}", "chosen": "x" * 4 * (at % 5), "rejected": "y" * 8, "source": f"part {at % 2}"}
        for at in range(40)
    ]
    data = load_report(folder_of(rows, by_length))
    assert (data.num_judgments, len(data.judgments), len(data.pairs)) == (80, 80, 40)
    assert data.agreement == {"agrees": 16, "disagrees": 16, "tie": 8}
    overall, first, second = agreement_rows(data.pairs)
    assert (overall.group, overall.num_pairs, overall.judge.value) == ("all", 40, 0.5)
    assert [(row.group, row.num_pairs) for row in (first, second)] == [("part 0", 20), ("part 1", 20)]
    assert overall.length.value == overall.integer.value == 0.5
    assert [figure.title for figure in figures(data)] == [
        "Scores",
        "Margins",
        "Length against score",
        "Entropy",
        "Does a larger margin mean more?",
        "Outcomes",
    ]
    [note] = [figure.note for figure in figures(data) if figure.title == "Length against score"]
    assert note.startswith("Pearson 1.00, Spearman 1.00")


def test_numbers_for_machines(folder_of):
    numbers = report_figures_json(load_report(folder_of(pairs(12), method="both")))
    assert numbers["judgments"] == 24
    assert set(numbers["pairwise_accuracy"]["all"]) == {"n", "expected", "integer", "length"}
    assert json.loads(json.dumps(numbers)) == numbers


def test_ranked_pairs_have_no_scores_but_an_agreement(folder_of):
    data = load_report(folder_of(pairs(12), method="rank"))
    assert data.scores == {}
    [row] = agreement_rows(data.pairs)
    assert (row.num_pairs, row.integer) == (12, None)
    assert "Agreement with the given order" in report_page(data)


def test_several_responses_and_several_rubrics(folder_of):
    rubrics = ["helpfulness", "honesty"]
    rows = [{"prompt": "q", "completions": ["a", "b", "c"], "rubric": one} for one in [*rubrics, rubrics]]
    data = load_report(folder_of(rows))
    assert [one.side for one in data.judgments] == ["1", "2", "3"] * 3
    assert {one.rubric for one in data.judgments} == {"helpfulness", "honesty", "helpfulness + honesty"}
    assert "Scores by rubric" in [figure.title for figure in figures(data)]


def test_a_training_shows_its_reward_over_steps(log):
    data = load_report(log)
    assert data.is_training
    assert {step: rewards[0] for step, rewards in data.rewards.items()} == {step: step / 10 for step in range(5)}
    assert [figure.title for figure in figures(data)][:2] == ["Reward over steps", "Outcomes over steps"]
    page = report_page(data)
    assert "Judgments of a training" in page
    assert len(embedded(page, "judgments-data")) == 20


def test_text_stays_text(folder_of):
    rows = [{"prompt": HOSTILE, "chosen": HOSTILE, "rejected": "fine", "source": HOSTILE} for _ in range(3)]
    page = report_page(load_report(folder_of(rows, lambda prompt: f"{HOSTILE} [RESULT] 3")))
    assert HOSTILE not in page
    assert "<script>document" not in page
    assert [one["response"] for one in embedded(page, "judgments-data")][:2] == [HOSTILE, "fine"]


def test_the_page_asks_for_nothing_on_the_network(folder_of):
    page = report_page(load_report(folder_of(pairs(5))))
    own = page.replace(re.search(r"<script>(/\*\*.*?)</script>", page, re.DOTALL)[1], "")
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", own)
    assert "url(" not in own
    assert "@import" not in own


def test_a_large_labelling_shows_all_numbers_and_a_part_of_the_texts(folder_of):
    folder = folder_of([*pairs(60), {"prompt": "broken", "chosen": "x", "rejected": "y"}], failing)
    data = load_report(folder, max_judgments=10)
    assert data.num_judgments == len(data.judgments) + 112 == 122
    assert any(one.outcome == "engine_failed" for one in data.judgments)  # what needs an eye is always there
    assert data.judgments == sorted(data.judgments, key=lambda one: (one.row, one.side))
    assert len(data.lengths) == 120


def failing(prompt):
    return RuntimeError("down") if "broken" in prompt.user else verdict(prompt)


def test_long_texts_are_cut_with_a_mark(folder_of):
    [chosen, _] = load_report(folder_of([{"prompt": "q", "chosen": "word " * 10_000, "rejected": "b"}])).judgments
    assert chosen.length == 50_000
    assert chosen.response.endswith("… [44,000 characters more]")


def test_a_column_of_ids_is_no_group(folder_of):
    rows = [{**row, "source": row["id"]} for row in pairs(50)]
    assert [row.group for row in agreement_rows(load_report(folder_of(rows)).pairs)] == ["all"]
    assert len(agreement_rows(load_report(folder_of(rows), group="id").pairs)) == 51


def test_a_group_that_is_no_column(folder_of):
    with pytest.raises(InputError, match=r"^no column 'topic'; got agreement, chosen, "):
        load_report(folder_of(pairs(2)), group="topic")


RECORD = {
    **dict.fromkeys(("score", "expected_score", "score_probs", "entropy")),
    **dict.fromkeys(("rubric", "outcome", "response", "instruction", "feedback"), "text"),
}


@pytest.mark.parametrize("content", ["[]", "{}", "[" * 5000, '{"about": {}, "kind": "pair"}'])
def test_a_folder_of_something_else_is_one_line(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json: .*a labeling's manifest"):
        load_report(tmp_path)


def test_labels_that_are_broken_are_one_line(folder_of):
    folder = folder_of(pairs(2))
    for line in ("{", "[]"):
        (folder / "labels.jsonl").write_text(line)
        with pytest.raises(InputError, match=r"labels\.jsonl: holds a .*; run `prom-reward label` again$"):
            load_report(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such folder or file; expected a folder of `prom-reward label` or of a training, or a judgment log"),
        ("", "it has no judgments; expected at least one"),
        ('{"a": 1}\n', r"not a judgment log \(KeyError: .*\); expected the file of PrometheusReward\(log_path=...\)"),
        ("{\n", r"not a judgment log \(JSONDecodeError: .*\); expected the file of"),
        ("[]\n", r"not a judgment log \(TypeError: .*\); expected the file of"),
        (f"{'[' * 5000}\n", r"not a judgment log \(RecursionError: .*\); expected the file of"),
        *(
            (
                json.dumps({**RECORD, name: value}) + "\n",
                r"not a judgment log \((Type|Attribute|Overflow)Error: .*\); exp",
            )
            for name, value in (("score", "4"), ("rubric", []), ("score_probs", [1]), ("reward", {}), ("step", 1e999))
        ),
    ],
)
def test_what_is_no_log_is_one_line(tmp_path, content, said):
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=rf"log\.jsonl: {said}"):
        load_report(path)
