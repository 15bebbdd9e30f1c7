"""The settings of a judge."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from pydantic import Field, model_validator

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.model.source import DtypeName
from prom_reward.engines.server.source import ApiName, ServerSource
from prom_reward.errors import ConfigError
from prom_reward.judging.asking.prompting import CriterionText, JudgeMode
from prom_reward.judging.flags import OnFlag
from prom_reward.prompts.guard.detectors import DETECTORS
from prom_reward.prompts.prometheus import Layout, LevelOrder, PromptStyle
from prom_reward.settings.validation import Arguments, Strict

ConversationName = Literal["llama-2", "mistral", "tokenizer", "tokenizer-merged"]
EngineName = Literal["transformers", "vllm", "openai"]


class JudgeConfig(Strict):
    """A judge, as a YAML file or a preset writes it."""

    name: str = "judge"
    """A name for logs and reports."""
    description: str = ""
    """One line for `prom-reward judges`."""
    preset: str | None = None
    """A known judge, whose settings hold unless this one says otherwise."""
    engine: EngineName = "transformers"
    """The engine that runs the weights."""
    vllm: Arguments = Field(default_factory=dict)
    """Further arguments of `vllm.LLM`."""
    url: str | None = None
    """An OpenAI-compatible server that runs them."""
    api: ApiName = "auto"
    """The server's API: `server.api` in short; wins over it unless "auto"."""
    server: ServerSource | None = None
    """The settings of the server at `url`, with the keys of ServerSource."""
    model: str = ""
    """A folder, a hub id, or `package:NAME`; with a `url` it names the tokenizer and may be missing."""
    tokenizer: str | None = None
    """The tokenizer's folder or hub id, if not the model's."""
    adapter: str | None = None
    """A LoRA adapter on top."""
    gguf_file: str | None = None
    """The GGUF file inside the model's folder."""
    revision: str | None = None
    """The hub revision."""
    dtype: DtypeName = "auto"
    """The floating-point type of weights and products."""
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
    attn_implementation: Literal["sdpa", "flex_attention"] = "sdpa"
    """The attention of a prefill: torch's own kernels, or one compiled kernel a layer."""
    cuda_graphs: bool = False
    """Decode feedback by CUDA graphs."""
    prompt_style: PromptStyle = "prometheus-v2"
    """The task texts."""
    layout: Layout = "prometheus"
    """The order of the task text's sections."""
    conversation: ConversationName = "tokenizer"
    """The conversation that the task text stands in."""
    chat_template_kwargs: Arguments = Field(default_factory=dict)
    """Further variables of the tokenizer's chat template, such as `enable_thinking: false`."""
    mode: JudgeMode = "feedback"
    """Whether feedback is written before the score."""
    num_samples: int = Field(default=1, ge=1)
    """Number of feedbacks for each request."""
    sampling: SamplingParams = SamplingParams()
    """The sampling of feedback."""
    guard: bool = True
    """Neutralize judge text in responses."""
    on_flag: OnFlag = "log"
    """The rule for a response that a detector flags."""
    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Names of the detectors that look at responses."""
    criterion_text: CriterionText = "rubric"
    """The task text of a checklist's criteria: the judge's own, or a compact one with the criterion last or first."""
    criteria_notes: tuple[str, ...] = ()
    """Sentences to add to a rubric's criteria; the answers under several are averaged, each at its own price."""
    truncate_response: Literal["middle"] | None = None
    """Whether a response that does not fit is cut."""
    level_order: LevelOrder = "worst_first"
    """The order in which a rubric's scores are described; "both" averages the answers, each at its own price."""
    score_temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Over 1 flattens the distributions over a rubric's scores, under 1 sharpens them."""
    calibration: str | None = None
    """A file of `prom-reward evaluate --fit-calibration` that maps expected scores."""
    head: str | None = None
    """A file of `prom-reward tune` that shifts the scores by hidden states; for score mode in this process."""
    cache: str | None = None
    """An SQLite file that keeps judgments, for any number of processes."""
    cache_mb: int = Field(default=1024, ge=1)
    """Its largest size, in MiB; the oldest judgments go first."""
    taught_to_rank: bool = True
    """Whether the judge was trained for pairwise ranking; if not, ranking with it warns."""
    pairs_note: str = ""
    """A measured limit on preference pairs, which exports of pairs warn of."""

    @model_validator(mode="before")
    @classmethod
    def _server_at_url(cls, settings: Any) -> Any:
        """Give the server's settings its URL, which stands beside them in a file."""
        if not isinstance(settings, dict):
            return settings
        url, server = settings.get("url"), settings.get("server")
        api = {"api": settings["api"]} if settings.get("api", "auto") != "auto" else {}
        if url is None and (server or api):
            raise ConfigError("got server settings and no url; expected both, or neither")
        if isinstance(server, ServerSource) and api and server.api != settings["api"]:
            raise ConfigError(f"got api={settings['api']!r} beside server.api={server.api!r}; expected one of them")
        if isinstance(url, str) and (server is None or isinstance(server, Mapping)):
            return {**settings, "server": {**(server or {}), **api, "url": url}}
        return settings


class JudgeOverrides(TypedDict, total=False):
    """The keywords of `load_judge`: JudgeConfig's fields, repeated because no type checker derives them from a model.

    A test holds names and types to JudgeConfig's.
    """

    name: str
    description: str
    preset: str | None
    engine: EngineName
    vllm: dict[str, Any]
    url: str | None
    api: ApiName
    server: ServerSource | Mapping[str, Any]
    model: str
    tokenizer: str | None
    adapter: str | None
    gguf_file: str | None
    revision: str | None
    dtype: DtypeName
    device: str | None
    device_map: str | None
    quantization: Literal["int8"] | None
    offload: bool
    trust_remote_code: bool
    context_length: int | None
    decode_batch_size: int | None
    attn_implementation: Literal["sdpa", "flex_attention"]
    cuda_graphs: bool
    prompt_style: PromptStyle
    layout: Layout
    conversation: ConversationName
    chat_template_kwargs: Mapping[str, Any]
    mode: JudgeMode
    num_samples: int
    sampling: SamplingParams | Mapping[str, Any]
    guard: bool
    on_flag: OnFlag
    detectors: tuple[str, ...]
    criterion_text: CriterionText
    criteria_notes: tuple[str, ...]
    truncate_response: Literal["middle"] | None
    level_order: LevelOrder
    score_temperature: float
    calibration: str | None
    head: str | None
    cache: str | None
    cache_mb: int
    taught_to_rank: bool
    pairs_note: str
