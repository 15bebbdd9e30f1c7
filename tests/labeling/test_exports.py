import json

import pytest

from prom_reward import CascadeJudge, PanelJudge, PrometheusJudge, ScriptedEngine
from prom_reward.errors import ConfigError, InputError
from prom_reward.labeling.exports import export_labels
from prom_reward.labeling.labeled_rows import read_labels
from prom_reward.labeling.labeling import label
from prom_reward.labeling.verdicts import logit
from tests.labeling.label_inputs import read_rows, scripted_judge, write_rows


def by_number(prompt):
    """The score that a response names: "s5" gets a 5; "broken" fails."""
    response = prompt.user.partition("###Response to evaluate:\n")[2].partition("\n\n###")[0]
    return RuntimeError("down") if "broken" in response else f"It is so. [RESULT] {response[1]}"


PAIRS = [
    {"prompt": "agrees", "chosen": "s5", "rejected": "s2"},
    {"prompt": "disagrees", "chosen": "s1", "rejected": "s4"},
    {"prompt": "tie", "chosen": "s3", "rejected": "s3"},
    {"prompt": "hardly", "chosen": "s4", "rejected": "s3"},
    {"prompt": "unscored", "chosen": "s4", "rejected": "broken"},
]


@pytest.fixture
def exported(tmp_path):
    """Labels rows and exports them; returns what was written and what came of it."""

    def run(rows, trainer, confidence=1.0, **options):
        source = write_rows(tmp_path / "rows.jsonl", rows)
        judge = PrometheusJudge(ScriptedEngine(by_number, confidence=confidence))
        label(source, judge=judge, out=tmp_path / "out", rubric="helpfulness")
        [found] = export_labels(tmp_path / "out", [trainer], **options)
        assert found.path == tmp_path / f"out/{trainer}.jsonl"
        return read_rows(found.path), found

    return run


def test_what_is_dropped_is_counted(exported):
    rows, found = exported(PAIRS, "dpo")
    assert [row["prompt"] for row in rows] == ["agrees", "hardly"]
    assert found.dropped == {"disagreement": 1, "tie": 1, "unscored": 1}
    assert (found.num_written, found.num_swapped) == (2, 0)


def test_a_swapped_pair_has_the_judges_order_and_a_positive_margin(exported):
    rows, found = exported(PAIRS, "reward", on_disagreement="swap")
    swapped = rows[1]
    assert (swapped["prompt"], swapped["chosen"], swapped["rejected"]) == ("disagrees", "s4", "s1")
    assert swapped["margin"] == pytest.approx(logit((1 + 0.75) / 2))
    assert all(row["margin"] > 0 for row in rows)
    assert found.num_swapped == 1


def test_a_kept_pair_keeps_its_order_and_its_negative_margin(exported):
    rows, _ = exported(PAIRS, "reward", on_disagreement="keep")
    assert (rows[1]["chosen"], rows[1]["margin"] < 0) == ("s1", True)


def test_small_margins_are_dropped(exported):
    rows, found = exported(PAIRS, "dpo", min_margin=1.0, on_disagreement="swap")
    assert [row["prompt"] for row in rows] == ["agrees", "disagrees"]
    assert found.dropped["margin"] == 1


def test_unsure_rows_are_dropped(exported):
    _, found = exported(PAIRS[:2], "dpo", confidence=0.5, max_entropy=0.1)
    assert found.dropped == {"entropy": 2}


def test_a_limit_of_entropy_without_entropies_is_warned_of(tmp_path, caplog):
    source = write_rows(tmp_path / "rows.jsonl", PAIRS[:2])
    judge = PrometheusJudge(ScriptedEngine(["Mine. [RESULT] A", "Mine. [RESULT] B"]))
    label(source, judge=judge, out=tmp_path / "out", rubric="helpfulness", method="rank")
    export_labels(tmp_path / "out", "dpo", max_entropy=0.1)
    assert "decided by code, or the judge tells none): 2; max_entropy" in caplog.text
    assert "max_entropy=0.1 drops none of them" in caplog.text


def test_kto_gets_a_row_a_side(exported):
    rows, _ = exported(PAIRS[:1], "kto")
    assert rows == [
        {"prompt": "agrees", "completion": "s5", "label": True},
        {"prompt": "agrees", "completion": "s2", "label": False},
    ]


def test_sft_gets_the_better_side(exported):
    rows, _ = exported(PAIRS[:2], "sft", on_disagreement="swap")
    assert rows == [{"prompt": "agrees", "completion": "s5"}, {"prompt": "disagrees", "completion": "s4"}]


SINGLE = [{"prompt": f"q{at}", "completion": text} for at, text in enumerate(("s5", "s2", "broken"))]


def test_single_responses_are_good_from_the_threshold_on(exported):
    rows, found = exported(SINGLE, "kto")
    assert [(row["completion"], row["label"]) for row in rows] == [("s5", True), ("s2", False)]
    assert found.dropped == {"unscored": 1}
    rows, found = exported(SINGLE, "sft", threshold=0.2)
    assert [row["completion"] for row in rows] == ["s5", "s2"]
    rows, found = exported(SINGLE, "sft")
    assert ([row["completion"] for row in rows], found.dropped) == (["s5"], {"unscored": 1, "threshold": 1})


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.7, 0.3), (0.1, 0.2)])
def test_a_response_at_the_threshold_is_good_whatever_the_rounding(tmp_path, weights):
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": f"q{at}", "completion": f"s{at}"} for at in range(1, 6)])
    rubrics = [
        {"rubric": name, "weight": weight} for name, weight in zip(("helpfulness", "honesty"), weights, strict=True)
    ]
    judge = PrometheusJudge(ScriptedEngine(by_number, confidence=1.0))
    label(source, judge=judge, out=tmp_path / "out", rubric=rubrics)
    for score in range(1, 6):
        [found] = export_labels(tmp_path / "out", ["kto"], threshold=(score - 1) / 4)
        assert [row["label"] for row in read_rows(found.path)] == [at >= score for at in range(1, 6)]


@pytest.mark.parametrize("confidence", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_a_middling_response_is_good_by_default_whatever_the_rounding(exported, confidence):
    rows, _ = exported([{"prompt": "q", "completion": "s3"}], "kto", confidence=confidence)
    assert rows[0]["label"] is True


@pytest.mark.parametrize("confidence", [0.5, 0.7, 1.0])
def test_responses_of_one_score_are_a_tie_whatever_the_rounding(exported, confidence):
    texts = [f"s{score} {which}" for score in range(1, 6) for which in ("one", "two")]
    rows = [{"prompt": text, "completions": [text, f"{text[:2]} again", "s1"]} for text in texts[2:]]
    pairs, found = exported(rows, "reward", confidence=confidence, best_of_n="all")
    assert {(one["chosen"][:2] > one["rejected"][:2]) for one in pairs} == {True}
    assert found.dropped == {"tie": len(rows)}


def test_weighted_scores_that_differ_by_rounding_alone_have_no_best(tmp_path):
    scores = {"a": {"first": 4, "second": 2}, "b": {"first": 1, "second": 4}}  # .45 on [0, 1] by weights of .2 and .3

    def by_rubric(prompt):
        asked = "first" if "Is it first?" in prompt.user else "second"
        response = prompt.user.partition("###Response to evaluate:\n")[2][0]
        return f"It is so. [RESULT] {scores[response][asked]}"

    levels = {f"score{at}_description": f"Level {at}." for at in range(1, 6)}
    rubrics = [
        {"name": name, "criteria": f"Is it {name}?", "weight": weight, **levels}
        for name, weight in (("first", 0.2), ("second", 0.3))
    ]
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "q", "completions": ["a", "b"]}])
    judge = PrometheusJudge(ScriptedEngine(by_rubric, confidence=1.0))
    label(source, judge=judge, out=tmp_path / "out", rubric=rubrics)
    [found] = export_labels(tmp_path / "out", ["reward"])
    assert (found.num_written, found.dropped) == (0, {"tie": 1})


def test_a_margin_and_an_entropy_at_their_limits_are_kept(exported, tmp_path):
    [kept], _ = exported([{"prompt": "q", "chosen": "s5", "rejected": "s2"}], "reward", confidence=0.9)
    [row] = read_rows(tmp_path / "out/labels.jsonl")
    for limits in ({"min_margin": kept["margin"] + 1e-12}, {"max_entropy": row["chosen_entropy"] - 1e-12}):
        [found] = export_labels(tmp_path / "out", ["reward"], **limits)
        assert (found.num_written, found.dropped) == (1, {})


SEVERAL = [
    {"prompt": "q", "completions": ["s3", "s5", "broken", "s1"]},
    {"prompt": "all the same", "completions": ["s3", "s3"]},
    {"prompt": "none", "completions": ["broken", "broken"]},
]


def test_of_several_the_best_meets_the_worst_or_all(exported):
    rows, found = exported(SEVERAL, "reward")
    assert [(row["chosen"], row["rejected"]) for row in rows] == [("s5", "s1")]
    assert found.dropped == {"tie": 1, "unscored": 1}
    rows, found = exported(SEVERAL, "dpo", best_of_n="all")
    assert [(row["chosen"], row["rejected"]) for row in rows] == [("s5", "s3"), ("s5", "s1")]
    assert found.dropped == {"tie": 1, "unscored": 2}
    rows, _ = exported(SEVERAL, "sft", best_of_n="all")
    assert [row["completion"] for row in rows] == ["s5"]


@pytest.mark.parametrize("trainer", ["reward", "dpo", "kto", "sft"])
def test_a_single_response_among_rows_of_several_is_no_tie(exported, trainer):
    rows, found = exported([*SEVERAL[:1], {"prompt": "single", "completions": ["s4"]}], trainer)
    assert len(rows) == (2 if trainer == "kto" else 1)
    assert found.dropped == {"only one response": 1}


def test_grpo_gets_every_prompt_once_with_its_rubrics(exported):
    rows, found = exported([*PAIRS[:1], *PAIRS[:1], {**PAIRS[1], "rubric": ["honesty", "reasoning"]}], "grpo")
    assert [row["prompt"] for row in rows] == ["agrees", "disagrees"]
    assert [[rubric["name"] for rubric in row["rubric"]] for row in rows] == [["helpfulness"], ["honesty", "reasoning"]]
    assert found.dropped == {"repeated prompt": 1}


def test_texts_of_a_conversational_row_are_all_messages(exported):
    user, chosen, rejected = (
        [{"role": role, "content": text}] for role, text in (("user", "Hi?"), ("assistant", "s5"), ("assistant", "s1"))
    )
    [row], _ = exported([{"prompt": "Hi?", "chosen": user + chosen, "rejected": user + rejected}], "dpo")
    assert row == {"prompt": user, "chosen": chosen, "rejected": rejected}


def test_the_best_of_several_is_written_once_for_kto(exported):
    rows, found = exported([{"prompt": "q", "completions": ["s5", "s3", "s2", "s1"]}], "kto", best_of_n="all")
    assert [(row["completion"], row["label"]) for row in rows] == [
        *[("s5", True)],
        *[("s3", False), ("s2", False), ("s1", False)],
    ]
    assert (found.num_written, found.dropped) == (4, {})


def test_several_formats_are_written_at_once(exported, tmp_path):
    exported(PAIRS, "dpo")
    found = [*export_labels(tmp_path / "out", ["reward", "sft"]), *export_labels(tmp_path / "out", "kto")]
    written = [(one.path.name, one.num_written) for one in found]
    assert written == [("reward.jsonl", 2), ("sft.jsonl", 2), ("kto.jsonl", 4)]


def test_a_column_that_had_a_labels_name_is_read_back(exported, tmp_path):
    exported([{"prompt": "q", "completion": "s5", "score": 7, "row": "r"}], "kto")
    [row] = read_labels(tmp_path / "out")
    assert (row.example.prompt, row.example.responses, row.values["input_score"]) == ("q", ("s5",), 7)


@pytest.mark.parametrize("trainer", ["reward", "dpo"])
def test_single_responses_make_no_pairs(exported, trainer):
    with pytest.raises(InputError, match=rf"the export {trainer}; it needs pairs or several responses$"):
        exported(SINGLE, trainer)


def test_an_unknown_trainer_names_its_near_miss(tmp_path):
    with pytest.raises(ConfigError) as error:
        export_labels(tmp_path, ["dpo", "gpro"])
    assert (
        str(error.value) == "unknown export 'gpro'; expected one of reward, dpo, kto, sft, grpo. Did you mean 'grpo'?"
    )


def test_a_folder_without_a_finished_labeling(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.json: not a labeling's manifest \(.*\); give a folder of"):
        export_labels(tmp_path, ["dpo"])
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match=r"not a labeling's manifest"):
        export_labels(tmp_path, ["dpo"])
    source = write_rows(tmp_path / "rows.jsonl", PAIRS)
    label(source, judge=scripted_judge(by_number), out=tmp_path / "out", rubric="helpfulness")
    (tmp_path / "out/labels.jsonl").unlink()
    with pytest.raises(
        InputError, match=r"labels\.jsonl: no such file; the labeling is not finished: run `prom-reward"
    ):
        export_labels(tmp_path / "out", ["dpo"])
    assert json.loads((tmp_path / "out/manifest.json").read_text())["about"]["input"] == "rows.jsonl"


def test_a_judge_with_a_known_limit_on_pairs_warns_once(tmp_path, caplog):
    judge = scripted_judge(by_number)
    judge.pairs_note = "no better than length on pairs (60 % of 221)"
    label(write_rows(tmp_path / "rows.jsonl", PAIRS), judge=judge, out=tmp_path / "out", rubric="helpfulness")
    assert caplog.messages == []
    export_labels(tmp_path / "out", ["grpo"])
    assert caplog.messages == []
    export_labels(tmp_path / "out", ["reward", "dpo"])
    [message] = caplog.messages
    assert "no better than length on pairs (60 % of 221)" in message


def test_a_judge_made_of_others_is_not_said_to_have_its_members_limit(tmp_path, caplog):
    noted, other = scripted_judge(by_number, name="small"), scripted_judge(by_number, name="large")
    noted.pairs_note = "no better than length on pairs (60 % of 221)"
    for judge in (PanelJudge([noted, other]), CascadeJudge(noted, other), CascadeJudge(other, noted)):
        caplog.clear()
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        label(write_rows(tmp_path / "rows.jsonl", PAIRS), judge=judge, out=out, rubric="helpfulness")
        export_labels(out, ["dpo"])
        told = f"the judge {judge.name} is made of small, which alone is no better than length on pairs (60 % of 221)"
        assert [one for one in caplog.messages if "length" in one] == [f"{out}: {told}"]
    assert PanelJudge([other, scripted_judge(by_number, name="third")]).pairs_note == ""


@pytest.mark.parametrize(
    "options",
    [
        {"on_disagreement": "swpa"},
        {"best_of_n": "wrost"},
        {"min_margin": float("nan")},
        {"min_margin": -1},
        {"max_entropy": -0.1},
        {"threshold": 1.5},
    ],
)
def test_an_option_that_is_unknown_or_out_of_range_is_refused(tmp_path, options):
    [name] = options
    with pytest.raises(ConfigError, match=f"got {name}="):
        export_labels(tmp_path, "dpo", **options)
