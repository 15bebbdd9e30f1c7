"""What a YAML file may say: the keys of judges and runs, and the one line about what is wrong with them.

It does not know how a judge is made of its settings.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prom_reward.errors import ConfigError, near_miss
from prom_reward.prompts.guard.detectors import DETECTORS

Model = TypeVar("Model", bound=BaseModel)
ConversationName = Literal["llama-2", "mistral", "tokenizer", "tokenizer-merged"]


class _Strict(BaseModel):
    """A mapping whose keys are all known."""

    # A wrong input may be a key in the wrong place: pydantic's own message would show it.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)


class SamplingConfig(_Strict):
    """The `sampling` of a judge; see `prom_reward.engines.base.SamplingParams`."""

    max_new_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 0.9
    repetition_penalty: float = 1.03
    seed: int | None = None


class ServerConfig(_Strict):
    """The `server` of a judge behind a url; see `prom_reward.engines.server.source.ServerSource`."""

    model: str | None = None
    api: Literal["auto", "completions", "chat"] = "auto"
    api_key_env: str = "PROM_REWARD_API_KEY"
    api_key_file: str | None = None
    max_in_flight: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    request_timeout_s: float = 120.0
    max_retries: int = 6
    batch_deadline_s: float = 3600.0
    outage_after: int = 8
    outage_deadline_s: float = 600.0


class JudgeConfig(_Strict):
    """A judge, as a YAML file or a preset writes it."""

    name: str = "judge"
    """A name for logs and reports."""
    description: str = ""
    """One line for `prom-reward judges`."""
    preset: str | None = None
    """A known judge whose settings this one takes where it says nothing itself."""
    engine: Literal["transformers", "vllm", "openai"] = "transformers"
    """What runs the weights."""
    vllm: dict[str, Any] = {}
    """Further arguments of `vllm.LLM`."""
    url: str | None = None
    """An OpenAI-compatible server that runs them."""
    server: ServerConfig = ServerConfig()
    """How the server at `url` is used."""
    model: str = ""
    """A folder, a hub id, or `package:NAME`; with a `url` it names the tokenizer and may be missing."""
    tokenizer: str | None = None
    """Where the tokenizer is, if not with the model."""
    adapter: str | None = None
    """A LoRA adapter on top."""
    gguf_file: str | None = None
    """The GGUF file inside the model's folder."""
    revision: str | None = None
    """The hub revision."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """What it computes in."""
    device: str | None = None
    """None takes the first GPU, else the CPU."""
    device_map: str | None = None
    """A transformers device map, such as "auto"."""
    quantization: Literal["int8"] | None = None
    """"int8" loads with bitsandbytes."""
    offload: bool = False
    """Keep the weights on the CPU between calls."""
    trust_remote_code: bool = False
    """Run code that comes with the weights."""
    context_length: int | None = Field(default=None, ge=1)
    """Tokens of prompt and answer together; None takes the model's."""
    decode_batch_size: int | None = Field(default=None, ge=1)
    """Feedbacks decoded together; None chooses by device."""
    prompt_style: Literal["prometheus-v1", "prometheus-v2"] = "prometheus-v2"
    """The task texts."""
    layout: Literal["prometheus", "response_last"] = "prometheus"
    """The order of the task text's sections."""
    conversation: ConversationName = "tokenizer"
    """The conversation that the task text stands in."""
    mode: Literal["feedback", "score"] = "feedback"
    """Whether feedback is written before the score."""
    num_samples: int = Field(default=1, ge=1)
    """Feedbacks a request."""
    sampling: SamplingConfig = SamplingConfig()
    """How feedback is written."""
    guard: bool = True
    """Neutralize judge text in responses."""
    on_flag: Literal["log", "lowest", "unscored"] = "log"
    """What becomes of a response that a detector flags."""
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Names of the detectors that look at responses."""
    truncate_response: Literal["middle"] | None = None
    """Whether a response that does not fit is cut."""
    calibration: str | None = None
    """A file of `prom-reward evaluate --fit-calibration` that maps expected scores."""
    cache: str | None = None
    """An SQLite file that keeps judgments, for any number of processes."""
    cache_mb: int = Field(default=1024, ge=1)
    """How large it may become; the oldest judgments go first."""


class RewardConfig(_Strict):
    """The `reward` of a run; see `prom_reward.rewards.reward_function.PrometheusReward`."""

    normalizer: Literal["unit", "centered", "identity"] = "unit"
    score: Literal["expected", "integer"] = "expected"
    on_unscored: Literal["none", "raise"] | float = "none"
    on_unscored_rubric: Literal["unscored", "renormalize"] = "unscored"
    rubric_column: str = "rubric"
    reference_column: str = "reference_answer"
    include_reasoning: bool = False
    log_path: str | None = None
    name: str | None = None


class GradingRun(_Strict):
    """A grading of a file, as `prom-reward grade --config` reads it."""

    judge: str | dict[str, Any] = "smollm2-135m"
    """A preset, a folder, a YAML file, or a judge's settings."""
    rubric: Any = None
    """The rubric of rows without one, in any form of `load_rubric`."""
    input: str
    """A JSONL, CSV or Parquet file, or a folder of `datasets`."""
    out: str | None = None
    """The JSONL file to write; None prints."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to grade at most."""


class LabelingRun(_Strict):
    """A labelling of a data set, as `prom-reward label --config` reads it; see `prom_reward.label`."""

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
    columns: dict[str, str] = {}
    """Columns by role, where they have no known name."""
    reference_answer: str | None = None
    """For rows without one."""
    split: str = "train"
    """Of a hub data set."""
    limit: int | None = Field(default=None, ge=1)
    """Rows to read at most."""
    shard_size: int = Field(default=64, ge=1)
    """Rows of a shard."""


class GRPORun(_Strict):
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
    trainer: dict[str, Any] = {}
    """Arguments of `trl.GRPOConfig`."""


class TrainingDataConfig(_Strict):
    """One file of a judge's training; see `prom_reward.training.data.DataSource`."""

    path: str
    """A file of labelled rows, or of tasks."""
    passes: float = Field(default=1.0, gt=0)
    """How often each row is trained on."""
    feedback: float = Field(default=0.0, ge=0, le=1)
    """The share of rows that are trained to write their feedback."""
    constructed: bool = False
    """The rows are tasks with a reference answer, from which labelled rows are constructed."""
    rubric: Any = None
    """For rows without one, in any form of `load_rubric`."""
    score_column: str | None = None
    """The column of the score, where it has no known name."""
    cluster_column: str | None = None
    """The column of the question, where it has no known name."""

    @model_validator(mode="after")
    def _constructs_its_labels(self) -> Self:
        if self.constructed and (self.feedback or self.score_column):
            raise ConfigError(f"{self.path}: got feedback or score_column with constructed: true; leave them out")
        return self


class TrainingRun(_Strict):
    """A judge's training, as `prom-reward train-judge --config` reads it."""

    judge: str | dict[str, Any] = "smollm2-135m-untuned"
    """The judge to train: a preset, a folder, a YAML file, or a judge's settings."""
    adapter: str | None = None
    """The adapter to go on from; None takes the judge's own, or starts a new one where it has none."""
    data: list[TrainingDataConfig] = []
    """The labelled files."""
    layouts: dict[Literal["prometheus", "response_last"], float] = {}
    """Each layout's share of the examples; empty takes the judge's own."""
    max_tokens: int = Field(default=1500, ge=1)
    """Longer examples are left out."""
    validation_share: float = Field(default=0.12, ge=0, lt=1)
    """The share of questions that are held out."""
    max_validation: int = Field(default=36, ge=1)
    """Validation examples a file at most."""
    pack_tokens: int = Field(default=2048, ge=1)
    """Tokens that are computed at once."""
    expected_score_weight: float = Field(default=0.5, ge=0)
    """Weight of the squared error of the expected score."""
    feedback_weight: float = Field(default=0.3, ge=0)
    """Weight of the feedback's cross-entropy."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without improvement after which training stops."""
    seed: int = 0
    """Of all that is drawn."""
    lora: dict[str, Any] = {}
    """Arguments of `peft.LoraConfig`."""
    trainer: dict[str, Any] = {}
    """Arguments of `transformers.TrainingArguments`."""


def check_engine(config: JudgeConfig, where: str) -> None:
    """Raise ConfigError where settings are given that the judge's engine does not go with."""
    if (config.engine == "openai") != (config.url is not None):
        has = "a" if config.url is not None else "no"
        raise ConfigError(
            f"{where}: got engine={config.engine!r} and {has} url; expected both of engine: openai and url"
        )
    if config.vllm and config.engine != "vllm":
        raise ConfigError(f"{where}: got vllm arguments and engine={config.engine!r}; expected engine: vllm")
    for key in ("quantization", "device_map", "offload", "decode_batch_size"):
        if config.engine == "vllm" and getattr(config, key):
            raise ConfigError(f"{where}: got {key} with engine='vllm'; vLLM does that itself: give it in vllm: {{...}}")
    if config.engine == "vllm" and ":" in (config.device or ""):
        raise ConfigError(
            f"{where}: got device={config.device!r} with engine='vllm'; expected cpu or cuda: vLLM counts its GPUs "
            "itself, name one in CUDA_VISIBLE_DEVICES or vllm: {device_ids: [...]}"
        )


def validated(model: type[Model], settings: Mapping[str, Any], where: str) -> Model:
    """Validate settings; the first thing wrong becomes one line."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(model, error)}") from error


_PARTS: dict[str, type[BaseModel]] = {
    "sampling": SamplingConfig,
    "server": ServerConfig,
    "reward": RewardConfig,
    "data": TrainingDataConfig,
}


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("str", "dict[str,any]")]  # of a union
    *parents, key = place or ["?"]  # a key that is no text has no place
    inside = f" in {'.'.join(parents)!r}" if parents else ""
    fields = _PARTS.get(parents[0] if parents else "", model).model_fields
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{inside}; expected one of {', '.join(fields)}.{near_miss(key, fields)}"
    if first["type"] == "missing":
        return f"missing key {key!r}{inside}; it has no default"
    return f"key {key!r}{inside}: got {first['input']!r:.60}; {first['msg'][0].lower()}{first['msg'][1:]}"
