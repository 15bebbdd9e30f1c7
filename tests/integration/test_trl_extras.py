"""What TRL 1.16 takes beside reward functions: environments that own their reward, and a teacher's context."""

import copy
from importlib import import_module

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM

from prom_reward import PrometheusJudge, PrometheusReward, ScriptedEngine
from prom_reward.rewards.privileged_context import privileged_context
from tests.integration.trainers import COMMON, CONVERSATIONAL, GROUPED, STANDARD, logged_rewards, make

templates = pytest.importorskip("trl.chat_template_utils")
sdft = pytest.importorskip("trl.experimental.sdft")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def judged(prompt):
    """The best score for a response that was sent, the worst for none."""
    return "[RESULT] 5" if "Sent." in prompt.user else "[RESULT] 1"


REWARD = PrometheusReward(PrometheusJudge(ScriptedEngine(judged, confidence=1.0)), "helpfulness", name="helpful")


class Letterbox:
    """An environment that judges the last answer that was sent to it."""

    def reset(self, prompt, **row):
        self.prompt, self.row, self.answer = prompt, row, "Sent."

    def send(self, answer: str) -> str:
        """Send an answer.

        Args:
            answer: The answer.
        """
        self.answer = answer
        return "thanks"

    def get_reward(self):
        return REWARD.reward_one(self.prompt, self.answer, reference_answer=self.row["reference_answer"])


@pytest.mark.full
@pytest.mark.skipif(not hasattr(templates, "qwen2_5_chat_template"), reason="the installed TRL has no environments")
def test_an_environment_owns_its_reward(tiny_judge_folder, small_tokenizer, tmp_path):
    tokenizer = copy.deepcopy(small_tokenizer)
    tokenizer.chat_template = templates.qwen2_5_chat_template  # one that TRL knows to take tools
    rows = [{**row, "reference_answer": "Hello!"} for row in CONVERSATIONAL * 4]
    trl = import_module("trl")
    trainer = trl.GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_judge_folder),
        args=trl.GRPOConfig(**COMMON, **GROUPED, output_dir=str(tmp_path)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        environment_factory=Letterbox,
    )
    trainer.train()
    assert logged_rewards("GRPO", trainer) == pytest.approx([1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("name", ["SDFT", "SDPO"])
def test_a_rubric_is_a_teachers_context(name, tiny_judge_folder, small_tokenizer, tmp_path, monkeypatch):
    context = privileged_context("helpfulness", "Hello!")
    read, seen = type(small_tokenizer).__call__, []

    def record(self, text=None, *args, **settings):
        seen.extend([text] if isinstance(text, str) else text)
        return read(self, text, *args, **settings)

    monkeypatch.setattr(type(small_tokenizer), "__call__", record)
    rows = [{**row, "privileged_context": context} for row in STANDARD * 4]
    if name == "SDPO":
        feedback = {"include_environment_feedback": True, "max_prompt_length": 512}
        trainer = make(name, tiny_judge_folder, small_tokenizer, REWARD, rows, tmp_path, **feedback)
    else:
        trainer = sdft.SDFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(tiny_judge_folder),
            args=sdft.SDFTConfig(**COMMON, **GROUPED, output_dir=str(tmp_path)),
            train_dataset=Dataset.from_list(rows),
            processing_class=small_tokenizer,
        )
    trainer.train()
    assert trainer.state.global_step == 2
    shown = [text for text in seen if context in text]
    assert shown and all(any(row["prompt"] in text for row in STANDARD) for text in shown)
    assert [text for text in seen if context not in text]  # the policy's
