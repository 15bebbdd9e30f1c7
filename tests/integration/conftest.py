"""A tiny policy that trainers can really train."""

import pytest
from transformers import LlamaForCausalLM


@pytest.fixture
def tiny_policy(tiny_judge_folder):
    return LlamaForCausalLM.from_pretrained(tiny_judge_folder)
