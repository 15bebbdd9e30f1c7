import json

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward import PrometheusJudge, PrometheusReward, Rubric, ScriptedEngine
from prom_reward.errors import ConfigError, InputError
from prom_reward.labeling.exports import export_labels
from prom_reward.labeling.labeled_rows import read_labels
from prom_reward.labeling.labeling import label
from prom_reward.labeling.verdicts import logit
from tests.data import layout_rows
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


SEVERAL = [
    {"prompt": "q", "completions": ["s3", "s5", "broken", "s1"]},
    {"prompt": "all the same", "completions": ["s3", "s3"]},
    {"prompt": "none", "completions": ["broken"]},
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


# --- exports are training text ---

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SENTENCE = st.builds("{} {}".format, TEXT, TEXT)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


LAYOUTS = {
    "columns": lambda prompt, one, other: {"prompt": prompt, "chosen": one, "rejected": other},
    "HH-RLHF": lambda prompt, one, other: {
        "chosen": f"\n\nHuman: {prompt}\n\nAssistant: {one}",
        "rejected": f"\n\nHuman: {prompt}\n\nAssistant: {other}",
    },
    "conversations": lambda prompt, one, other: {
        "chosen": [user(prompt), assistant(one)],
        "rejected": [user(prompt), assistant(other)],
    },
    "a prompt beside conversations": lambda prompt, one, other: {
        "prompt": prompt,
        "chosen": [user(prompt), assistant(one)],
        "rejected": [user(prompt), assistant(other)],
    },
    "a prompt of messages": lambda prompt, one, other: {
        "prompt": [{"role": "system", "content": "Be brief."}, user(prompt)],
        "chosen": [assistant(one)],
        "rejected": [assistant(other)],
    },
}


def joined(prompt, response):
    """The text that a trainer sees of a prompt and a response."""
    return prompt + response


def source_text(row, side):
    given = row.get("prompt")
    is_whole = given is None or (isinstance(given, str) and not isinstance(row[side], str))
    return row[side] if is_whole else joined(given, row[side])


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(SENTENCE, SENTENCE, SENTENCE), min_size=1, max_size=4))
def test_prompt_and_response_are_the_sources_text(tmp_path_factory, layout, rows):
    folder = tmp_path_factory.mktemp("exports")
    written = [LAYOUTS[layout](prompt, f"s5{one}", f"s1{other}") for prompt, one, other in rows]
    source = write_rows(folder / "rows.jsonl", written)
    found = label(source, judge=scripted_judge(by_side), out=folder / "out", rubric="helpfulness")
    assert found.num_problems == 0
    export_labels(folder / "out", ["dpo"], on_disagreement="keep")
    exported = read_rows(folder / "out/dpo.jsonl")
    for side in ("chosen", "rejected"):
        assert [joined(row["prompt"], row[side]) for row in exported] == [source_text(row, side) for row in written]


def by_side(prompt):
    response = prompt.user.partition("###Response to evaluate:\n")[2]
    return f"So. [RESULT] {5 if response.startswith('s5') else 1}"


SCALES = [(1, 5), (1, 4), (1, 3), (0, 3), (2, 5), (1, 10), (0, 1)]


def highest_scores():
    return PrometheusJudge(ScriptedEngine(lambda prompt: f"So. [RESULT] {prompt.labels[-1]}", confidence=1.0))


def on_scale(low, high):
    levels = {f"score{score}_description": f"level {score}" for score in range(low, high + 1)}
    return {"criteria": "Is it good?", "scale": [low, high], "weight": 2.0, "name": "good", **levels}


@pytest.mark.parametrize("scale", SCALES)
def test_a_rubric_on_any_scale_comes_through_manifest_and_exports(tmp_path, scale):
    rubric = Rubric.parse(on_scale(*scale))
    source = write_rows(tmp_path / "rows.jsonl", [PAIRS[0]])
    highest = highest_scores()
    label(source, judge=highest, out=tmp_path / "out", rubric=rubric)
    export_labels(tmp_path / "out", ["grpo"])
    [row] = read_rows(tmp_path / "out/grpo.jsonl")
    assert Rubric.parse(row["rubric"]) == (rubric,)
    assert PrometheusReward(highest)(
        prompts=[row["prompt"]], completions=["a"], rubric=[row["rubric"]]
    ) == pytest.approx([2.0])


def test_rubrics_on_many_scales_come_through_a_data_set(tmp_path):
    from datasets import load_dataset

    rows = [{"prompt": f"q{scale}", "completion": "a", "rubric": on_scale(*scale)} for scale in SCALES]
    highest = highest_scores()
    label(write_rows(tmp_path / "rows.jsonl", rows), judge=highest, out=tmp_path / "out")
    [found] = export_labels(tmp_path / "out", ["grpo"])
    loaded = load_dataset("json", data_files=str(found.path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [Rubric.parse(rubric) for rubric in loaded["rubric"]] == [(Rubric.parse(on_scale(*one)),) for one in SCALES]
    rewards = PrometheusReward(highest)(
        prompts=loaded["prompt"], completions=["a"] * len(SCALES), rubric=loaded["rubric"]
    )
    assert rewards == pytest.approx([2.0] * len(SCALES))


# --- warnings ---


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


# --- every public layout ---


def words_of(text):
    """The text of a prompt or a completion, and a check that messages are TRL's."""
    if isinstance(text, str):
        return text
    assert all(message.keys() >= {"role", "content"} and isinstance(message["content"], str) for message in text)
    assert {message["role"] for message in text} <= {"system", "user", "assistant"}
    return "\n".join(message["content"] for message in text)


@pytest.mark.parametrize("layout", layout_rows.LAYOUTS)
def test_every_public_layout_is_exported_as_trl_takes_it(tmp_path, layout):
    row = layout_rows.LAYOUTS[layout]
    source = write_rows(tmp_path / "rows.jsonl", [row])
    judge = scripted_judge(lambda prompt: f"So. [RESULT] {5 if layout_rows.A in prompt.user else 1}")
    found = label(source, judge=judge, out=tmp_path / "out", rubric="helpfulness")
    formats = ["sft", "kto", "grpo", *(["dpo", "reward"] if found.kind != "response" else [])]
    exports = {one.path.stem: read_rows(one.path) for one in export_labels(tmp_path / "out", formats)}
    assert {len(rows) for name, rows in exports.items() if name != "kto"} == {1}
    for rows in exports.values():
        assert all(layout_rows.Q in words_of(row["prompt"]) for row in rows)
        assert all(layout_rows.S in words_of(row["prompt"]) for row in rows if layout_rows.S in source.read_text())
    assert words_of(exports["sft"][0]["completion"]).strip() == layout_rows.A
    if "dpo" in exports:
        [pair] = exports["dpo"]
        assert [words_of(pair[side]).strip() for side in ("chosen", "rejected")] == [layout_rows.A, layout_rows.B]
