import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import log_softmax, softmax

from prom_reward.training.losses import (
    LossWeights,
    expected_index,
    kept_positions,
    movers_distance,
    order_loss,
    pack_loss,
)
from prom_reward.training.packing import make_pack
from tests.training.tiny_examples import VOCABULARY, example, shared_examples

rows = arrays.arrays(np.float32, 12, elements=st.floats(-8, 8, width=32))


def drawn_logits(num_rows, seed=0):
    return torch.randn(num_rows, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def plain_loss(one, logits, weights):
    """The loss of an example whose logits (T, V) stand behind each of its own tokens."""
    logprobs = log_softmax(logits.double().numpy(), axis=-1)
    labels = softmax(logits[-1, list(one.label_ids)].double().numpy())
    score = -np.dot(one.label_probs, logprobs[-1, list(one.label_ids)])
    error = (np.dot(labels, np.arange(len(labels))) - one.target) ** 2
    written = range(one.prompt_length, len(one.ids))
    words = -np.mean([logprobs[at - 1, one.ids[at]] for at in written]) if written else 0.0
    ordinal = np.sum(np.cumsum(labels / labels.sum() - one.label_probs) ** 2)
    return score + weights.expected_score * error + weights.feedback * words + weights.ordinal * ordinal


@given(rows, st.integers(1, 6))
def test_the_expected_label_is_the_mean_of_the_labels_distribution(row, num_labels):
    label_ids = list(range(4, 4 + num_labels))
    expected = np.dot(softmax(row[label_ids].astype(float)), range(num_labels))
    assert float(expected_index(torch.from_numpy(row), label_ids)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "weights", [LossWeights(), LossWeights(0, 0), LossWeights(expected_score=2.0, feedback=1.5, ordinal=0.7)]
)
def test_a_packs_loss_is_the_sum_of_its_examples(weights):
    examples = shared_examples()
    pack = make_pack(examples)
    logits = drawn_logits(len(pack.ids))
    kept = kept_positions(pack)
    expected = [plain_loss(one, logits[places], weights) for one, places in zip(examples, pack.places, strict=True)]
    assert float(pack_loss(logits[kept], kept, pack, weights)) == pytest.approx(sum(expected), rel=1e-5)


def test_only_the_score_and_what_the_judge_writes_is_read():
    prompt = list(range(10, 30))
    pack = make_pack([example([*prompt, 40, 41, 42], num_written=3), example([*prompt, 50])])
    assert kept_positions(pack) == [19, 20, 21, 22, 23]
    assert kept_positions(make_pack([example(prompt)])) == [19]


def test_the_loss_is_least_at_the_labeled_distribution():
    one = example([5, 6, 7], probs=(0.1, 0.2, 0.7))
    pack = make_pack([one])

    def loss_at(probs):
        logits = torch.full((1, VOCABULARY), -30.0)
        logits[0, list(one.label_ids)] = torch.tensor(probs).log()
        return float(pack_loss(logits, [2], pack, LossWeights()))

    best = loss_at(one.label_probs)
    assert best == pytest.approx(-np.dot(one.label_probs, np.log(one.label_probs)), abs=1e-5)
    assert all(loss_at(other) > best + 0.01 for other in [(0.3, 0.2, 0.5), (0.1, 0.4, 0.5), (0.05, 0.1, 0.85)])


def test_losses_in_bf16_are_computed_in_fp32():
    pack = make_pack(shared_examples())
    kept = kept_positions(pack)
    logits = drawn_logits(len(kept)).bfloat16()
    rough, exact = (pack_loss(rows, kept, pack, LossWeights()) for rows in (logits, logits.float()))
    assert float(rough) == pytest.approx(float(exact), rel=0.02)  # the running total alone is bf16's


def test_the_movers_distance_grows_with_the_distance_of_the_labels():
    targets = torch.tensor([1.0, 0.0, 0.0, 0.0])
    distances = [float(movers_distance(torch.eye(4)[at], targets)) for at in range(4)]
    assert distances == [0.0, 1.0, 2.0, 3.0]


@given(arrays.arrays(np.float32, 5, elements=st.floats(0, 4, width=32)), st.floats(-3, 3))
def test_the_order_loss_sees_differences_alone(expected, shift):
    targets, scores = torch.tensor([0.0, 1.0, 4.0, 4.0, 2.0]), torch.from_numpy(expected)
    assert float(order_loss(scores + shift, targets)) == pytest.approx(float(order_loss(scores, targets)), rel=1e-4)


def test_the_order_loss_is_lower_in_the_right_order_and_nothing_between_equals():
    targets = torch.tensor([0.0, 2.0, 4.0])
    right, wrong = (order_loss(torch.tensor(scores), targets) for scores in ([0.5, 2.0, 3.5], [3.5, 2.0, 0.5]))
    assert float(right) < float(wrong) / 2
    assert float(order_loss(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.3]))) == 0.0


def test_only_answers_to_one_question_are_put_in_order():
    same, apart = (
        make_pack([example([5, 6, 7], probs=(1, 0, 0)), example([5, 6, 8], probs=(0, 0, 1), family=family)])
        for family in (0, 1)
    )
    weights, plain = LossWeights(pairs=1.0), LossWeights()
    for pack, is_ordered in ((same, True), (apart, False)):
        kept = kept_positions(pack)
        logits = drawn_logits(len(kept))
        extra = pack_loss(logits, kept, pack, weights) - pack_loss(logits, kept, pack, plain)
        assert (float(extra) > 0) == is_ordered
