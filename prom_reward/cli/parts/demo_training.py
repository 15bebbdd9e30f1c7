"""The training of `prom-reward demo`: SmolLM2-135M with GRPO on a judge's rewards."""

import tempfile
from collections.abc import Callable
from typing import Any

from rich.table import Table

from prom_reward.cli.parts.console import progress_bar, stdout
from prom_reward.judging.judge import PrometheusJudge

_PROMPTS = (
    "Why is the sky blue?",
    "How do I keep bread fresh?",
    "What is a prime number?",
    "Why do leaves fall in autumn?",
)
_SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "num_generations": 4,
    "max_completion_length": 16,
    "learning_rate": 1e-5,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "bf16": False,
    "gradient_checkpointing": False,
}
Step = dict[str, float]


def train_policy(judge: PrometheusJudge, policy: str, *, steps: int, seed: int, is_shown: bool) -> list[Step]:
    """Train a policy and return each step's mean reward and its spread."""
    import datasets
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    from prom_reward.config import load_policy
    from prom_reward.rewards.reward_function import PrometheusReward

    model, tokenizer = load_policy(policy)
    rows = [{"prompt": [{"role": "user", "content": prompt}]} for prompt in _PROMPTS]
    history: list[Step] = []
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        task = progress.add_task("training", total=steps, visible=is_shown)

        def show(step: Step) -> None:
            history.append(step)
            progress.update(task, advance=1, description=f"training (reward {step['reward']:.3f})")

        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=PrometheusReward(judge, rubric="helpfulness"),
            train_dataset=datasets.Dataset.from_list(rows),
            callbacks=[_step_callback(show)],
            args=GRPOConfig(output_dir=folder, max_steps=steps, seed=seed, **_SETTINGS),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return history


def _step_callback(show: Callable[[Step], None]) -> Any:
    """Return a trainer callback that hands on every step's rewards."""
    from transformers import TrainerCallback

    class _Steps(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        def on_log(self, args: Any, state: Any, control: Any, logs: Step | None = None, **_: Any) -> None:
            if logs and "reward" in logs:
                show({"step": state.global_step, "reward": logs["reward"], "reward_std": logs["reward_std"]})

    return _Steps()


def show_training(history: list[Step]) -> None:
    """Print a training's steps as a table."""
    table = Table(
        title="GRPO: SmolLM2-135M trained on PrometheusReward",
        title_justify="left",
        caption="Each step asks another of the prompts: its reward shows the prompt, hardly the training.",
        caption_justify="left",
    )
    for heading in ("step", "mean reward", "spread"):
        table.add_column(heading, justify="right")
    for row in history:
        table.add_row(f"{row['step']:.0f}", f"{row['reward']:.3f}", f"{row['reward_std']:.3f}")
    stdout.print(table)
