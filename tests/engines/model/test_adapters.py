import pytest
import torch
from peft import PeftModel

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.loading import LoadedModel, load_model
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ConfigError
from prom_reward.prompts.conversation import ChatTemplateConversation
from prom_reward.types import JudgePrompt

PROMPTS = [JudgePrompt("You judge.", task, "[RESULT] ") for task in ("Is water wet?", "Name a town.")]


def source_of(folder, adapter, **changes):
    return ModelSource(
        **{"model": str(folder), "adapter": str(adapter), "dtype": "float32", "device": "cpu", **changes}
    )


def scores(loaded):
    engine = TransformersEngine(loaded, conversation=ChatTemplateConversation)
    return [one.score_logprobs for one in engine.generate(PROMPTS, SamplingParams())]


def test_an_adapter_changes_the_scores_as_pefts_own_model_does(tiny_folder, adapter):
    base = load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu"))
    plain = scores(base)
    by_peft = scores(LoadedModel(PeftModel.from_pretrained(base.model, adapter).eval(), base.tokenizer, "float32"))
    adapted = scores(load_model(source_of(tiny_folder, adapter)))
    for own, expected, without in zip(adapted, by_peft, plain, strict=True):
        assert own == pytest.approx(expected, abs=1e-4)
        assert own != pytest.approx(without, abs=0.1)


def test_an_adapter_is_merged_and_frozen(tiny_folder, adapter):
    model = load_model(source_of(tiny_folder, adapter)).model
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert not any(value.requires_grad for value in model.parameters())


def test_an_adapter_on_int8_weights_stays_beside_them(tiny_folder, adapter):
    loaded = load_model(source_of(tiny_folder, adapter, quantization="int8", dtype="auto"))
    assert loaded.dtype == "int8"
    assert any("lora" in name for name, _ in loaded.model.named_parameters())
    assert not any(value.requires_grad for value in loaded.model.parameters())
    for own, expected in zip(scores(loaded), scores(load_model(source_of(tiny_folder, adapter))), strict=True):
        assert own == pytest.approx(expected, abs=1)


def test_an_adapter_that_is_only_a_pickle_is_refused(tiny_folder, adapter):
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")
    with pytest.raises(ConfigError) as caught:
        load_model(source_of(tiny_folder, adapter))
    assert str(caught.value) == (f"{adapter}: got no adapter_model.safetensors; expected a LoRA adapter saved by peft")


def test_an_adapter_that_does_not_exist_is_named(tiny_folder):
    with pytest.raises(ConfigError, match="cannot load '/no/such/adapter': no such folder"):
        load_model(source_of(tiny_folder, "/no/such/adapter"))


def test_a_damaged_adapter_is_named(tiny_folder, adapter):
    (adapter / "adapter_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ConfigError, match=r"cannot load .*adapter': SafetensorError: "):
        load_model(source_of(tiny_folder, adapter))


def test_an_adapter_of_another_model_is_named(tiny_folder, adapter):
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace("q_proj", "c_attn").replace("v_proj", "c_attn"))
    with pytest.raises(ConfigError, match=r"cannot load .*adapter': .*Target modules .*not found in the base model"):
        load_model(source_of(tiny_folder, adapter))


def test_another_adapter_in_the_same_folder_is_another_judge(tiny_folder, adapter):
    def fingerprint():
        return TransformersEngine(source_of(tiny_folder, adapter), conversation=ChatTemplateConversation).fingerprint

    before = fingerprint()
    assert fingerprint() == before
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert fingerprint() != before


def test_an_adapter_of_the_hub_is_fetched_without_pickles(monkeypatch, tiny_folder, tmp_path):
    import huggingface_hub

    asked = {}

    def fetch(name, allow_patterns, **options):
        asked[name] = allow_patterns
        return tmp_path  # the repository holds a pickle alone: nothing is fetched

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    source = ModelSource(model=str(tiny_folder), adapter="someone/adapter", device="cpu", dtype="float32")
    with pytest.raises(ConfigError, match=r"got no adapter_model\.safetensors; expected a LoRA adapter saved by peft$"):
        load_model(source)
    assert asked == {"someone/adapter": ["adapter_config.json", "adapter_model.safetensors", "prom_reward.json"]}
