import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model import identity
from prom_reward.engines.model.identity import folder_digest, source_identity
from prom_reward.engines.model.source import ModelSource
from prom_reward.engines.vllm_engine import VllmEngine
from prom_reward.prompts.conversation import CONVERSATIONS
from tests.tiny_models import tiny_model, tiny_tokenizer


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "judge")


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def other_weights(folder):
    tiny_model("llama", len(tiny_tokenizer()), seed=1).save_pretrained(folder)


def one_changed_tensor(folder):
    model = tiny_model("llama", len(tiny_tokenizer()))
    model.model.layers[0].self_attn.v_proj.weight.mul_(2)
    model.save_pretrained(folder)


def other_config(folder):
    edit_json(folder / "config.json", rms_norm_eps=0.1)


def other_template(folder):
    (folder / "chat_template.jinja").write_text("{{ messages }}")


def other_tokenizer(folder):
    tiny_tokenizer(joins_space=True).save_pretrained(folder)


def another_adapter(folder):
    (folder / "adapter_config.json").write_text('{"lora_alpha": 64}')


@pytest.mark.parametrize(
    "change",
    [other_weights, one_changed_tensor, other_config, other_template, other_tokenizer, another_adapter],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("kind", [TransformersEngine, VllmEngine])
def test_another_judge_in_the_same_folder_has_another_identity(folder, change, kind):
    def engine():
        return kind(ModelSource(model=str(folder), device="cpu"), conversation=CONVERSATIONS["tokenizer"])

    before = engine().identity
    assert engine().identity == before
    change(folder)
    assert engine().identity != before
    assert engine().fingerprint.startswith(engine().identity)


def test_what_does_not_change_an_answer_is_left_out(folder, tmp_path):
    before = folder_digest(folder)
    (folder / "README.md").write_text("A card.")
    (folder / "trainer_state.json").write_text("{}")
    assert folder_digest(folder) == before
    assert folder_digest(shutil.copytree(folder, tmp_path / "elsewhere")) == before


def test_adapter_and_tokenizer_count(folder, tmp_path):
    adapter, tokenizer = tmp_path / "adapter", tmp_path / "tokenizer"
    adapter.mkdir()
    tiny_tokenizer().save_pretrained(tokenizer)
    (adapter / "adapter_config.json").write_text('{"lora_alpha": 8}')
    source = ModelSource(model=str(folder), adapter=str(adapter), tokenizer=str(tokenizer))
    lines = [source_identity(source)]
    another_adapter(adapter)
    lines.append(source_identity(source))
    other_tokenizer(tokenizer)
    lines.append(source_identity(source))
    assert len(set(lines)) == 3


def test_another_path_to_a_folder_or_a_copy_of_it_is_the_same_judge(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    copy = shutil.copytree(folder, tmp_path / "copy")
    paths = [folder, f"{folder}/", folder.name, f"./{folder.name}/", copy]
    assert len({source_identity(ModelSource(model="owner/name", adapter=str(path))) for path in paths}) == 1
    assert len({source_identity(ModelSource(model=str(path))) for path in paths}) == 1
    plain, adapted = ModelSource(model=str(folder)), ModelSource(model="owner/name", adapter=str(folder))
    assert source_identity(plain) != source_identity(adapted)


def test_a_hub_id_is_its_name():
    assert folder_digest("someone/judge") == ""
    assert source_identity(ModelSource(model="someone/judge", revision="main")).startswith("someone/judge|main|")


def test_a_template_with_the_date_makes_another_judge_of_every_day(folder, monkeypatch):
    def on(day):
        monkeypatch.setattr(identity, "datetime", SimpleNamespace(now=lambda _: day))
        return source_identity(ModelSource(model=str(folder)))

    days = [identity.datetime(2031, 1, number, 12, tzinfo=identity.UTC) for number in (1, 2)]
    assert len({on(day) for day in days}) == 1
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%d %b %Y') }}{{ messages[0].content }}")
    assert len({on(day) for day in days}) == 2


def test_a_gguf_file_is_told_from_others_in_its_folder(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(name.encode() * 10_000)
    assert folder_digest(tmp_path, gguf_file="a.gguf") != folder_digest(tmp_path, gguf_file="b.gguf")


def test_a_large_shard_is_not_read_whole(tmp_path, monkeypatch):
    shard = tmp_path / "model.safetensors"
    with shard.open("wb") as file:
        file.truncate(1 << 33)
    before = folder_digest(tmp_path)
    with shard.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert folder_digest(tmp_path) != before


def test_a_small_tensor_in_a_large_shard_is_seen(tmp_path):
    tensors = {f"layer{number}": torch.zeros(400_000) for number in range(8)}
    found = []
    for bias in (0.0, 1.0):
        save_file({**tensors, "layer3_bias": torch.full((8,), bias)}, tmp_path / "model.safetensors")
        found.append(folder_digest(tmp_path))
    assert found[0] != found[1]
    for header in (b"no header", (9).to_bytes(8, "little") + b"[[[[", (99).to_bytes(8, "little") + b'{"a": {}}'):
        (tmp_path / "model.safetensors").write_bytes(header)
        assert folder_digest(tmp_path)


@pytest.mark.parametrize("at", [0, 100_000, 399_999])
def test_the_middle_and_the_end_of_a_tensor_are_seen(tmp_path, at):
    tensors = {f"layer{number}": torch.zeros(400_000) for number in range(40)}
    found = []
    for value in (0.0, 1.0):
        tensors["layer17"][at] = value
        save_file(tensors, tmp_path / "model.safetensors")
        found.append(folder_digest(tmp_path))
    assert found[0] != found[1]


def test_weights_that_no_digest_reads_are_told_by_their_folder(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.pth").write_text(name)
    one, other = (source_identity(ModelSource(model=str(tmp_path / name))) for name in ("one", "other"))
    assert one != other


def test_a_date_in_a_gguf_files_own_template_makes_another_judge_of_every_day(tmp_path):
    (tmp_path / "judge.gguf").write_bytes(b"GGUF...{{ strftime_now('%d') }}...")
    with_date = source_identity(ModelSource(model=str(tmp_path), gguf_file="judge.gguf"))
    (tmp_path / "judge.gguf").write_bytes(b"GGUF...{{ messages }}...")
    assert "|20" in with_date
    assert "|20" not in source_identity(ModelSource(model=str(tmp_path), gguf_file="judge.gguf"))


def test_a_hub_models_template_with_the_date_counts_once_it_is_in_the_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = ModelSource(model="owner/name")
    before = source_identity(source)
    snapshot = tmp_path / "models--owner--name/snapshots/abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--owner--name/refs").mkdir()
    (tmp_path / "models--owner--name/refs/main").write_text("abc")
    (snapshot / "tokenizer_config.json").write_text('{"chat_template": "plain"}')
    assert source_identity(source) == before
    (snapshot / "tokenizer_config.json").write_text('{"chat_template": "{{ strftime_now(1) }}"}')
    assert source_identity(source) != before
    assert source_identity(ModelSource(model="owner/other")) == before.replace("name", "other")
