import importlib
import json
import sys
from pathlib import Path

import pytest
import torch.nn.attention.flex_attention as flex_module

from prom_reward.engines.prefix import flex_attention

FOLDER = Path(__file__).parent

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers' generate


@pytest.fixture
def bench_gpu(monkeypatch):
    """The script with little to do, imported as it is when it runs."""
    monkeypatch.delenv("PROM_REWARD_DATA", raising=False)
    monkeypatch.syspath_prepend(str(FOLDER))
    workloads = importlib.import_module("workloads")
    workloads.FEEDBACK_TOKENS, workloads.CONSTRUCTED_CHARS = 8, (40, 80)
    importlib.import_module("roofline")._SECONDS = 0.001
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    monkeypatch.setattr(flex_attention, "kernel", lambda: flex_module.flex_attention)
    script = importlib.import_module("bench_gpu")
    script.NUM_COMPARED = 4
    yield script
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_the_script_for_a_gpu_runs_to_its_end_on_a_cpu(bench_gpu, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py", "--device", "cpu", "--tiny", "--json", str(out)])
    bench_gpu.main()
    written, printed = json.loads(out.read_text()), capsys.readouterr().out
    values = {row["what"]: row["value"] for row in written["rows"]}
    assert all(what in printed for what in values)
    assert written["about"]["texts"] == "constructed"
    assert values["7B, greedy feedback in fp32: equals `generate`"] == "4 of 4"
    assert values["7B, greedy feedback by CUDA graphs in fp32: equals `generate`"] == "4 of 4"
    assert float(values["SmolLM2, feedback by CUDA graphs: tokens a second"]) > 0
    assert float(values["7B, label log-probabilities, fp32: engine from plain"]) < 1e-4
    assert float(values["7B, flex_attention: times as fast as the engine's own"]) > 0
    assert float(values["SmolLM2, GRPO step: ms an item"]) > 0


def test_a_part_without_memory_or_time_is_named(bench_gpu):
    def greedy():
        raise bench_gpu.torch.OutOfMemoryError("too little")

    parts = {"a": greedy, "b": lambda: iter([bench_gpu.Figure("b", "1")])}
    device, now = bench_gpu.torch.device("cpu"), bench_gpu.time.monotonic()
    assert [(one.what, one.value) for one in bench_gpu.run(parts, device, now)] == [("a", "out of memory"), ("b", "1")]
    late = bench_gpu.run(parts, device, now - bench_gpu.LAST_START_S - 1)
    assert [one.value.split(" after")[0] for one in late] == ["left out"] * 2
