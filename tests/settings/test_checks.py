import subprocess
import sys
from pathlib import Path

import pytest

from prom_reward.errors import ConfigError, MissingPackageError
from prom_reward.settings.checks import check_device, check_weights
from prom_reward.settings.resolution import judge_config

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("adapter", "my-adapter"),
        ("dtype", "float16"),
        ("device", "cuda"),
        ("device_map", "auto"),
        ("quantization", "int8"),
        ("offload", True),
        ("decode_batch_size", 4),
        ("attn_implementation", "flex_attention"),
        ("cuda_graphs", True),
    ],
)
def test_what_a_server_decides_is_refused_beside_a_url(key, value):
    for judge, overrides in (
        (URL, {key: value}),
        ("smollm2-135m", {"url": URL, key: value}),
        ({"url": URL, key: value}, {}),
    ):
        with pytest.raises(ConfigError, match=rf"got {key} and url; a server .* itself"):
            judge_config(judge, **overrides)


def test_a_presets_own_adapter_and_a_tokenizer_go_with_a_url():
    assert judge_config("smollm2-135m", url=URL, dtype="auto", device=None).adapter
    assert judge_config(URL, tokenizer="owner/name").tokenizer == "owner/name"


@pytest.mark.parametrize(
    ("judge", "overrides"),
    [
        ("smollm2-135m", {"num_samples": 3}),
        ({"preset": "smollm2-135m", "num_samples": 3}, {}),
        ({"model": "x", "mode": "feedback"}, {"mode": "score", "num_samples": 2}),
    ],
)
def test_samples_in_score_mode_are_refused(judge, overrides):
    with pytest.raises(ConfigError, match=r"got num_samples=. and mode='score', which samples nothing; expected mode"):
        judge_config(judge, **overrides)


def test_score_mode_may_be_asked_of_a_judge_that_samples_by_its_file():
    judge = {"model": "x", "mode": "feedback", "num_samples": 3}
    assert judge_config(judge, mode="score").mode == "score"


def test_int8_without_its_package_is_refused_before_weights_are_looked_for(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="int8 needs bitsandbytes"):
        check_weights(judge_config("prometheus-7b-v2.0", quantization="int8"))


def test_cuda_graphs_go_with_a_cuda_device():
    with pytest.raises(ConfigError, match="got cuda_graphs on device cpu; expected a CUDA device, or leave"):
        judge_config("smollm2-135m", cuda_graphs=True, device="cpu")
    for device in (None, "cuda:1"):
        assert judge_config("smollm2-135m", cuda_graphs=True, device=device).cuda_graphs


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "cpu "])
def test_a_name_of_no_device_is_refused(name):
    with pytest.raises(ConfigError, match="expected cpu, cuda, mps, xpu or one like cuda:1"):
        check_device(name)


@pytest.mark.parametrize("has_driver", [False, True])
def test_a_gpu_is_refused_if_the_machine_has_no_driver_of_one(monkeypatch, has_driver):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("prom_reward.settings.checks._has_gpu_driver", lambda: has_driver)
    for name in ("cuda", "cuda:1"):
        if has_driver:
            check_device(name)
        else:
            with pytest.raises(ConfigError, match=f"got device='{name}', but this machine has no driver"):
                check_device(name)
    for name in (None, "cpu", "mps"):
        check_device(name)


def test_a_driver_is_known_by_its_device_file_or_its_library(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    opened = []
    monkeypatch.setattr("ctypes.CDLL", opened.append)
    monkeypatch.setattr(Path, "glob", lambda folder, name: iter(["/dev/nvidiactl"] if name == "nvidia*" else []))
    check_device("cuda")
    assert not opened
    monkeypatch.setattr(Path, "glob", lambda folder, name: iter([]))
    check_device("cuda")
    assert opened == ["libcuda.so.1"]


def test_a_folder_without_a_model_is_refused_before_torch_is_imported(tmp_path):
    with pytest.raises(ConfigError, match=r"a folder without config\.json"):
        check_weights(judge_config(str(tmp_path)))
    check_weights(judge_config(str(tmp_path), url=URL))
    code = f"""
import sys
from prom_reward import load_judge
for settings in ({{"model": {str(tmp_path)!r}}}, {{"preset": "smollm2-135m", "adapter": {str(tmp_path)!r}}},
                 {{"preset": "smollm2-135m", "calibration": "nowhere.json"}}):
    try:
        load_judge(settings)
    except Exception as error:
        print(type(error).__name__)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["ConfigError", "ConfigError", "ConfigError", "False"]


def test_a_tokenizer_that_can_only_be_a_folder_must_be_there(tmp_path):
    for missing in ("path/to/tokenizer", "./tokenizer", str(tmp_path / "none")):
        with pytest.raises(ConfigError, match=r"no such folder; expected a folder with a tokenizer, or a hub id$"):
            check_weights(judge_config("prometheus-7b-v2.0", tokenizer=missing))
    for tokenizer in ("gpt2", "owner/name", str(tmp_path)):
        check_weights(judge_config("prometheus-7b-v2.0", tokenizer=tokenizer))
