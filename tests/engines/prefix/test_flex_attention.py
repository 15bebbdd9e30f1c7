import pytest
import torch
import torch.nn.attention.flex_attention as flex_module
from hypothesis import given, settings, strategies as st

from prom_reward import GradingRequest, load_judge
from prom_reward.engines.model.forward import is_close
from prom_reward.engines.prefix import flex_attention
from prom_reward.engines.prefix.plan import plan_prefixes
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.engines.prefix.tree_prefill import TreePrefill
from prom_reward.engines.prefix.visibility import BLOCK_TOKENS, visible
from tests.engines.prefix.test_tree_prefill import TREES, UNLIMITED, VOCABULARY, computed_rows, family, plain_rows
from tests.tiny_models import tiny_model

LONG = [[*range(3, 203)] * 2 + [250 + at] * 70 for at in range(3)]  # prompts of several blocks


@pytest.fixture
def is_uncompiled(monkeypatch):
    """Let FlexAttention run without its compiler, which takes a minute on two cores."""
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    monkeypatch.setattr(flex_attention, "kernel", lambda: flex_module.flex_attention)


def is_seen(trie, query_segment, query_at, key_segment, key_at):
    """Whether one token sees another: it stands in the same segment before it, or in an ancestor."""
    if query_segment == key_segment:
        return key_at <= query_at
    return key_segment in trie.path(query_segment)[:-1]


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(3, 4), min_size=1, max_size=9), min_size=1, max_size=7),
    st.integers(1, 25),
    st.integers(1, 40),
)
def test_the_mask_shows_each_token_its_ancestors_and_itself(prompts, stretch, limit):
    prompts = [[token for token in prompt for _ in range(stretch)] for prompt in prompts]
    trie = plan_prefixes(prompts, token_budget=UNLIMITED, min_shared_tokens=1)
    start = 0
    while start < len(trie.segments):
        end = trie.pass_end(start, limit * stretch)
        runs = trie.runs(start, end)
        earlier = [number for number in range(start) if trie.last_descendants()[number] >= start]
        num_tokens = runs[-1].end + stretch  # some only fill up
        found = visible(trie, runs, earlier, num_tokens, torch.device("cpu"))
        queries = [(run.segment, at) for run in runs for at in range(run.end - run.start)]
        keys = [(number, at) for number in earlier for at in range(trie.segments[number].num_tokens)] + queries
        sees = found.mask.mask_mod
        shape = (num_tokens, len(keys) + stretch)
        dense = sees(0, 0, torch.arange(shape[0])[:, None], torch.arange(shape[1])[None])
        expected = torch.tensor([[is_seen(trie, *query, *key) for key in keys] for query in queries])
        assert torch.equal(dense[: len(queries), : len(keys)], expected)
        assert dense.any(dim=1).all()  # a token that sees nothing would be no number
        check_blocks(found.mask, dense)
        start = end


def check_blocks(mask, dense):
    """No visible pair lies in a block that is left out, no hidden pair in one that is taken whole."""
    taken, whole = torch.zeros_like(dense), torch.zeros_like(dense)
    for counts, numbers, marks in (
        (mask.kv_num_blocks, mask.kv_indices, [taken]),
        (mask.full_kv_num_blocks, mask.full_kv_indices, [taken, whole]),
    ):
        for row, count in enumerate(counts[0, 0].tolist()):
            for column in numbers[0, 0, row, :count].tolist():
                for one in marks:
                    block = [slice(at * BLOCK_TOKENS, (at + 1) * BLOCK_TOKENS) for at in (row, column)]
                    one[tuple(block)] = True
    assert not (dense & ~taken).any()
    assert not (whole & ~dense).any()


@pytest.mark.parametrize("architecture", TREES)
@pytest.mark.parametrize("pass_tokens", [1, 33, UNLIMITED])
def test_any_split_into_passes_gives_the_plain_logits(architecture, pass_tokens, is_uncompiled):
    model, prompts = tiny_model(architecture, VOCABULARY), [*family(size=4), *LONG]
    prefill = TreePrefill(model, pass_tokens=pass_tokens, attention="flex_attention")
    for row, plain in zip(computed_rows(prefill, prompts), plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)


def test_passes_that_are_filled_up_are_as_exact(is_uncompiled):
    model, prompts = tiny_model("llama", VOCABULARY).bfloat16(), family(size=3)
    rows = computed_rows(TreePrefill(model, pass_tokens=40, attention="flex_attention"), prompts)
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        assert is_close(row, plain.float(), torch.bfloat16)


def test_a_judge_that_attends_by_it_gives_the_same_scores_and_feedback(tiny_folder, is_uncompiled, caplog):
    usual, flex = (
        load_judge({"model": str(tiny_folder), "device": "cpu", "attn_implementation": name})
        for name in ("sdpa", "flex_attention")
    )
    for mode in ("score", "feedback"):
        graded = []
        for judge in (usual, flex):
            judge.mode = mode
            requests = [GradingRequest(instruction="Say it.", response=f"Said {at}.", rubric="honesty") for at in "abc"]
            graded.append(judge.grade(requests))
        for one, other in zip(*graded, strict=True):
            assert one.feedback == other.feedback
            assert other.score_probs == pytest.approx(one.score_probs, abs=1e-4)
    assert flex.engine.batches.prefill.attention == "flex_attention"
    assert not caplog.records


@pytest.mark.parametrize("fault", ["no compiler", "wrong"])
def test_a_kernel_that_fails_or_is_wrong_is_not_used_and_the_log_says_why(fault, monkeypatch, caplog):
    def attend(query, key, value, **options):
        if fault == "no compiler":
            raise RuntimeError("no compiler was found\nand more")
        return torch.zeros_like(query)

    monkeypatch.setattr(flex_attention, "kernel", lambda: attend)
    model, prompts = tiny_model("llama", VOCABULARY), family(size=3)
    prefill = SharedPrefill(model, attention="flex_attention")
    with torch.inference_mode():
        rows = [one.logits for one in sorted(prefill.run(prompts), key=lambda one: one.index)]
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        torch.testing.assert_close(row, plain, atol=1e-4, rtol=1e-4)
    assert (prefill.strategy, prefill.attention) == ("tree", "sdpa")
    [record] = [one for one in caplog.records if one.levelname == "WARNING"]
    reason = "RuntimeError: no compiler was found" if fault == "no compiler" else "its logits differ"
    assert record.message.startswith(f"LlamaForCausalLM: flex_attention is not used ({reason}")


def test_a_model_with_sliding_windows_says_that_it_is_not_used(caplog):
    prefill = SharedPrefill(tiny_model("mistral", VOCABULARY), attention="flex_attention")
    assert (prefill.strategy, prefill.attention) == ("cached", "sdpa")
    assert "MistralForCausalLM: flex_attention is not used (not all layers attend to all tokens)" in caplog.messages


@pytest.mark.filterwarnings("ignore")  # of the compiler
@pytest.mark.full
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_compiled_kernel_gives_the_plain_logits(dtype):
    model, prompts = tiny_model("llama", VOCABULARY, head_dim=32).to(dtype), [*family(size=4), *LONG]
    prefill = SharedPrefill(model, attention="flex_attention", pass_tokens=200)
    with torch.inference_mode():
        rows = [one.logits for one in sorted(prefill.run(prompts), key=lambda one: one.index)]
    assert prefill.attention == "flex_attention"
    for row, plain in zip(rows, plain_rows(model, prompts), strict=True):
        assert is_close(row, plain.float(), dtype)
