"""A judge on the policy that a real trainer trains: no trace in the training, in checkpoints or in a resumed run."""

import json
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM, TrainerCallback
from trl import GRPOTrainer

from prom_reward import GroupReward, PrometheusJudge, PrometheusReward, ScriptedEngine, load_judge
from prom_reward.engines.local.adapter_engine import AdapterEngine
from prom_reward.engines.model.adapter_stamp import weights_digest, write_stamp
from prom_reward.errors import ConfigError
from tests.integration.trainers import CONVERSATIONAL, STANDARD, TRAINERS, logged_rewards, make

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}


@pytest.fixture(scope="module")
def judge_adapter(tiny_judge_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    model = LlamaForCausalLM.from_pretrained(tiny_judge_folder)
    digest = weights_digest(model)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        get_peft_model(model, config).save_pretrained(folder)
    write_stamp(folder, {"base_digest": digest})
    return folder


def reward_of(tiny_judge_folder, judge_adapter, **settings):
    judge = load_judge(str(tiny_judge_folder), adapter=str(judge_adapter), mode="score", dtype="float32", device="cpu")
    return PrometheusReward(judge, "helpfulness", name="helpful", **settings)


class KeepsGradients(TrainerCallback):
    """Keeps every step's gradients."""

    def __init__(self):
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients.append(
            {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
        )


def trained(folder, reward, tokenizer, out, *, share=False, prepare=lambda model: model, lora=LORA, **changes):
    """Train two GRPO steps with LoRA, perhaps with a reward's judge on the policy; return trainer and gradients."""
    kwargs = {"peft_config": LoraConfig(**lora)} if lora else {}
    torch.manual_seed(5)  # TRL 1.12 draws the adapter's weights before it seeds
    policy = prepare(LlamaForCausalLM.from_pretrained(folder))
    trainer = make("GRPO", policy, tokenizer, reward, STANDARD * 4, out, **kwargs, learning_rate=1e-2, **changes)
    if share:
        (reward if share is True else share).share_policy(trainer)
    keeper = KeepsGradients()
    trainer.add_callback(keeper)
    trainer.train()
    return trainer, keeper.gradients


def with_adapter(model):
    """A policy that comes with an adapter, for which TRL makes a `ref` one."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return get_peft_model(model, LoraConfig(**LORA, init_lora_weights=False))


@pytest.mark.parametrize(
    ("changes", "prepare", "lora"),
    [
        ({"gradient_checkpointing": True}, lambda model: model, LORA),
        ({"beta": 0.1}, with_adapter, None),
    ],
    ids=["checkpointing", "ref"],
)
def test_a_run_is_bit_identical_with_the_judge_on_the_policy(
    tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path, changes, prepare, lora
):
    # The rewards are scripted; in the second run the judge scores the same rollouts on the policy, too.
    judged = reward_of(tiny_judge_folder, judge_adapter)
    seen = []

    class Both(PrometheusReward):
        def __call__(self, prompts, completions, **columns):
            seen.append(judged(prompts, completions))
            return super().__call__(prompts, completions, **columns)

    def script(prompt):
        return f"[RESULT] {len(prompt.user) % 5 + 1}"

    runs = []
    for kind in (PrometheusReward, Both):
        trainer, gradients = trained(
            tiny_judge_folder,
            kind(PrometheusJudge(ScriptedEngine(script)), "helpfulness", name="scripted"),
            small_tokenizer,
            tmp_path / kind.__name__,
            share=judged if kind is Both else False,
            prepare=prepare,
            lora=lora,
            **changes,
        )
        states = trainer.optimizer.state_dict()["state"]
        weights = {name: value.detach() for name, value in trainer.model.named_parameters()}
        moments = {f"{at}.{key}": value for at, state in states.items() for key, value in state.items()}
        runs.append([*gradients, weights, moments])
    assert len(seen) == 2 and all(0 < reward < 1 for rewards in seen for reward in rewards)
    assert len(runs[0][-1]) >= 12  # the optimizer has states
    for one, other in zip(*runs, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(torch.as_tensor(one[key]), torch.as_tensor(other[key])) for key in one)
    assert ("ref" in trainer.model.peft_config) == (lora is None)


def test_the_rewards_are_those_of_the_judge_beside_the_policy(
    tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path
):
    log = tmp_path / "log.jsonl"
    reward = reward_of(tiny_judge_folder, judge_adapter, log_path=log)
    trainer, _ = trained(tiny_judge_folder, reward, small_tokenizer, tmp_path / "out", share=True)
    assert isinstance(reward.judge.engine, AdapterEngine)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    beside = reward_of(tiny_judge_folder, judge_adapter)
    again = beside(
        prompts=[record["instruction"] for record in records], completions=[record["response"] for record in records]
    )
    assert len(records) == 8
    assert [record["reward"] for record in records] == pytest.approx(again, abs=1e-4)
    steps = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert sum(steps) / 2 == pytest.approx(sum(again) / 8, abs=1e-4)


def test_checkpoints_and_resumed_runs_never_meet_the_judge(tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 1}
    reward = reward_of(tiny_judge_folder, judge_adapter)
    trained(tiny_judge_folder, reward, small_tokenizer, tmp_path, share=True, **saving)
    checkpoint = tmp_path / "checkpoint-1"
    assert not [path for path in checkpoint.iterdir() if path.is_dir()]
    assert not [path for path in tmp_path.rglob("*") if "judge" in path.name]
    # A resumed run takes the judge from its own folder, which may have changed meanwhile.
    again = reward_of(tiny_judge_folder, judge_adapter)
    policy = LlamaForCausalLM.from_pretrained(tiny_judge_folder)
    resumed = make(
        "GRPO",
        policy,
        small_tokenizer,
        again,
        STANDARD * 4,
        tmp_path / "resumed",
        peft_config=LoraConfig(**LORA),
        **saving,
    )
    again.share_policy(resumed)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.state.global_step == 2
    assert list(resumed.model.peft_config) == ["default"]
    reward.share_policy(resumed)  # a judge moves on to another policy
    assert reward.judge.fingerprint == again.judge.fingerprint
    batch = {"prompts": ["Q"], "completions": ["A"]}
    assert again(**batch) == pytest.approx(reward_of(tiny_judge_folder, judge_adapter)(**batch), abs=1e-4)


@pytest.mark.skipif(not TRAINERS["PPO"].exists, reason="the installed TRL has no PPO; `.ci/run --full` has one")
def test_ppo_has_its_judge_on_the_policy(tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path):
    reward = reward_of(tiny_judge_folder, judge_adapter)
    trainer = make(
        "PPO",
        tiny_judge_folder,
        small_tokenizer,
        reward,
        CONVERSATIONAL * 4,
        tmp_path,
        peft_config=LoraConfig(**LORA),
    )
    reward.share_policy(trainer)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    scores = [entry["objective/scores"] for entry in trainer.state.log_history if "objective/scores" in entry]
    assert len(scores) == 2 and all(0 < score < 1 for score in scores)
    saved = [path.name for path in (tmp_path / "saved").iterdir()]
    assert "adapter_model.safetensors" in saved
    assert not [name for name in saved if "judge" in name or "reward" in name]


def test_a_policy_may_be_given_before_its_trainer_is_made(tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path):
    reward = reward_of(tiny_judge_folder, judge_adapter)
    policy = with_adapter(LlamaForCausalLM.from_pretrained(tiny_judge_folder))
    reward.share_policy(policy)
    trainer = make("GRPO", policy, small_tokenizer, reward, STANDARD * 4, tmp_path, beta=0.1)
    trainer.train()
    assert isinstance(trainer, GRPOTrainer)
    assert list(trainer.model.peft_config) == ["default", "ref"]


def test_a_group_reward_shares_the_policy_and_judges_alike(tiny_judge_folder, judge_adapter, small_tokenizer, tmp_path):
    judge = reward_of(tiny_judge_folder, judge_adapter).judge
    alone, shared = (GroupReward(judge, "helpfulness", topology="circular", name="group") for _ in range(2))
    policy = with_adapter(LlamaForCausalLM.from_pretrained(tiny_judge_folder))
    shared.share_policy(policy)
    batch = {"prompts": ["Hi"] * 3, "completions": ["One.", "Two, and more.", "Three?"]}
    assert shared(**batch) == pytest.approx(alone(**batch), abs=1e-4)
    trainer = make("GRPO", policy, small_tokenizer, shared, STANDARD * 4, tmp_path)
    trainer.train()
    assert len(logged_rewards("GRPO", trainer)) == 2


def test_judges_and_trainers_that_cannot_share_are_refused(tiny_judge_folder, judge_adapter):
    scripted = PrometheusReward(PrometheusJudge(ScriptedEngine(["[RESULT] 3"])), "helpfulness")
    with pytest.raises(ConfigError, match=r"ScriptedEngine.*; expected a judge that runs its weights in this process"):
        scripted.share_policy(SimpleNamespace())
    for state in ({"deepspeed_plugin": SimpleNamespace(zero_stage=3)}, {"fsdp_plugin": object()}):
        trainer = SimpleNamespace(accelerator=SimpleNamespace(state=SimpleNamespace(**state)))
        with pytest.raises(
            ConfigError, match="got a trainer with ZeRO-3 or FSDP; expected whole weights on every rank"
        ):
            reward_of(tiny_judge_folder, judge_adapter).share_policy(trainer)
