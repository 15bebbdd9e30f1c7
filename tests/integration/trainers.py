"""Makes every online trainer of the installed TRL around a tiny policy, and reads what it logs of the rewards."""

import importlib
import os
from dataclasses import dataclass

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

STANDARD = [{"prompt": "Say hello."}, {"prompt": "Say goodbye to all of them."}]
CONVERSATIONAL = [
    {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": row["prompt"]}]}
    for row in STANDARD
]
FORMS = {"standard": STANDARD, "conversational": CONVERSATIONAL}
COMMON = {
    "per_device_train_batch_size": 4,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "dataloader_pin_memory": False,
    "seed": 1,
}


@dataclass(frozen=True)
class Kind:
    """A trainer of TRL, and what of it matters to a reward."""

    module: str
    settings: dict
    logged: tuple[str, ...]
    """The log entries whose mean is the mean reward of a step."""
    takes: str = "function"
    """What it takes: a "function", a "model" as reward_funcs, or PPO's "reward_model"."""
    is_async: bool = False
    releases: str = "1.12 and newer"
    unscored: str = ""
    """What an unscored rollout means, for the README's table."""
    num_before: int = 0
    """Judgments before the first step, of eight rows."""

    @property
    def exists(self) -> bool:
        try:
            importlib.import_module(self.module)
        except ImportError:
            return False
        return True


GROUPED = {"max_steps": 2, "num_generations": 2, "max_completion_length": 8}
PAIRED = {"max_steps": 2, "max_new_tokens": 8, "max_length": 96}
OUT_OF_GROUP = "left out of the group: advantage 0"
SMALLEST = "its reward is 0, the scale's lowest by default"
ENDS = "`None` is a TypeError there: give `on_unscored=` a number"
MEAN = "the mean reward of the scored ones in the call"
TRAINERS = {
    "GRPO": Kind("trl", GROUPED, ("reward",), is_async=True, unscored=OUT_OF_GROUP),
    "RLOO": Kind("trl", GROUPED, ("reward",), is_async=True, unscored=OUT_OF_GROUP),
    "GMPO": Kind(
        "trl.experimental.gmpo",
        GROUPED,
        ("reward",),
        is_async=True,
        releases="1.16",
        unscored=OUT_OF_GROUP,
    ),
    "SDPO": Kind(
        "trl.experimental.sdpo",
        GROUPED,
        ("self_distillation/reward_mean",),
        releases="1.16",
        unscored=SMALLEST,
    ),
    "A2PO": Kind(
        "trl.experimental.a2po",
        {"max_steps": 2, "num_value_samples": 2, "max_completion_length": 8, "filter_all_incorrect": False},
        ("reward",),
        releases="1.16",
        unscored=ENDS,
        num_before=16,
    ),
    "OnlineDPO": Kind("trl.experimental.online_dpo", PAIRED, ("objective/scores",), unscored=SMALLEST),
    "PPO": Kind(
        "trl.experimental.ppo",
        {"total_episodes": 8, "response_length": 8, "num_sample_generations": 0, "num_ppo_epochs": 1}
        | {"stop_token": "eos", "num_mini_batches": 1, "local_rollout_forward_batch_size": 2},
        ("objective/scores",),
        takes="reward_model",
        releases="1.12",
        unscored=MEAN,
    ),
    "NashMD": Kind(
        "trl.experimental.nash_md",
        PAIRED,
        ("rewards/chosen", "rewards/rejected"),
        takes="model",
        releases="1.12, 1.13",
        unscored=MEAN,
    ),
    "XPO": Kind(
        "trl.experimental.xpo",
        PAIRED,
        ("objective/model_scores", "objective/ref_scores"),
        takes="model",
        releases="1.12, 1.13",
        unscored=MEAN,
    ),
}


def make(name, model, tokenizer, reward, rows, folder, *, peft_config=None, **changes):
    """Make a trainer around a policy, given as a folder or as a model; `reward` is a reward, or its async form."""
    kind = TRAINERS[name]
    module = importlib.import_module(kind.module)
    args = getattr(module, f"{name}Config")(**{**COMMON, **kind.settings, "output_dir": str(folder), **changes})
    policy = AutoModelForCausalLM.from_pretrained(model) if not hasattr(model, "forward") else model
    given = {"args": args, "processing_class": tokenizer, "train_dataset": Dataset.from_list(rows), "model": policy}
    given |= {"peft_config": peft_config} if peft_config is not None else {}
    if kind.takes == "function":
        given["reward_funcs"] = reward
    else:
        reward_model = reward.as_reward_model(tokenizer)
        given["data_collator"] = reward_model.data_collator
        given["reward_model" if kind.takes == "reward_model" else "reward_funcs"] = reward_model
    if name == "PPO":
        source = model if not hasattr(model, "forward") else policy.name_or_path
        value_model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
        given |= {"value_model": value_model, "ref_model": None}
    if name in ("NashMD", "XPO"):
        given["ref_model"] = AutoModelForCausalLM.from_pretrained(policy.name_or_path)
    return getattr(module, f"{name}Trainer")(**given)


def logged_rewards(name, trainer) -> list[float]:
    """Return every step's mean reward as the trainer logged it."""
    keys = TRAINERS[name].logged
    return [sum(entry[key] for key in keys) / len(keys) for entry in trainer.state.log_history if keys[0] in entry]


def matrix_table() -> str:
    """Return the README's table of the trainers."""
    shapes = {
        "function": "`reward_funcs=reward`",
        "model": "`reward_funcs=reward.as_reward_model(...)`",
        "reward_model": "`reward_model=reward.as_reward_model(...)`",
    }
    lines = ["| trainer | TRL | what it takes | async | a rollout that could not be scored |", "|---|---|---|---|---|"]
    alike: dict[str, list[str]] = {}
    for name, kind in TRAINERS.items():
        how = "`reward.as_async()`" if kind.is_async else "no"
        alike.setdefault(f"{kind.releases} | {shapes[kind.takes]} | {how} | {kind.unscored}", []).append(name)
    lines += [f"| {', '.join(names)} | {rest} |" for rest, names in alike.items()]
    return "\n".join(lines)
