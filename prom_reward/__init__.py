"""Write a rubric, get rewards: Prometheus evaluator LMs as reward functions for TRL.

The public names are loaded when they are first used: `import prom_reward` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prom_reward.config import load_judge, load_rubric
    from prom_reward.engines.base import SamplingParams
    from prom_reward.engines.loading import LoadedModel, ModelSource
    from prom_reward.engines.openai_engine import OpenAIEngine
    from prom_reward.engines.scripted_engine import ScriptedEngine
    from prom_reward.engines.server_source import ServerSource
    from prom_reward.engines.transformers_engine import TransformersEngine
    from prom_reward.errors import InputError, PromRewardError, UnscoredError, WorkError
    from prom_reward.judging.cache import JudgmentCache
    from prom_reward.judging.flags import FlagPolicy
    from prom_reward.judging.judge import PrometheusJudge
    from prom_reward.offline.labeling import label
    from prom_reward.rewards.audit_judge import AuditJudge
    from prom_reward.rewards.canaries import Canaries
    from prom_reward.rewards.divergence import DivergenceCallback
    from prom_reward.rewards.normalizers import FixedStandardization
    from prom_reward.rewards.reward_function import PrometheusReward
    from prom_reward.rewards.reward_model import PrometheusRewardModel
    from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, Judgment, Outcome, Rubric, ScoreScale

__version__ = "0.1.0"

_HOMES = {
    "AuditJudge": "rewards.audit_judge",
    "Canaries": "rewards.canaries",
    "Comparison": "types",
    "ComparisonRequest": "types",
    "DivergenceCallback": "rewards.divergence",
    "FixedStandardization": "rewards.normalizers",
    "FlagPolicy": "judging.flags",
    "GradingRequest": "types",
    "InputError": "errors",
    "Judgment": "types",
    "JudgmentCache": "judging.cache",
    "LoadedModel": "engines.loading",
    "ModelSource": "engines.loading",
    "OpenAIEngine": "engines.openai_engine",
    "Outcome": "types",
    "PromRewardError": "errors",
    "PrometheusJudge": "judging.judge",
    "PrometheusReward": "rewards.reward_function",
    "PrometheusRewardModel": "rewards.reward_model",
    "Rubric": "types",
    "SamplingParams": "engines.base",
    "ScoreScale": "types",
    "ScriptedEngine": "engines.scripted_engine",
    "ServerSource": "engines.server_source",
    "TransformersEngine": "engines.transformers_engine",
    "UnscoredError": "errors",
    "WorkError": "errors",
    "label": "offline.labeling",
    "load_judge": "config",
    "load_rubric": "config",
}

__all__ = [
    "AuditJudge",
    "Canaries",
    "Comparison",
    "ComparisonRequest",
    "DivergenceCallback",
    "FixedStandardization",
    "FlagPolicy",
    "GradingRequest",
    "InputError",
    "Judgment",
    "JudgmentCache",
    "LoadedModel",
    "ModelSource",
    "OpenAIEngine",
    "Outcome",
    "PromRewardError",
    "PrometheusJudge",
    "PrometheusReward",
    "PrometheusRewardModel",
    "Rubric",
    "SamplingParams",
    "ScoreScale",
    "ScriptedEngine",
    "ServerSource",
    "TransformersEngine",
    "UnscoredError",
    "WorkError",
    "label",
    "load_judge",
    "load_rubric",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"prom_reward.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'prom_reward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
