import pickle  # noqa: TID251  it must refuse to travel
import threading

import pytest
import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model

from prom_reward.engines.base import Engine, SamplingParams
from prom_reward.engines.local.adapter_engine import AdapterEngine
from prom_reward.engines.local.batches import Batches
from prom_reward.engines.local.transformers_engine import TransformersEngine
from prom_reward.engines.model.adapter_stamp import weights_digest, write_stamp
from prom_reward.engines.model.loading import LoadedModel, load_model, load_trainable
from prom_reward.engines.model.source import ModelSource
from prom_reward.errors import ConfigError, ModelLoadError, WorkError
from prom_reward.prompts.conversation import ChatTemplateConversation
from prom_reward.types import JudgePrompt

SAMPLING = SamplingParams(max_new_tokens=6, temperature=1, seed=3)
SCORE = [JudgePrompt("You judge.", task, "[RESULT] ") for task in ("Is water wet?", "Name a town.")]
PROMPTS = [*SCORE, JudgePrompt("You judge.", "Sing.")]
JUDGE_TARGETS = ["q_proj", "down_proj"]  # one that the policy's adapter is on, and one that it is not on


def save_adapter(model, folder, **changes):
    config = {"r": 4, "lora_alpha": 16, "target_modules": JUDGE_TARGETS, "init_lora_weights": False}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        adapted = get_peft_model(model, LoraConfig(**{**config, **changes}))
        adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tiny_folder, tmp_path):
    model = load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu")).model
    digest = weights_digest(model)
    folder = save_adapter(model, tmp_path / "judge")
    write_stamp(folder, {"base_digest": digest})
    return folder


def engine_of(folder, adapter=None, **changes):
    source = {"model": str(folder), "adapter": adapter and str(adapter), "dtype": "float32", "device": "cpu"}
    return TransformersEngine(ModelSource(**{**source, **changes}), conversation=ChatTemplateConversation)


def policy_of(folder, *, seed=1, **changes):
    """A trainable LoRA policy whose adapter has a voice of its own, and dropout."""
    model, _ = load_trainable(ModelSource(model=str(folder)))
    config = {"r": 2, "lora_dropout": 0.3, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, LoraConfig(**{**config, **changes}), autocast_adapter_dtype=False)


def state_of(policy):
    """All that training could notice, in comparable form."""
    return {
        "modules": [(path, type(module).__name__, module.training) for path, module in policy.named_modules()],
        "parameters": [(name, id(one), one.requires_grad) for name, one in policy.named_parameters()],
        "active": (policy.active_adapter, policy.base_model.active_adapter, list(policy.peft_config)),
        "layers": [
            (path, layer.active_adapters, layer.disable_adapters)
            for path, layer in policy.named_modules()
            if hasattr(layer, "disable_adapters")
        ],
        "attention": policy.config._attn_implementation,
        "cache": policy.config.use_cache,
    }


def scores(engine):
    return [one.score_logprobs for one in engine.generate(SCORE, SAMPLING)]


def same(left, right, tolerance=1e-4):
    return all(one == pytest.approx(other, abs=tolerance) for one, other in zip(left, right, strict=True))


def test_it_is_an_engine_that_scores_as_the_judge_beside_the_policy(tiny_folder, adapter):
    beside = engine_of(tiny_folder, adapter)
    shared = AdapterEngine(beside, policy_of(tiny_folder))
    assert isinstance(shared, Engine)
    assert same(scores(shared), scores(beside))
    assert not same(scores(shared), scores(engine_of(tiny_folder)), 0.01)
    assert shared.context_length == beside.context_length
    assert shared.count_tokens(PROMPTS[0]) == beside.count_tokens(PROMPTS[0])
    assert shared.identity == f"policy:{beside.identity}"
    assert shared.states(SCORE) == pytest.approx(beside.states(SCORE), abs=1e-3)
    assert shared.states_identity == beside.states_identity != engine_of(tiny_folder).states_identity


def test_the_base_model_itself_judges_with_adapters_disabled(tiny_folder):
    shared = AdapterEngine(engine_of(tiny_folder), policy_of(tiny_folder))
    assert same(scores(shared), scores(engine_of(tiny_folder)))


@pytest.mark.parametrize("with_adapter", [True, False])
def test_scoring_leaves_no_trace_in_the_policy(tiny_folder, adapter, with_adapter):
    policy = policy_of(tiny_folder).train()
    before = state_of(policy)
    shared = AdapterEngine(engine_of(tiny_folder, adapter if with_adapter else None), policy)
    assert state_of(policy) == before
    rng = torch.get_rng_state()
    for around in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with around():
            shared.generate(PROMPTS, SAMPLING)
    assert state_of(policy) == before
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(value.grad is None for value in policy.parameters())


def test_a_failure_while_scoring_leaves_no_trace_either(tiny_folder, adapter, monkeypatch):
    policy = policy_of(tiny_folder).train()
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy)
    before = state_of(policy)
    monkeypatch.setattr(Batches, "answer", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shared.generate(PROMPTS, SAMPLING)
    assert state_of(policy) == before


def test_adapters_that_were_switched_off_or_frozen_stay_so(tiny_folder, adapter):
    policy = policy_of(tiny_folder)
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy)
    alone = scores(shared)
    with policy.disable_adapter():
        before = state_of(policy)
        assert scores(shared) == alone
        assert state_of(policy) == before
    policy.requires_grad_(False)
    scores(shared)
    assert not any(value.requires_grad for value in policy.parameters())


def test_adapters_that_the_policy_gets_later_stay_whole(tiny_folder, adapter):
    policy = policy_of(tiny_folder)
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy)
    alone = scores(shared)
    policy.add_adapter("later", LoraConfig(r=2, target_modules=["down_proj"], init_lora_weights=False))
    policy.set_adapter("later")
    before, logits = state_of(policy), policy(input_ids=batch(policy)).logits
    assert same(scores(shared), alone)
    assert state_of(policy) == before
    assert torch.equal(policy(input_ids=batch(policy)).logits, logits)


def batch(policy):
    return torch.arange(40).reshape(2, 20) % policy.config.vocab_size


def train(folder, engine, *, ref=False, checkpointing=False):
    """Train three steps with generation, perhaps judging between any two things; return all that came of it."""
    torch.manual_seed(11)
    policy = policy_of(folder)
    if ref:  # as TRL makes one for a policy that comes with an adapter
        policy.add_adapter("ref", policy.peft_config["default"])
        for name, value in policy.named_parameters():
            if ".default." in name:
                policy.get_parameter(name.replace(".default.", ".ref.")).data.copy_(value.data)
    if checkpointing:
        policy.gradient_checkpointing_enable({"use_reentrant": False})
        policy.enable_input_require_grads()
    judge = (lambda: AdapterEngine(engine, policy).generate(PROMPTS, SAMPLING)) if engine else (lambda: None)
    judge()
    policy.train()
    optimizer = torch.optim.AdamW([one for one in policy.parameters() if one.requires_grad], lr=1e-2)
    torch.manual_seed(12)
    seen = []
    for _ in range(3):
        judge()
        ids = batch(policy)
        generated = policy.generate(
            input_ids=ids[:, :5], attention_mask=torch.ones_like(ids[:, :5]), do_sample=True, max_new_tokens=5
        )
        judge()
        loss = policy(input_ids=ids, labels=ids).loss
        judge()
        loss.backward()
        judge()
        gradients = {name: value.grad.clone() for name, value in policy.named_parameters() if value.grad is not None}
        optimizer.step()
        optimizer.zero_grad()
        if ref:
            before = policy.active_adapter
            policy.set_adapter("ref")
            seen.append({"ref": policy(input_ids=ids).logits.detach().clone()})
            policy.set_adapter(before)
        seen.append({"generated": generated, "loss": loss.detach(), **gradients})
    states = {
        f"{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }
    weights = {name: value.detach().clone() for name, value in policy.named_parameters()}
    return [*seen, states, weights, {"rng": torch.get_rng_state()}]


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")  # peft's own way
@pytest.mark.parametrize("ref", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("with_adapter", [True, False])
def test_training_is_bit_identical_with_and_without_scoring_in_between(
    tiny_folder, adapter, ref, checkpointing, with_adapter
):
    engine = engine_of(tiny_folder, adapter if with_adapter else None)
    plain = train(tiny_folder, None, ref=ref, checkpointing=checkpointing)
    judged = train(tiny_folder, engine, ref=ref, checkpointing=checkpointing)
    assert len(plain[-3]) > 8  # the optimizer has states
    for one, other in zip(plain, judged, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_gradients_accumulate_across_scoring(tiny_folder, adapter):
    policy = policy_of(tiny_folder, lora_dropout=0.0)
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy)
    policy(input_ids=batch(policy), labels=batch(policy)).loss.backward()
    once = [value.grad.clone() for value in policy.parameters() if value.requires_grad]
    scores(shared)
    policy(input_ids=batch(policy), labels=batch(policy)).loss.backward()
    twice = [value.grad for value in policy.parameters() if value.requires_grad]
    assert len(once) == 8 and all(torch.equal(2 * one, two) for one, two in zip(once, twice, strict=True))


def test_the_judge_loads_no_weights_beside_the_policy_and_leaves_none_in_it(tiny_folder, adapter):
    policy = policy_of(tiny_folder)
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy)
    scores(shared)
    assert shared.beside._batches is None
    assert not any("prom_reward" in name for name in policy.state_dict())


def test_a_checkpoint_leaves_the_judge_out(tiny_folder, adapter, tmp_path):
    policy = policy_of(tiny_folder)
    scores(AdapterEngine(engine_of(tiny_folder, adapter), policy))
    policy.save_pretrained(tmp_path / "checkpoint")
    assert not [path for path in (tmp_path / "checkpoint").iterdir() if path.is_dir()]
    again = PeftModel.from_pretrained(load_trainable(ModelSource(model=str(tiny_folder)))[0], tmp_path / "checkpoint")
    assert list(again.peft_config) == ["default"]


def test_two_judges_share_a_policy_from_several_threads(tiny_folder, adapter):
    policy = policy_of(tiny_folder)
    engines = [AdapterEngine(engine_of(tiny_folder, adapter), policy), AdapterEngine(engine_of(tiny_folder), policy)]
    before, expected = state_of(policy), [scores(engine) for engine in engines]
    found: dict[int, list] = {}
    threads = [threading.Thread(target=lambda at=at: found.__setitem__(at, scores(engines[at % 2]))) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(6)] == expected * 3
    assert state_of(policy) == before


def test_a_policy_that_trains_whole_modules_is_judged_with_the_original_ones(tiny_folder, adapter):
    policy = policy_of(tiny_folder, modules_to_save=["lm_head"]).train()
    with torch.no_grad():
        policy.base_model.model.lm_head.modules_to_save["default"].weight.mul_(2)
    before = state_of(policy)
    assert same(scores(AdapterEngine(engine_of(tiny_folder, adapter), policy)), scores(engine_of(tiny_folder, adapter)))
    assert state_of(policy) == before


def test_weights_are_compared_by_hash_not_by_name(tiny_folder, adapter):
    policy = policy_of(tiny_folder)
    with torch.no_grad():
        policy.get_base_model().model.norm.weight[0] += 1
    for judge in (engine_of(tiny_folder, adapter), engine_of(tiny_folder)):
        with pytest.raises(
            ConfigError, match=r"got a policy on base weights .*, the judge's are .*; expected the same"
        ):
            AdapterEngine(judge, policy)


def test_an_adapter_without_a_stamp_is_compared_by_its_models_own_weights(tiny_folder, adapter):
    (adapter / "prom_reward.json").unlink()
    shared = AdapterEngine(engine_of(tiny_folder, adapter), policy_of(tiny_folder))
    assert same(scores(shared), scores(engine_of(tiny_folder, adapter)))


def test_the_fingerprint_tells_adapters_and_base_apart(tiny_folder, adapter):
    with_adapter = AdapterEngine(engine_of(tiny_folder, adapter), policy_of(tiny_folder))
    base = AdapterEngine(engine_of(tiny_folder), policy_of(tiny_folder))
    assert "\n" not in with_adapter.fingerprint
    assert with_adapter.fingerprint != base.fingerprint
    assert (
        with_adapter.fingerprint == AdapterEngine(engine_of(tiny_folder, adapter), policy_of(tiny_folder)).fingerprint
    )


def test_what_cannot_carry_a_judge_is_refused(tiny_folder, adapter):
    plain = load_trainable(ModelSource(model=str(tiny_folder)))[0]
    prefix = get_peft_model(
        load_trainable(ModelSource(model=str(tiny_folder)))[0],
        PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2),
    )
    for policy in (plain, prefix):
        with pytest.raises(ConfigError, match=f"got {type(policy).__name__} as the policy; expected a peft.PeftModel"):
            AdapterEngine(engine_of(tiny_folder, adapter), policy)
    sharded = policy_of(tiny_folder)
    next(sharded.parameters()).ds_id = 0  # DeepSpeed's mark on a parameter that ZeRO-3 has taken apart
    with pytest.raises(ConfigError, match="got a policy sharded by ZeRO-3 or FSDP; expected whole weights"):
        AdapterEngine(engine_of(tiny_folder, adapter), sharded)


def test_judges_that_cannot_move_in_are_refused(tiny_folder, adapter, tmp_path):
    loaded = load_model(ModelSource(model=str(tiny_folder), dtype="float32", device="cpu"))
    for source in (loaded, ModelSource(model=str(tiny_folder), quantization="int8")):
        engine = TransformersEngine(source, conversation=ChatTemplateConversation)
        with pytest.raises(ConfigError, match=r"loaded or quantized.* load_judge"):
            AdapterEngine(engine, policy_of(tiny_folder))
    whole = save_adapter(loaded.model, tmp_path / "whole", modules_to_save=["lm_head"])
    with pytest.raises(ConfigError, match="changes more than LoRA's matrices; expected a LoRA adapter without bias"):
        AdapterEngine(engine_of(tiny_folder, whole), policy_of(tiny_folder))
    (whole / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"got no adapter_model\.safetensors; expected a LoRA adapter saved by peft"):
        AdapterEngine(engine_of(tiny_folder, whole), policy_of(tiny_folder))
    with pytest.raises(ModelLoadError, match=r"'no/such' .* local folder"):
        AdapterEngine(engine_of(tiny_folder, "no/such"), policy_of(tiny_folder))


def test_an_adapter_of_another_shape_is_refused_and_leaves_no_trace(tiny_folder, adapter):
    import json

    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "r": 3}))
    policy = policy_of(tiny_folder)
    before = state_of(policy)
    with pytest.raises(ModelLoadError, match="does not fit the policy: Error"):
        AdapterEngine(engine_of(tiny_folder, adapter), policy)
    assert state_of(policy) == before


def test_it_does_not_travel(tiny_folder):
    shared = AdapterEngine(engine_of(tiny_folder), policy_of(tiny_folder))
    with pytest.raises(WorkError, match="an engine on a policy's weights cannot be pickled; share the policy in its"):
        pickle.dumps(shared)


def test_a_loaded_model_is_not_needed_for_the_shared_one(tiny_folder, adapter):
    judge = engine_of(tiny_folder, adapter)
    scores(AdapterEngine(judge, policy_of(tiny_folder)))
    assert judge._batches is None  # nothing was loaded beside the policy
    assert isinstance(AdapterEngine(judge, policy_of(tiny_folder))._engine.source, LoadedModel)
