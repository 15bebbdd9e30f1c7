import re

import pytest
from hypothesis import given, strategies as st

from prom_reward import load_judge
from prom_reward.judging.asking.truncation import truncate_middle


def longest_by_trying(response, limit):
    for kept in range(len(response) - 1, -1, -1):
        head, tail = response[: (kept + 1) // 2], response[len(response) - kept // 2 :]
        cut = f"{head}\n[... {len(response) - kept} characters cut ...]\n{tail}"
        if len(cut) <= limit:
            return cut
    return None


@given(st.text(min_size=1, max_size=120), st.integers(0, 140))
def test_it_is_the_longest_cut_that_fits(response, limit):
    assert truncate_middle(response, lambda text: len(text) <= limit) == longest_by_trying(response, limit)


@given(st.text(alphabet="abc \n", min_size=60, max_size=400), st.integers(50, 400))
def test_the_mark_says_how_much_is_missing_and_both_ends_are_kept(response, limit):
    cut = truncate_middle(response, lambda text: len(text) <= limit)
    match = re.fullmatch(r"(?s)(.*)\n\[\.\.\. (\d+) characters cut \.\.\.\]\n(.*)", cut)
    head, missing, tail = match[1], int(match[2]), match[3]
    assert len(head) + missing + len(tail) == len(response)
    assert response.startswith(head)
    assert response.endswith(tail)
    assert len(head) - len(tail) in (0, 1)


def test_an_exact_cut():
    assert truncate_middle("abcdefghij" * 10, lambda text: len(text) <= 40) == (
        "abcdef\n[... 89 characters cut ...]\nfghij"
    )


def test_where_not_even_the_mark_fits_there_is_no_cut():
    assert truncate_middle("abc" * 100, lambda text: False) is None
    assert truncate_middle("", lambda text: False) is None


def test_a_cut_is_found_in_few_tries():
    tries = []
    truncate_middle("x" * 1_000_000, lambda text: tries.append(text) or len(text) <= 12_345)
    assert len(tries) <= 22


@pytest.mark.parametrize(("mode", "longest"), [("score", 1), ("feedback", 12)])
def test_a_cut_response_takes_the_context_that_the_engine_counts(mode, longest, tiny_judge_folder, request_of):
    options = {"mode": mode, "dtype": "float32", "device": "cpu", "sampling": {"max_new_tokens": 12, "temperature": 0}}
    judge = load_judge(tiny_judge_folder, context_length=640, truncate_response="middle", **options)
    request = request_of("word " * 400, reference_answer=None)
    [judgment] = judge.grade([request])
    assert judgment.is_scored and 610 < judgment.num_prompt_tokens < 640

    prompt = judge.grading_prompt(request_of("word " * 20, reference_answer=None))
    tokens = judge.engine.batches.tokens
    shortest = next(limit for limit in range(1, 640) if tokens.fits(prompt, judge.sampling, limit))
    assert all(tokens.fits(prompt, judge.sampling, limit) for limit in range(shortest, 640))
    for limit, fits in ((shortest - longest, False), (shortest - longest + 1, True)):  # without feedback it just fits
        [generation] = judge.engine.batches.answer([prompt], judge.sampling, context_length=limit)
        assert (generation.finish_reason != "too_long") is fits
