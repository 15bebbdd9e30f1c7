from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st

from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.engines.tokens.verdict import find_verdict
from prom_reward.types import TextSpan
from tests.tiny_models import tiny_tokenizer

LABELS = ("1", "2", "3", "4", "5")
PIECES = (
    "Good",
    " [RESULT]",
    "[RES",
    "ULT",
    "]",
    " 4",
    " 4/5",
    "5",
    ".",
    " and",
    "[a]",
    "é",
    "\n",
    "[result] 3",
    " 😀",
)


def judge_tokens(tokenizer):
    conversation = SimpleNamespace(render=lambda prompt: [TextSpan("", is_markup=True)], adds_bos=False, turn_end="")
    return JudgeTokens(tokenizer, conversation)


@pytest.fixture(scope="module", params=["tiny", "smollm2", "mistral v1", "mistral v3"])
def tokens(request):
    names = {
        "smollm2": "smollm2_tokenizer",
        "mistral v1": "mistral_v1_tokenizer",
        "mistral v3": "mistral_v3_tokenizer",
    }
    return judge_tokens(tiny_tokenizer() if request.param == "tiny" else request.getfixturevalue(names[request.param]))


@settings(max_examples=60)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=8))
def test_a_sequence_ends_at_the_first_token_with_which_its_verdict_is_complete(tokens, pieces):
    ids = [id for piece in pieces for id in tokens.tokenizer.encode(piece, add_special_tokens=False)]
    is_done = tokens.stop_test(LABELS)
    for length in range(1, len(ids) + 1):
        verdict = find_verdict(tokens.text(ids[:length]), LABELS)
        assert is_done(ids[:length]) == (verdict is not None and verdict.is_complete)


def test_each_token_is_decoded_once_until_a_marker_can_be_there(monkeypatch):
    tokens = judge_tokens(tiny_tokenizer())
    decoded = []
    monkeypatch.setattr(tokens, "text", lambda ids, text=tokens.text: decoded.append(list(ids)) or text(ids))
    ids = tokens.tokenizer.encode("The answer is good and it is long. " * 9, add_special_tokens=False)
    is_done = tokens.stop_test(LABELS)
    assert not any(is_done(ids[:length]) for length in range(1, len(ids) + 1))
    assert sorted(decoded) == [[token] for token in sorted(set(ids))]
