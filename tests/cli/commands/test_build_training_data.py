import json
import re

from prom_reward.data.rows import read_values
from tests.tiny_wordnet import write_wordnet
from tests.training.construction.test_written import TASK, write


def test_both_sides_are_written_and_counted(run, tmp_path):
    pairs = write(tmp_path / "pairs.jsonl", [{"prompt": "Why?", "chosen": "So.", "rejected": "No."}])
    tasks = write(tmp_path / "tasks.jsonl", [{**TASK, "instruction": f"{number}?"} for number in range(6)])
    out = tmp_path / "out"
    result = run(
        "build-training-data", "--wordnet", write_wordnet(tmp_path), "--tasks", tasks, "--pairs", pairs, "--out", out,
        "--num-questions", 8, "--num-held-out", 4, "--json",
    )  # fmt: skip
    counts = json.loads(result.out)["rows"]
    names = {"facts", "aspects", "criteria", "long", "known", "imitations", "passages"}
    expected = {f"{side}/{name}.jsonl" for side in ("train", "held_out") for name in names}
    assert counts.keys() == expected | {"train/everyday.jsonl", "train/pairs.jsonl"}
    assert all(len(list(read_values(out / name))) == count > 0 for name, count in counts.items())


def test_responses_become_passages(run, tmp_path):
    rows = [{"prompt": f"{number}?", "response": f"Zebra number {number} ran far away."} for number in range(40)]
    texts, out = write(tmp_path / "answers.jsonl", rows), tmp_path / "out"
    result = run(
        "build-training-data", "--wordnet", write_wordnet(tmp_path), "--texts", texts, "--out", out,
        "--num-questions", 20, "--num-held-out", 20,
    )  # fmt: skip
    assert result.status == 0
    zebras = [
        set(re.findall(r"zebra number \d+", (out / f"{side}/passages.jsonl").read_text().casefold()))
        for side in ("train", "held_out")
    ]
    assert zebras[0]
    assert zebras[1]
    assert not zebras[0] & zebras[1]


def test_texts_without_prose_are_refused_and_nothing_is_written(run, tmp_path):
    texts = write(tmp_path / "answers.jsonl", [{"prompt": "Why?", "response": "x = 1"}])
    result = run("build-training-data", "--wordnet", write_wordnet(tmp_path), "--texts", texts, "--out", tmp_path / "o")
    assert result.status == 2
    assert "expected answers in prose" in result.err
    assert not [*(tmp_path / "o").glob("*/*")]


def test_a_missing_wordnet_is_named(run, tmp_path):
    result = run("build-training-data", "--wordnet", tmp_path, "--out", tmp_path / "out")
    assert result.status == 2
    assert "wordnet-base" in result.err


def test_an_earlier_set_is_kept_or_with_force_replaced_whole(run, tmp_path):
    tasks = write(tmp_path / "tasks.jsonl", [{**TASK, "instruction": f"{number}?"} for number in range(6)])
    out = tmp_path / "out"
    command = (
        "build-training-data", "--wordnet", write_wordnet(tmp_path), "--out", out, "--num-questions", 8,
        "--num-held-out", 4,
    )  # fmt: skip
    assert run(*command, "--tasks", tasks).status == 0
    (out / "notes.txt").write_text("mine")
    facts = (out / "train/facts.jsonl").read_bytes()
    again = run(*command, "--seed", 1)
    assert again.status == 2
    assert again.err == (
        f"error: {out}: the folder holds files; give another --out, or --force to overwrite an earlier set\n"
    )
    assert (out / "train/facts.jsonl").read_bytes() == facts
    assert run(*command, "--seed", 1, "--force").status == 0
    assert (out / "train/facts.jsonl").read_bytes() != facts
    assert not (out / "train/everyday.jsonl").exists()
    assert (out / "notes.txt").read_text() == "mine"
