import functools
import gzip
import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from prom_reward import PrometheusReward
from prom_reward.errors import InputError
from prom_reward.labeling.labeling import label
from prom_reward.pages.packing import ALPHABET
from prom_reward.pages.text import writable
from prom_reward.reports.data import load_report
from prom_reward.reports.overview.agreement import agreement_rows
from prom_reward.reports.overview.figures import label_figures
from prom_reward.reports.overview.training_figures import training_figures
from prom_reward.reports.page import report_figures_json, report_page
from prom_reward.rewards.judgment_log import JudgmentLog, judgment_record
from prom_reward.types import Rubric
from tests.labeling.label_inputs import pairs, scripted_judge, verdict, write_rows

HOSTILE = '</script><script>document.title = "taken"</script><img src=x onerror="document.title=1">{{ 7 * 7 }}'
HIDDEN = "\u202e \ud800"


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


def unpacked(text):
    """Read what `prom_reward.pages.packing` packs, as the page's script does."""
    size, _, digits = text.strip().partition(":")
    words = [
        functools.reduce(lambda sum, digit: sum * 85 + ALPHABET.index(digit), digits[at : at + 5], 0)
        for at in range(0, len(digits), 5)
    ]
    return json.loads(gzip.decompress(b"".join(word.to_bytes(4) for word in words)[: int(size)]))


def table(page):
    return unpacked(re.search(r'id="table-data">(.*?)</script>', page, re.DOTALL)[1])


def texts(page, column):
    """Return the texts of a column, row by row."""
    chunks = re.findall(r'class="texts-data">(.*?)</script>', page, re.DOTALL)
    everything = [text for chunk in chunks for text in unpacked(chunk)]
    return [everything[at] for at in table(page)["texts"][column]]


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
    assert [figure.title for figure in label_figures(data)] == [
        "Scores",
        "Margins",
        "Length against score",
        "Entropy",
        "Does a larger margin mean more?",
    ]
    [note] = [figure.note for figure in label_figures(data) if figure.title == "Length against score"]
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
    assert [one.side for one in data.judgments] == [*"123", *"123", *"112233"]
    assert [one.rubric for one in data.judgments[6:]] == rubrics * 3
    assert "Scores by rubric" in [figure.title for figure in label_figures(data)]


def test_a_training_shows_its_reward_over_steps(log):
    data = load_report(log)
    assert data.is_training
    assert {step: rewards[0] for step, rewards in data.rewards.items()} == {step + 1: step / 10 for step in range(5)}
    assert next(figure.title for figure in training_figures(data)) == "Reward over steps"
    page = report_page(data)
    assert "Training report" in page
    assert page.index("mean reward of the last step") < page.index("</strong><span>judgments")
    assert table(page)["size"] == 20
    assert table(page)["numbers"]["step"] == [step for step in range(1, 6) for _ in range(4)]


def test_a_log_that_no_trainer_wrote_has_no_steps(tmp_path, request_of):
    reward = PrometheusReward(scripted_judge(), "helpfulness", log_path=tmp_path / "calls.jsonl")
    for _ in range(2):
        reward(prompts=["Question?"] * 3, completions=["a", "b", "c"])
    data = load_report(tmp_path / "calls.jsonl")
    assert (data.num_judgments, data.has_steps, "steps" in data.facts) == (6, False, False)
    assert training_figures(data) == []
    assert len(data.rewards[0]) == 6
    page = report_page(data)
    assert "Report of a judgment log" in page
    assert "of calls without a trainer" in page
    assert "Over the training" not in page
    assert "step" not in table(page)["numbers"]


def test_an_evaluation_is_left_out_of_a_trainings_figures(log, request_of):
    [judgment] = scripted_judge().grade([request_of("Evaluated.")])
    record = {**judgment_record(request_of("Evaluated."), judgment), "step": 2, "row": 0, "reward": 0.9}
    JudgmentLog(log).append([{**record, "mode": "eval"}])
    data = load_report(log)
    assert (data.num_judgments, data.facts["evaluations"]) == (20, "1 judgment, left out")
    assert 0.9 not in data.rewards[3]
    JudgmentLog(log).append([{**record, "mode": "train"}])
    assert 0.9 in load_report(log).rewards[3]


def test_text_stays_text(folder_of):
    rows = [
        {"prompt": HOSTILE, "chosen": HOSTILE, "rejected": "fine", "source": f"{HOSTILE} {HIDDEN} {at}"}
        for at in range(3)
    ]
    page = report_page(load_report(folder_of(rows, lambda prompt: f"{HOSTILE} [RESULT] 3")))
    page.encode("utf-8")
    assert HOSTILE not in page
    assert "<script>document" not in page
    assert texts(page, "response")[:2] == [HOSTILE, "fine"]
    assert "\\u{202e} \\u{d800} 1" in page  # the group in the table of agreement


def test_the_page_asks_for_nothing_on_the_network(folder_of):
    page = report_page(load_report(folder_of(pairs(5))))
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert len(page) < 140_000


def test_a_large_labeling_shows_all_numbers_and_a_part_of_the_texts(folder_of):
    folder = folder_of([*pairs(60), {"prompt": "broken", "chosen": "x", "rejected": "y"}], failing)
    data = load_report(folder, max_judgments=10)
    assert data.num_judgments == len(data.judgments) + 112 == 122
    assert data.outcomes["engine_failed"] == 2
    assert data.judgments == sorted(data.judgments, key=lambda one: (one.row, one.side))  # both sides of each pair
    assert len({one.row for one in data.judgments}) == 5
    assert len(data.lengths) == 120
    assert data.missing[0].startswith("the texts of 112 of 122 judgments: counts and plots cover them, but what stands")
    page = report_page(data)
    assert "the texts of 112 of 122 judgments" in page
    assert load_report(folder, max_judgments=None).missing == []


def failing(prompt):
    return RuntimeError("down") if "broken" in prompt.user else verdict(prompt)


def test_long_texts_are_cut_with_a_mark(folder_of):
    [chosen, _] = load_report(folder_of([{"prompt": "q", "chosen": "word " * 10_000, "rejected": "b"}])).judgments
    assert chosen.length == 50_000
    assert chosen.response.endswith("… [30,000 characters more]")


def test_a_column_of_ids_is_no_group(folder_of):
    rows = [{**row, "source": row["id"]} for row in pairs(50)]
    assert [row.group for row in agreement_rows(load_report(folder_of(rows)).pairs)] == ["all"]
    assert len(agreement_rows(load_report(folder_of(rows), group="id").pairs)) == 51


def test_rows_without_the_column_of_groups_are_in_no_group_and_the_page_says_so(folder_of):
    rows = [{**row, "topic": f"t{at % 2}"} if at else row for at, row in enumerate(pairs(5))]
    data = load_report(folder_of(rows), group="topic")
    assert [(row.group, row.num_pairs) for row in agreement_rows(data.pairs)][-2:] == [("t0", 2), ("t1", 2)]
    assert data.missing == ["the column 'topic' in 1 row: they are in no group"]


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
        (None, "no such folder or file; expected a folder of `prom-reward label`, a trainer's folder"),
        ("", "it has no judgments; expected at least one"),
        (
            '{"a": 1}\n',
            r"not a judgment log \(line 1: no '\w+'\); expected the file of PrometheusReward\(log_path=...\)",
        ),
        ("{\n", r"not a judgment log \(line 1: JSONDecodeError: .*\); expected the file of"),
        ("[]\n", r"not a judgment log \(line 1: AttributeError: .*\); expected the file of"),
        (f"{'[' * 5000}\n", r"not a judgment log \(line 1: RecursionError: .*\); expected the file of"),
        *(
            (
                json.dumps({**RECORD, name: value}) + "\n",
                r"not a judgment log \(line 1: (Type|Attribute|Overflow)Error: .*\); exp",
            )
            for name, value in (
                ("score", "4"),
                ("expected_score", float("nan")),
                ("entropy", float("inf")),
                ("rubric", []),
                ("score_probs", [1]),
                ("reward", {}),
                ("step", 1e999),
            )
        ),
    ],
)
def test_what_is_no_log_is_one_line(tmp_path, content, said):
    path = tmp_path / "log.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=rf"log\.jsonl: {said}"):
        load_report(path)


def test_axes_have_the_rubrics_scale_and_captions_its_size(folder_of):
    data = load_report(folder_of(pairs(30)))
    assert data.scale == (1, 5)
    figures = {figure.title: figure for figure in label_figures(data)}
    assert figures["Scores"].plot.x.limits == figures["Length against score"].plot.y.limits == (1, 5)
    assert "1.61 is an even guess between 5 scores" in figures["Entropy"].note


def test_all_scored_needs_no_figure_of_outcomes(folder_of):
    def titles(rows, script=verdict):
        return [figure.title for figure in label_figures(load_report(folder_of(rows, script)))]

    assert "Outcomes" not in titles(pairs(5))


def test_unscored_judgments_are_drawn(folder_of):
    folder = folder_of([*pairs(5), {"prompt": "broken", "chosen": "x", "rejected": "y"}], failing)
    [figure] = [figure for figure in label_figures(load_report(folder)) if figure.title == "Outcomes"]
    assert [(mark.boxes[0].right) for mark in figure.plot.marks] == [10, 2]


def test_a_folder_of_neither_kind_says_what_is_expected(tmp_path):
    (tmp_path / "trainer_state.json").write_text("{}")
    with pytest.raises(InputError, match=r"no manifest\.json and no judgments\.jsonl in it; expected .*log_path="):
        load_report(tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=5, max_size=5))
def test_any_text_of_a_log_makes_a_page(tmp_path, texts_of_record):
    names = ("instruction", "response", "feedback", "rubric", "judge")
    probs = {"1": 0.2, "5": 0.8}
    record = {"step": 0, "row": 0, "outcome": "scored", "score": 5, "expected_score": 4.2, "score_probs": probs}
    record |= {"entropy": 0.5, "reward": 0.8, **dict(zip(names, texts_of_record, strict=True))}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n")
    page = report_page(load_report(tmp_path / "log.jsonl"))
    page.encode("utf-8")
    assert page.count("<script") == page.count("</script>") == 4
    assert table(page)["size"] == 1
    assert texts(page, "response") == [writable(texts_of_record[1])]


def test_several_responses_are_drawn_together(folder_of):
    data = load_report(folder_of([{"prompt": "q", "completions": ["a", "b b", "c c c"]} for _ in range(3)], by_length))
    [figure] = [figure for figure in label_figures(data) if figure.title == "Scores"]
    assert [mark.name for mark in figure.plot.marks] == ["response"]


def test_pairs_without_a_score_are_no_disagreement(folder_of):
    page = report_page(load_report(folder_of([{"prompt": "broken", "chosen": "x", "rejected": "y"}], failing)))
    assert "agree with the given order" not in page
    assert '<strong class="fail">0.0%</strong><span>have a score' in page


def test_unscored_pairs_are_counted_apart(folder_of):
    page = report_page(
        load_report(folder_of([*pairs(5), {"prompt": "broken", "chosen": "x", "rejected": "y"}], failing))
    )
    assert "1 unscored" in page


def test_a_log_whose_writing_was_cut_off_is_read_and_says_so(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(RECORD) + "\n" + json.dumps(RECORD)[:40])
    data = load_report(path)
    assert (data.num_judgments, data.missing) == (1, ["the last line of log.jsonl: its writing was cut off"])


@pytest.mark.parametrize(
    ("steps", "told"), [((0, 0, 1, 2), 0), ((0, 1, 0, 1), 1), ((0, 1, 2, 1, 0), 2), ((None,) * 3, 0)]
)
def test_a_log_of_several_runs_is_named(tmp_path, steps, told):
    path = write_rows(tmp_path / "log.jsonl", [{**RECORD, "step": step} for step in steps])
    missing = load_report(path).missing
    assert len(missing) == told
    if told:
        assert missing[0].startswith("a log for each run: log.jsonl goes on with step ")


@pytest.mark.parametrize(("step", "told"), [(0, 1), (None, 0)])  # calls without a trainer name their responses alike
def test_a_log_that_was_joined_with_itself_is_named(tmp_path, step, told):
    rows = [{**RECORD, "step": step, "row": row} for row in (0, 1)]
    assert load_report(write_rows(tmp_path / "once.jsonl", rows)).missing == []
    missing = load_report(write_rows(tmp_path / "twice.jsonl", rows * 2)).missing
    said = "a log without copies: twice.jsonl has 2 second judgments of a response by the same rubric in the same step"
    assert [one.startswith(said) for one in missing] == [True] * told


def test_a_broken_line_of_a_log_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(RECORD) + "\n{\n")
    with pytest.raises(InputError, match="line 2: "):
        load_report(path)


def test_a_log_of_evaluations_alone_says_so(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({**RECORD, "mode": "eval"}) + "\n")
    with pytest.raises(InputError, match="judgments of evaluations alone"):
        load_report(path)


def test_the_rubrics_of_labels_are_known_with_their_texts(folder_of):
    own = {"name": "own", "criteria": "Is it short?", "scale": [0, 1], "descriptions": {"0": "No.", "1": "Yes."}}
    rows = [{"prompt": "q", "response": "a", "rubric": rubric} for rubric in (own, None)]
    known = load_report(folder_of(rows)).known_rubrics
    assert known == {"own": Rubric.parse(own), "helpfulness": Rubric.parse("helpfulness")}


def test_two_rubrics_of_one_name_are_not_told_apart_and_so_unknown(folder_of):
    own = {"name": "own", "scale": [0, 1], "descriptions": {"0": "No.", "1": "Yes."}}
    rows = [{"prompt": "q", "response": "a", "rubric": {**own, "criteria": text}} for text in ("Short?", "Long?")]
    assert load_report(folder_of(rows)).known_rubrics == {}


def test_a_logs_rubrics_are_the_given_and_the_built_in_ones(log, tmp_path):
    assert load_report(log).known_rubrics == {"helpfulness": Rubric.parse("helpfulness")}
    given = replace(Rubric.parse("helpfulness"), weight=2.0)
    assert load_report(log, rubrics=[given]).known_rubrics == {"helpfulness": given}
    with pytest.raises(InputError, match="no judgment by the rubric 'honesty'; got helpfulness"):
        load_report(log, rubrics="honesty")


def best(prompt):
    return f"All is well. [RESULT] {prompt.labels[-1]}"


@pytest.mark.parametrize(("high", "is_mean"), [(5, True), (3, False)])
def test_scores_of_different_scales_have_no_mean_and_the_figures_say_so(folder_of, high, is_mean):
    levels = {f"score{label}_description": f"Level {label}." for label in range(1, high + 1)}
    rows = [{"prompt": "Q?", "response": f"Answer {at}."} for at in range(4)]
    other = {"name": "short", "criteria": "Is it short?", "scale": [1, high], **levels}
    data = load_report(folder_of(rows, best, rubric=["helpfulness", other]))
    page = report_page(data)
    assert ("mean expected score" in page) is is_mean
    notes = [
        one.note for one in label_figures(data) if one.title in ("Scores", "Scores by rubric", "Length against score")
    ]
    assert notes
    assert all(("The rubrics have different scales: 1 to 3, 1 to 5." in note) is not is_mean for note in notes)
