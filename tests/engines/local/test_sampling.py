import pytest
import torch
from hypothesis import given, strategies as st
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor, TopPLogitsWarper

from prom_reward.engines.base import SamplingParams
from prom_reward.engines.local.sampling import BROKEN, Sampler, nucleus, penalized, pick

PLAIN = {"top_p": 1, "repetition_penalty": 1}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sampler(seeds, sampling, *, prompts=None, num_steps=1):
    prompts = prompts or [[0]] * len(seeds)
    return Sampler(prompts, seeds, sampling, num_steps=num_steps, device=torch.device("cpu"))


@given(st.integers(1, 700), st.floats(0.01, 0.99), st.floats(0.1, 8), st.integers(0, 100))
def test_the_nucleus_is_that_of_transformers(size, top_p, spread, seed):
    logits = torch.randn(3, size, generator=generator(seed)) * spread
    values, tokens = logits.softmax(-1).sort(descending=True)
    kept = torch.zeros(3, size, dtype=torch.bool).scatter(-1, tokens, nucleus(values, top_p) > 0)
    assert torch.equal(kept, TopPLogitsWarper(top_p)(None, logits).isfinite())


@given(st.integers(1, 40), st.floats(0.5, 2), st.integers(0, 100))
def test_the_penalty_is_that_of_transformers(num_seen, penalty, seed):
    logits = torch.randn(3, 20, generator=generator(seed))
    seen = torch.randint(0, 25, (3, num_seen), generator=generator(seed))  # some that the model cannot write
    assert torch.equal(penalized(logits, seen, penalty), RepetitionPenaltyLogitsProcessor(penalty)(seen, logits))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9).filter(sum), st.floats(0, 1, exclude_max=True))
def test_a_number_picks_the_index_at_which_the_mass_reaches_it(masses, uniform):
    uniform = float(torch.tensor(uniform).clamp_max(1 - 2**-24))
    index = int(pick(torch.tensor([masses]), torch.tensor([uniform]))[0])
    masses = torch.tensor(masses).double()
    assert masses[:index].sum() <= uniform * masses.sum() * (1 + 1e-12)
    assert masses[: index + 1].sum() >= uniform * masses.sum() * (1 - 1e-12)
    assert masses[index] > 0


def test_draws_follow_the_distribution_and_the_seed():
    logits = torch.tensor([0.0, 1.0, 2.0, -3.0]).expand(4000, -1)
    sampling = SamplingParams(temperature=0.5, **PLAIN)
    drawn = sampler(range(4000), sampling).draw(logits)
    shares = torch.bincount(torch.tensor(drawn), minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx((logits[0] / 0.5).softmax(-1).tolist(), abs=0.03)
    assert sampler(range(4000), sampling).draw(logits) == drawn


@given(st.integers(0, 1000), st.sampled_from([0.3, 0.9, 0.9999, 1]), st.sampled_from([0.01, 1, 9]), st.booleans())
def test_a_rows_draws_are_the_same_alone_and_in_a_batch(seed, top_p, spread, is_penalized):
    sampling = SamplingParams(temperature=0.8, top_p=top_p, repetition_penalty=1.3 if is_penalized else 1)
    scale = torch.tensor([spread, 1, 5, 0.01])[:, None]  # flat rows need more candidates than steep ones
    logits = torch.randn(3, 4, 700, generator=generator(seed)) * scale
    prompts, seeds = [[5, 6, 6], [7], [1, 2, 3, 4, 5], [3, 3]], [seed, 1, 2, 3]
    together = sampler(seeds, sampling, prompts=prompts, num_steps=3)
    alone = sampler(seeds[:1], sampling, prompts=prompts[:1], num_steps=3)
    for step in logits:
        drawn = together.draw(step)
        assert alone.draw(step[:1]) == drawn[:1]
        together.add(drawn)
        alone.add(drawn[:1])


def test_a_row_keeps_its_draws_when_others_leave():
    sampling = SamplingParams(temperature=1, **PLAIN)
    logits = torch.randn(2, 3, 50, generator=generator())
    whole, shrinking = sampler([4, 5, 6], sampling, num_steps=2), sampler([4, 5, 6], sampling, num_steps=2)
    assert whole.draw(logits[0]) == shrinking.draw(logits[0])
    shrinking.select([0, 2])
    shrinking.add([1, 1])
    first, _, last = whole.draw(logits[1])
    assert shrinking.draw(logits[1][[0, 2]]) == [first, last]


def test_a_penalty_makes_what_was_seen_less_likely_and_leaves_the_logits_alone():
    logits = torch.tensor([3.0, 2.5, -1.0]).expand(2, -1).clone()
    before = logits.clone()
    one = sampler(
        [0, 0], SamplingParams(temperature=0.0, repetition_penalty=1.5), prompts=[[0, 2, 2], [2]], num_steps=2
    )
    assert one.draw(logits) == [1, 0]
    one.add([1, 0])
    assert one.draw(torch.tensor([[3.0, 2.9, 4.0], [3.0, 2.9, 4.0]])) == [2, 1]
    assert torch.equal(logits, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_no_numbers_are_broken_in_their_row_alone(bad, temperature):
    fine = [0.0, 100.0, 1.0]
    broken = [bad] * 3 if bad == float("-inf") else [0.0, bad, 1.0]
    drawn = sampler([0, 0, 0], SamplingParams(temperature=temperature)).draw(torch.tensor([fine, broken, fine]))
    assert drawn == [1, BROKEN, 1]
