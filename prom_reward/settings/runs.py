"""The settings of gradings, labelings, GRPO runs and judge trainings."""

from typing import Any, Literal

from pydantic import Field

from prom_reward.prompts.prometheus import Layout
from prom_reward.settings.validation import Arguments, Strict
from prom_reward.training.sources import DataSource


class RewardConfig(Strict):
    """The `reward` of a run; see `prom_reward.rewards.reward_function.PrometheusReward`."""

    normalizer: Literal["unit", "centered", "identity"] = "unit"
    score: Literal["expected", "integer"] = "expected"
    on_unscored: Literal["none", "raise"] | float | None = "none"
    on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored"
    rubric_column: str | None = None
    reference_column: str | None = None
    include_reasoning: bool = False
    opens_thoughts: bool = False
    log_path: str | None = None
    name: str | None = None


class GradingRun(Strict):
    """A grading of a file, as `prom-reward grade --config` reads it."""

    judge: str | dict[str, Any] = "smollm2-135m"
    """A preset, a folder, a YAML file, or a judge's settings."""
    rubric: Any = None
    """The rubric of rows without one, in any form of `load_rubric`."""
    input: str | None = None
    """A JSONL, CSV or Parquet file, or a folder of `datasets`."""
    out: str | None = None
    """The JSONL file to write; None prints."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to grade at most."""


class LabelingRun(Strict):
    """A labeling of a data set, as `prom-reward label --config` reads it; see `prom_reward.label`."""

    judge: str | dict[str, Any] = "smollm2-135m"
    """A preset, a folder, a YAML file, or a judge's settings."""
    rubric: Any = None
    """The rubrics of rows without one, in any form of `load_rubric`."""
    input: str | None = None
    """A file, a folder of `datasets`, or a hub id."""
    out: str | None = None
    """The folder for the labels."""
    method: Literal["grade", "rank", "both"] = "grade"
    """Grade every response, rank the sides of pairs in both orders, or both."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns by role, if they have no known name."""
    reference_answer: str | None = None
    """For rows without one."""
    split: str = "train"
    """Of a hub data set."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to read at most."""
    shard_size: int = Field(default=64, ge=1)
    """Rows of a shard."""


class GRPORun(Strict):
    """A GRPO run, as `training_examples/grpo.py --config` reads it."""

    policy: str = "smollm2-135m"
    """A preset, a folder or a hub id."""
    judge: str | dict[str, Any] = "smollm2-135m"
    """A preset, a folder, a YAML file, or a judge's settings."""
    dataset: str
    """A file or folder with `prompt` and, if you like, `rubric` and `reference_answer`."""
    rubric: Any = None
    """The rubric of rows without one."""
    reward: RewardConfig = RewardConfig()
    """Further arguments of `PrometheusReward`."""
    trainer: Arguments = Field(default_factory=dict)
    """Arguments of `trl.GRPOConfig`."""


class TrainingRun(Strict):
    """A judge's training, as `prom-reward train-judge --config` reads it."""

    judge: str | dict[str, Any] = "smollm2-135m-untuned"
    """The judge to train: a preset, a folder, a YAML file, or a judge's settings."""
    adapter: str | None = None
    """The adapter to go on from; None takes the judge's own, or starts a new one."""
    data: list[DataSource] = Field(default_factory=list)
    """The labeled files."""
    layouts: dict[Layout, float] = Field(default_factory=dict)
    """Each layout's share of the examples; empty takes the judge's own."""
    max_tokens: int = Field(default=1500, ge=1)
    """Longer examples are left out."""
    validation_share: float = Field(default=0.12, ge=0, lt=1)
    """The share of questions that are held out."""
    max_validation: int = Field(default=36, ge=1)
    """Validation examples a file at most."""
    pack_tokens: int | None = Field(default=None, ge=1)
    """Tokens that are computed at once; None takes 2048, or fewer if there are few examples."""
    expected_score_weight: float = Field(default=0.5, ge=0)
    """Weight of the squared error of the expected score."""
    feedback_weight: float = Field(default=0.3, ge=0)
    """Weight of the feedback's cross-entropy."""
    ordinal_weight: float = Field(default=0.0, ge=0)
    """Weight of the squared earth mover's distance at the score."""
    pairs_weight: float = Field(default=0.0, ge=0)
    """Weight of the order of answers to one question."""
    frozen_layers: int = Field(default=0, ge=0)
    """So many of the first layers keep the adapter that they have."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without improvement after which training stops."""
    seed: int = 0
    """Of all that is drawn."""
    lora: Arguments = Field(default_factory=dict)
    """Arguments of `peft.LoraConfig`."""
    trainer: Arguments = Field(default_factory=dict)
    """Arguments of `transformers.TrainingArguments`."""
