"""YAML files become runs: gradings, labelings, GRPO runs and judge trainings."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prom_reward.config import load_rubric, model_source
from prom_reward.errors import ConfigError
from prom_reward.files import read_yaml
from prom_reward.settings.composed import composed_config
from prom_reward.settings.resolution import as_mapping, judge_config
from prom_reward.settings.runs import GradingRun, GRPORun, LabelingRun, TrainingRun
from prom_reward.settings.validation import validated

if TYPE_CHECKING:
    from prom_reward.training.judge_training import JudgeTraining


def load_grading_run(path: str | Path) -> GradingRun:
    """Read a grading run from YAML."""
    return validated(GradingRun, as_mapping(read_yaml(path), path), str(path))


def load_labeling_run(path: str | Path) -> LabelingRun:
    """Read a labeling from YAML."""
    return validated(LabelingRun, as_mapping(read_yaml(path), path), str(path))


def load_grpo_run(path: str | Path) -> GRPORun:
    """Read a GRPO run from YAML."""
    return validated(GRPORun, as_mapping(read_yaml(path), path), str(path))


def load_training_run(path: str | Path) -> TrainingRun:
    """Read a judge's training from YAML."""
    return validated(TrainingRun, as_mapping(read_yaml(path), path), str(path))


def load_training(run: TrainingRun, *, out: str | Path, data_dir: str | Path = ".") -> "JudgeTraining":
    """Make a judge's training of its settings; nothing is loaded yet.

    Args:
        run: The settings.
        out: The folder for the adapter and its checkpoints.
        data_dir: The folder of data files; see `prom_reward.training.judge_training.JudgeTraining`.

    Raises:
        ConfigError: A setting is unknown, or there is no data.
        RubricError: A rubric for rows without one cannot be read.
    """
    from prom_reward.training.arguments import AdapterRun
    from prom_reward.training.judge_training import JudgeTraining
    from prom_reward.training.losses import LossWeights

    if not run.data:
        raise ConfigError("got no data to train on; give labeled files")
    if composed := composed_config(run.judge):
        raise ConfigError(f"{composed.name}: got several judges; expected the one to train")
    judge = judge_config(run.judge)
    if judge.url is not None:
        raise ConfigError(f"{judge.url}: got a judge on a server; expected its weights, a folder or a hub id, to train")
    source = replace(model_source(judge), adapter=run.adapter or judge.adapter)
    if source.adapter and run.lora:
        raise ConfigError(f"got the adapter {source.adapter} to go on from, whose rank is given; leave lora out")
    sources = [
        replace(source, rubric=None if source.rubric is None else load_rubric(source.rubric)) for source in run.data
    ]
    return JudgeTraining(
        model=source,
        conversation=judge.conversation,
        prompt_style=judge.prompt_style,
        layouts=run.layouts or {judge.layout: 1.0},
        guard=judge.guard,
        sources=sources,
        data_dir=Path(data_dir),
        run=AdapterRun(
            out=Path(out),
            weights=LossWeights(
                expected_score=run.expected_score_weight,
                feedback=run.feedback_weight,
                ordinal=run.ordinal_weight,
                pairs=run.pairs_weight,
            ),
            **run.model_dump(include={"lora", "trainer", "pack_tokens", "frozen_layers", "patience", "seed"}),
        ),
        **run.model_dump(include={"max_tokens", "validation_share", "max_validation"}),
    )
