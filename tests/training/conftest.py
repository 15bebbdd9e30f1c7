"""A judge that is small enough to train in a test."""

from pathlib import Path

import pytest

from tests.tiny_models import tiny_judge


@pytest.fixture(scope="session")
def judge_folder(tmp_path_factory) -> Path:
    """A random Llama with its tokenizer, whose context takes whole judge prompts."""
    judge = tiny_judge("llama")
    judge.model.config.max_position_embeddings = 4096
    folder = tmp_path_factory.mktemp("judge-to-train")
    judge.model.save_pretrained(folder)
    judge.tokenizer.save_pretrained(folder)
    return folder
