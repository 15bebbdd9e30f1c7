import pytest
import torch
from hypothesis import given, strategies as st
from transformers.generation.logits_process import TopPLogitsWarper

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.sampling import BROKEN, draw, nucleus

NOTHING = torch.tensor([], dtype=torch.long)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 700), st.floats(0.01, 0.99), st.floats(0.1, 8), st.integers(0, 100))
def test_the_nucleus_is_that_of_transformers(size, top_p, spread, seed):
    logits = torch.randn(size, generator=generator(seed)) * spread
    probs, tokens = nucleus(logits.softmax(-1), top_p)
    kept = TopPLogitsWarper(top_p)(None, logits[None])[0].isfinite()
    assert set(tokens.tolist()) == set(kept.nonzero().flatten().tolist())
    assert torch.equal(probs, logits.softmax(-1)[tokens])


def test_draws_follow_the_distribution_and_the_seed():
    logits = torch.tensor([0.0, 1.0, 2.0, -3.0])
    sampling = SamplingParams(temperature=0.5, top_p=1, repetition_penalty=1)
    source = generator()
    drawn = torch.tensor([draw(logits, NOTHING, sampling, source) for _ in range(4000)])
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx((logits / 0.5).softmax(-1).tolist(), abs=0.03)
    assert [draw(logits, NOTHING, sampling, generator(3)) for _ in range(2)] * 2 == [
        draw(logits, NOTHING, sampling, generator(3)) for _ in range(4)
    ]


def test_a_penalty_makes_what_was_seen_less_likely_and_leaves_the_logits_alone():
    logits = torch.tensor([3.0, 2.5, -1.0])
    before = logits.clone()
    greedy = {"temperature": 0.0, "repetition_penalty": 1.5}
    assert draw(logits, torch.tensor([0, 2]), SamplingParams(**greedy), generator()) == 1
    assert draw(logits, NOTHING, SamplingParams(**greedy), generator()) == 0
    assert torch.equal(logits, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_broken(bad):
    assert draw(torch.tensor([0.0, bad, 1.0]), NOTHING, SamplingParams(), generator()) == BROKEN
