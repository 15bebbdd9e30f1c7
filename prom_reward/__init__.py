"""Write a rubric, get rewards: Prometheus evaluator LMs as reward functions for TRL.

The public names are loaded when they are first used: `import prom_reward` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prom_reward.auditing.audit import audit as audit
    from prom_reward.auditing.page import audit_page as audit_page
    from prom_reward.config import load_judge as load_judge, load_policy as load_policy, load_rubric as load_rubric
    from prom_reward.data.rows import read_prompts as read_prompts, read_values as read_values
    from prom_reward.engines.base import Engine as Engine, Generation as Generation, SamplingParams as SamplingParams
    from prom_reward.engines.local.transformers_engine import TransformersEngine as TransformersEngine
    from prom_reward.engines.model.loading import LoadedModel as LoadedModel
    from prom_reward.engines.model.source import ModelSource as ModelSource
    from prom_reward.engines.scripted_engine import ScriptedEngine as ScriptedEngine
    from prom_reward.engines.server.openai_engine import OpenAIEngine as OpenAIEngine
    from prom_reward.engines.server.source import ServerSource as ServerSource
    from prom_reward.errors import (
        InputError as InputError,
        PromRewardError as PromRewardError,
        UnscoredError as UnscoredError,
        WorkError as WorkError,
    )
    from prom_reward.evaluation.evaluate import evaluate as evaluate
    from prom_reward.evaluation.page import evaluation_page as evaluation_page
    from prom_reward.judging.base import Judge as Judge
    from prom_reward.judging.cache import JudgmentCache as JudgmentCache
    from prom_reward.judging.composed.cascade import CascadeJudge as CascadeJudge
    from prom_reward.judging.composed.panel import PanelJudge as PanelJudge
    from prom_reward.judging.flags import FlagPolicy as FlagPolicy
    from prom_reward.judging.judge import PrometheusJudge as PrometheusJudge
    from prom_reward.labeling.backends import ProcessBackend as ProcessBackend
    from prom_reward.labeling.exports import export_labels as export_labels
    from prom_reward.labeling.labeling import label as label
    from prom_reward.labeling.ray_backend import RayBackend as RayBackend
    from prom_reward.reports.data import load_report as load_report
    from prom_reward.reports.page import report_page as report_page
    from prom_reward.reports.report import report as report
    from prom_reward.reports.training_folder import BeforeAfter as BeforeAfter, write_before_after as write_before_after
    from prom_reward.rewards.groups.group_reward import GroupReward as GroupReward
    from prom_reward.rewards.groups.ranking import rank_responses as rank_responses
    from prom_reward.rewards.groups.rule import GroupRule as GroupRule
    from prom_reward.rewards.normalizers import FixedStandardization as FixedStandardization
    from prom_reward.rewards.observers.audit_judge import AuditJudge as AuditJudge
    from prom_reward.rewards.observers.canaries import Canaries as Canaries
    from prom_reward.rewards.observers.divergence import DivergenceCallback as DivergenceCallback
    from prom_reward.rewards.observers.observer import Observer as Observer
    from prom_reward.rewards.reward_function import PrometheusReward as PrometheusReward
    from prom_reward.rewards.reward_model import PrometheusRewardModel as PrometheusRewardModel
    from prom_reward.rubrics.checklists.checks import CodeCheck as CodeCheck
    from prom_reward.rubrics.checklists.criterion import Criterion as Criterion
    from prom_reward.runs import load_grpo_run as load_grpo_run
    from prom_reward.settings.runs import GRPORun as GRPORun
    from prom_reward.types import (
        Checklist as Checklist,
        Comparison as Comparison,
        ComparisonRequest as ComparisonRequest,
        GradingRequest as GradingRequest,
        Judgment as Judgment,
        Outcome as Outcome,
        Rubric as Rubric,
        ScoreScale as ScoreScale,
    )

__version__ = "0.1.0"

_HOMES = {
    "AuditJudge": "rewards.observers.audit_judge",
    "BeforeAfter": "reports.training_folder",
    "Canaries": "rewards.observers.canaries",
    "CascadeJudge": "judging.composed.cascade",
    "Checklist": "types",
    "CodeCheck": "rubrics.checklists.checks",
    "Comparison": "types",
    "ComparisonRequest": "types",
    "Criterion": "rubrics.checklists.criterion",
    "DivergenceCallback": "rewards.observers.divergence",
    "Engine": "engines.base",
    "FixedStandardization": "rewards.normalizers",
    "FlagPolicy": "judging.flags",
    "GRPORun": "settings.runs",
    "Generation": "engines.base",
    "GradingRequest": "types",
    "GroupReward": "rewards.groups.group_reward",
    "GroupRule": "rewards.groups.rule",
    "InputError": "errors",
    "Judge": "judging.base",
    "Judgment": "types",
    "JudgmentCache": "judging.cache",
    "LoadedModel": "engines.model.loading",
    "ModelSource": "engines.model.source",
    "Observer": "rewards.observers.observer",
    "OpenAIEngine": "engines.server.openai_engine",
    "Outcome": "types",
    "PanelJudge": "judging.composed.panel",
    "ProcessBackend": "labeling.backends",
    "PromRewardError": "errors",
    "PrometheusJudge": "judging.judge",
    "PrometheusReward": "rewards.reward_function",
    "PrometheusRewardModel": "rewards.reward_model",
    "RayBackend": "labeling.ray_backend",
    "Rubric": "types",
    "SamplingParams": "engines.base",
    "ScoreScale": "types",
    "ScriptedEngine": "engines.scripted_engine",
    "ServerSource": "engines.server.source",
    "TransformersEngine": "engines.local.transformers_engine",
    "UnscoredError": "errors",
    "WorkError": "errors",
    "audit": "auditing.audit",
    "audit_page": "auditing.page",
    "evaluate": "evaluation.evaluate",
    "evaluation_page": "evaluation.page",
    "export_labels": "labeling.exports",
    "label": "labeling.labeling",
    "load_grpo_run": "runs",
    "load_judge": "config",
    "load_policy": "config",
    "load_report": "reports.data",
    "load_rubric": "config",
    "rank_responses": "rewards.groups.ranking",
    "read_prompts": "data.rows",
    "read_values": "data.rows",
    "report": "reports.report",
    "report_page": "reports.page",
    "write_before_after": "reports.training_folder",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"prom_reward.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'prom_reward' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
