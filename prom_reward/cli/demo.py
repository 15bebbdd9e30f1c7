"""`prom-reward demo`: the whole chain on real weights, offline.

A judge grades responses of clearly different quality; then GRPO trains SmolLM2-135M for a few steps on
PrometheusReward, with the same model as judge.
"""

import json
import tempfile
import time
from typing import Annotated, Any

import typer
from rich.table import Table

from prom_reward.cli.console import distribution_bar, progress_bar, quiet_libraries, stderr, stdout
from prom_reward.config import load_judge
from prom_reward.judging.judge import PrometheusJudge
from prom_reward.rubrics.rubric import Rubric
from prom_reward.types import GradingRequest

_JUDGE = "smollm2-135m"
_QUESTION = "Why do we see lightning before we hear its thunder?"
_REFERENCE = (
    "Lightning and thunder start at the same moment, but light reaches us almost at once while sound travels only "
    "about 340 meters a second, so the thunder arrives roughly three seconds later for every kilometer of distance."
)
_RESPONSES = {
    "complete": (
        "Both begin together. Light covers the distance in practically no time, but sound needs about three seconds "
        "for each kilometer, so the flash reaches you first and the thunder follows."
    ),
    "short": "Because light travels much faster than sound.",
    "vague": "It has to do with how storms work and how our senses react to them.",
    "wrong": "Thunder happens several seconds after lightning because the cloud needs time to close again.",
    "off topic": "My favorite pasta is spaghetti with tomatoes and a little basil.",
    "empty": "",
}
_PROMPTS = (
    "Why is the sky blue?",
    "How do I keep bread fresh?",
    "What is a prime number?",
    "Why do leaves fall in autumn?",
)


def demo(
    steps: Annotated[int, typer.Option(min=0, help="GRPO steps to train; 0 grades only.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Grade six responses, then train SmolLM2-135M with GRPO for a few steps, offline on a CPU.

    Example: `prom-reward demo --steps 2`
    """
    quiet_libraries()
    judge = load_judge(_JUDGE)
    rubric = Rubric.parse("factual_validity")
    stderr.print("Loading SmolLM2-135M (the first time this takes half a minute) ...")
    graded = _grade(judge, rubric, shows_table=not as_json)
    trained = _train(judge, steps, seed, shows_progress=not as_json) if steps else []
    if as_json:
        typer.echo(json.dumps({"graded": graded, "trained": trained}))


def _grade(judge: PrometheusJudge, rubric: Rubric, *, shows_table: bool) -> list[dict[str, Any]]:
    from prom_reward.rewards.normalizers import UnitInterval

    requests = [
        GradingRequest(instruction=_QUESTION, response=response, rubric=rubric, reference_answer=_REFERENCE)
        for response in _RESPONSES.values()
    ]
    start = time.perf_counter()
    judgments = judge.grade(requests)
    seconds = time.perf_counter() - start
    rewards = UnitInterval()([judgment.expected_score for judgment in judgments], rubric.scale)
    if shows_table:
        table = Table(title=f"{_QUESTION}  [{rubric.name}, judge {judge.name}]", title_justify="left")
        for heading in ("response", "", "score", "expected", "1-5", "reward"):
            table.add_column(heading, overflow="fold")
        for (name, response), judgment, reward in zip(_RESPONSES.items(), judgments, rewards, strict=True):
            shown = response if len(response) <= 60 else response[:57] + "..."
            expected, paid = ("-" if value is None else f"{value:.2f}" for value in (judgment.expected_score, reward))
            table.add_row(name, shown, str(judgment.score), expected, distribution_bar(judgment.score_probs), paid)
        stdout.print(table)
        stdout.print(f"{len(judgments)} judgments in {seconds:.1f} s.")
        stdout.print(
            "A 135M model judges surface better than truth: read the table for how scores become rewards, not for who "
            "is right.\n"
        )
    return [
        {
            "response": name,
            "score": judgment.score,
            "expected_score": judgment.expected_score,
            "reward": reward,
        }
        for name, judgment, reward in zip(_RESPONSES, judgments, rewards, strict=True)
    ]


def _train(judge: PrometheusJudge, steps: int, seed: int, *, shows_progress: bool) -> list[dict[str, float]]:
    """Train the policy and return each step's reward and its spread."""
    import datasets
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from prom_reward.config import load_policy
    from prom_reward.rewards.reward_function import PrometheusReward

    policy, tokenizer = load_policy(_JUDGE)
    dataset = datasets.Dataset.from_list([{"prompt": [{"role": "user", "content": prompt}]} for prompt in _PROMPTS])
    history: list[dict[str, float]] = []

    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        task = progress.add_task("training", total=steps, visible=shows_progress)

        class _Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
            """Shows every step's reward."""

            def on_log(
                self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
            ) -> None:
                """Keep and show the rewards that the trainer logs."""
                if not logs or "reward" not in logs:
                    return
                history.append({"step": state.global_step, "reward": logs["reward"], "reward_std": logs["reward_std"]})
                progress.update(task, advance=1, description=f"training (reward {logs['reward']:.3f})")

        trainer = GRPOTrainer(
            model=policy,
            processing_class=tokenizer,
            reward_funcs=PrometheusReward(judge, rubric="helpfulness"),
            train_dataset=dataset,
            callbacks=[_Watch()],
            args=GRPOConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=8,
                num_generations=4,
                max_completion_length=32,
                learning_rate=1e-5,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                bf16=False,
                gradient_checkpointing=False,
                seed=seed,
            ),
        )
        from transformers import PrinterCallback

        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if shows_progress:
        table = Table(
            title="GRPO: SmolLM2-135M trained on PrometheusReward, judged by SmolLM2-135M",
            title_justify="left",
        )
        for heading in ("step", "mean reward", "spread"):
            table.add_column(heading, justify="right")
        for row in history:
            table.add_row(f"{row['step']:.0f}", f"{row['reward']:.3f}", f"{row['reward_std']:.3f}")
        stdout.print(table)
    return history
