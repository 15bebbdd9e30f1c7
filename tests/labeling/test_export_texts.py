"""Exports are training text: the source's words in every layout, and rubrics on every scale."""

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward import PrometheusJudge, PrometheusReward, Rubric, ScriptedEngine
from prom_reward.labeling.exports import export_labels
from prom_reward.labeling.labeling import label
from prom_reward.thinking import split_thoughts
from tests.data import layout_rows
from tests.labeling.label_inputs import read_rows, scripted_judge, write_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
# hypothesis draws marks such as <unused95> from the package's source; what is before one would be no answer.
SENTENCE = st.builds("{} {}".format, TEXT, TEXT).filter(lambda text: not split_thoughts(f"s5{text}").thoughts)


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
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}])
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
