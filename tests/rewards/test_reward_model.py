import logging
import re

import pytest
import torch

from prom_reward import PrometheusJudge, PrometheusReward, PrometheusRewardModel, Rubric, ScriptedEngine
from prom_reward.errors import ConfigError, RowError, UnscoredError
from prom_reward.prompts import rendered
from prom_reward.rewards.prompt_collator import PromptCollator

WORDS = {"a": "[RESULT] 1", "b": "[RESULT] 2", "c": "[RESULT] 3", "d": "[RESULT] 4", "e": "[RESULT] 5"}


class Letters:
    """A tokenizer of one token a character; "." is EOS, and "_" pads unless EOS does."""

    eos_token_id = ord(".")
    bos_token = None

    def __init__(self, *, pads_with_eos=False, pad="_"):
        self.pad_token_id = ord(".") if pads_with_eos else pad and ord(pad)

    def __call__(self, text, add_special_tokens=True):
        return type("Encoded", (), {"input_ids": [ord(letter) for letter in text]})

    def decode(self, ids, skip_special_tokens):
        text = "".join(map(chr, ids))
        special = rf"<\|\w+\|>|[{chr(self.eos_token_id)}{chr(self.pad_token_id)}]"
        return re.sub(special, "", text) if skip_special_tokens else text

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt, continue_final_message):
        assert not tokenize and add_generation_prompt != continue_final_message
        text = "".join(f"{message['role'][0]}:{message['content']};" for message in messages)
        return text + "a:" if add_generation_prompt else text.removesuffix(";")


def parts(prompt):
    """The instruction, the response and the reference answer of a judge's prompt."""
    text = prompt.user.partition("###The instruction to evaluate:\n")[2]
    instruction, _, rest = text.partition("\n\n###Response to evaluate:\n")
    reference = rest.partition("###Reference Answer (Score 5):\n")[2].partition("\n\n###")[0]
    return instruction, rest.partition("\n\n###")[0], reference


def by_first_letter(prompt):
    return WORDS.get(parts(prompt)[1][:1], "no verdict")


def model_of(tokenizer, script=by_first_letter, *, on_unscored="mean", **settings):
    engine = ScriptedEngine(script, confidence=1.0)
    reward = PrometheusReward(PrometheusJudge(engine), "helpfulness", name="helpful", **settings)
    return reward.as_reward_model(tokenizer, on_unscored=on_unscored), engine


def trl_reward(model, query_responses, pad_token_id, context_length):
    """TRL's `get_reward`, line by line (trl/experimental/utils.py)."""
    attention_mask = query_responses != pad_token_id
    position_ids = attention_mask.cumsum(1) - attention_mask.long()
    lm_backbone = getattr(model, model.base_model_prefix)
    output = lm_backbone(
        input_ids=torch.masked_fill(query_responses, ~attention_mask, 0),
        attention_mask=attention_mask,
        position_ids=position_ids,
        return_dict=True,
        output_hidden_states=True,
        use_cache=False,
    )
    logits = model.score(output.hidden_states[-1])
    is_pad = query_responses[:, context_length:] == pad_token_id
    lengths = [int(row.int().argmax()) if row.any() else len(row) for row in is_pad]
    ends = torch.tensor(lengths) - 1 + context_length
    return logits[torch.arange(len(logits)), ends].squeeze(-1)


def scored(model, queries, responses):
    """Score responses to collated prompts as a trainer does: prompts and responses padded to one length."""
    pad = model.tokenizer.pad_token_id
    responses = [list(response) for response in responses]
    width = max(len(response) for response in responses)
    tails = torch.tensor([[*map(ord, one), *[pad] * (width - len(one))] for one in responses])
    rewards = trl_reward(model, torch.cat((queries, tails), dim=1), pad, queries.shape[1])
    return [round(reward, 6) for reward in rewards.tolist()]


def rows_of(*prompts):
    return [{"prompt": prompt, "reference_answer": f"reference {at}"} for at, prompt in enumerate(prompts)]


@pytest.mark.parametrize("pads_with_eos", [False, True])
def test_every_row_is_known_again_with_its_columns(pads_with_eos):
    model, engine = model_of(Letters(pads_with_eos=pads_with_eos))
    prompts = ("Say", "Say hello", "Say", "Say hel.lo", "Say")
    batch = model.data_collator(rows_of(*prompts))
    responses = ["a", "d hello.", "lo", "b.c", "e"]  # what follows "Say" here could be more of "Say hello"
    assert scored(model, batch["input_ids"], responses) == [0, 0.75, 0.5, 0.25, 1.0]
    expected = list(zip(prompts, ["a", "d hello", "lo", "b", "e"], [f"reference {at}" for at in range(5)], strict=True))
    assert [parts(prompt) for prompt in engine.prompts] == expected


def test_batches_come_back_in_chunks_in_the_order_of_their_collation():
    model, engine = model_of(Letters())
    batches = [model.data_collator(rows_of("Q", "Q", "long Q", "Q")) for _ in range(3)]  # a trainer prefetches
    for batch in batches:
        for start in (0, 2):
            assert scored(model, batch["input_ids"][start : start + 2], ["c", "d"]) == [0.5, 0.75]
    assert [parts(prompt)[2] for prompt in engine.prompts] == [f"reference {at}" for at in range(4)] * 3


def test_equal_batches_with_other_columns_are_told_apart_by_their_order():
    model, engine = model_of(Letters())
    batches = [model.data_collator([{"prompt": "Q", "reference_answer": f"number {at}"}]) for at in range(3)]
    for batch in batches:
        scored(model, batch["input_ids"], ["a"])
    assert [parts(prompt)[2] for prompt in engine.prompts] == ["number 0", "number 1", "number 2"]


def test_a_batch_that_never_came_back_holds_up_no_other():
    model, engine = model_of(Letters())
    model.data_collator(rows_of("Q", "left behind by an evaluation"))
    for _ in range(2):
        batch = model.data_collator(rows_of("Q", "R"))
        assert scored(model, batch["input_ids"], ["e", "d"]) == [1.0, 0.75]
    assert [parts(prompt)[0] for prompt in engine.prompts] == ["Q", "R"] * 2


def test_conversations_reach_the_judge_as_messages():
    model, engine = model_of(Letters())
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q"}]
    begun = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "So"}]
    batch = model.data_collator(rows_of(told, begun))
    shown = ["".join(map(chr, ids)).lstrip("_") for ids in batch["input_ids"].tolist()]
    assert shown == ["s:Be brief.;u:Q;a:", "u:Q;a:So"]
    scored(model, batch["input_ids"], ["b", "d"])
    assert parts(engine.prompts[0])[:2] == ("Be brief.\n\nQ", "b")
    assert parts(engine.prompts[1])[:2] == ("Q", "Sod")  # a begun answer is part of the response


def test_rows_of_ids_alone_are_decoded():
    model, engine = model_of(Letters())
    batch = model.data_collator([{"input_ids": [ord("Q"), ord("1")]}, {"input_ids": [ord("Q")]}])
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert scored(model, batch["input_ids"], ["a", "e"]) == [0, 1]
    assert [parts(prompt)[0] for prompt in engine.prompts] == ["Q1", "Q"]


class ThinkingLetters(Letters):
    """The same with a chat template that opens thoughts."""

    def apply_chat_template(self, messages, **settings):
        text = super().apply_chat_template(messages, **settings)
        return f"{text}<think>\n" if settings["add_generation_prompt"] else text


@pytest.mark.parametrize(("said", "answer"), [("b hm", ""), ("b hm</think>d", "d"), ("<think>b hm</think>d", "d")])
def test_thoughts_that_the_chat_template_opens_are_not_judged(said, answer):
    model, engine = model_of(ThinkingLetters(), on_unscored=0.0)
    prompt = [{"role": "user", "content": "Q"}]
    batch = model.data_collator(rows_of(prompt))
    scored(model, batch["input_ids"], [said])
    assert parts(engine.prompts[0])[:2] == ("Q", answer)


@pytest.mark.parametrize(("said", "answer"), [("d", "d"), ("b hm", ""), ("b hm</think>d", "d")])
def test_rows_of_a_chats_ids_are_the_chats_messages(said, answer):
    model, engine = model_of(Letters(), on_unscored=0.0)
    opening = "" if said == "d" else "<think>\n"
    text = f"<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n{opening}"
    batch = model.data_collator([{"input_ids": list(map(ord, text))}])
    scored(model, batch["input_ids"], [said])
    assert parts(engine.prompts[0])[:2] == ("Be brief\n\nQ?", answer)


class MarkLetters(ThinkingLetters):
    """The same with special tokens of several letters."""

    names = ("<think>", "</think>", "<|call|>", "<|think|>", "<|end|>", "<|begin|>", "<|content|>")

    def __call__(self, text, add_special_tokens=True):
        parts = re.split(f"({'|'.join(map(re.escape, self.names))})", text)
        ids = [[self.names.index(one)] if one in self.names else map(ord, one) for one in parts]
        return type("Encoded", (), {"input_ids": [token for part in ids for token in part]})

    def decode(self, ids, skip_special_tokens):
        named = [("" if skip_special_tokens else self.names[token]) if token < 7 else chr(token) for token in ids]
        return "".join(named)


ROLLED = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [{"role": "user", "content": "Q"}]},
        {"prompt": "Q\n<think>\n"},
        {"input_ids": MarkLetters()("Q\n<think>\n").input_ids},
        {"input_ids": MarkLetters()(f"{ROLLED}<think>\n").input_ids},
    ],
)
@pytest.mark.parametrize(
    ("said", "answer"), [("b</think>d<|call|>e", "de"), ("<think>b</think>d", "d"), ("b", ""), ("b<|call|>", "")]
)
def test_marks_of_thoughts_may_be_special_tokens(row, said, answer):
    model, engine = model_of(MarkLetters(), on_unscored=0.0)
    batch = model.data_collator([row])
    scored(model, batch["input_ids"], [map(chr, MarkLetters()(said).input_ids)])
    assert parts(engine.prompts[0])[1] == answer


class BosLetters(MarkLetters):
    """The same with a BOS that no template knows."""

    bos_token = "<|call|>"


@pytest.mark.parametrize("text", ["Q", f"{ROLLED}"])
def test_a_bos_before_ids_alone_is_no_part_of_the_prompt(text, caplog):
    rendered._warn_of_mark.cache_clear()
    model, engine = model_of(BosLetters())
    batch = model.data_collator([{"input_ids": BosLetters()(f"<|call|>{text}").input_ids}])
    scored(model, batch["input_ids"], ["d"])
    assert parts(engine.prompts[0])[:2] == ("Q", "d")
    assert not caplog.messages


def test_a_closing_mark_may_be_several_special_tokens():
    model, engine = model_of(MarkLetters(), on_unscored=0.0)
    batch = model.data_collator([{"input_ids": MarkLetters()(f"{ROLLED}<|think|>").input_ids}])
    said = MarkLetters()("b<|end|><|begin|>assistant<|content|>d").input_ids
    scored(model, batch["input_ids"], [map(chr, said)])
    assert parts(engine.prompts[0])[:2] == ("Q", "d")


def test_rubrics_of_rows_win():
    model, engine = model_of(Letters())
    batch = model.data_collator([{"prompt": "Q", "rubric": "honesty"}, {"prompt": "Q", "rubric": None}])
    scored(model, batch["input_ids"], ["a", "b"])
    honest, helpful = (prompt.user for prompt in engine.prompts)
    assert Rubric.parse("honesty").text in honest
    assert Rubric.parse("helpfulness").text in helpful


def nash_rows(collator, prompts):
    """What NashMD and XPO do with a batch of rows: tokenize it anew, within the training step."""
    raw = collator([{"prompt": prompt, "reference_answer": f"reference to {prompt}"} for prompt in prompts])
    assert raw["prompt"] == prompts
    tokenized = [
        {"prompt_input_ids": [ord("<"), *map(ord, prompt)], "prompt_attention_mask": [1] * (len(prompt) + 1)}
        for prompt in raw["prompt"]
    ]
    return lambda: collator(tokenized)


def test_two_samples_are_asked_for_the_same_prompts_that_the_trainer_tokenized_anew():
    model, engine = model_of(Letters())
    steps = [nash_rows(model.data_collator, prompts) for prompts in (["Q", "long"], ["Q", "Q"])]
    for step in steps:
        batch = step()
        assert batch["prompt_attention_mask"].sum(1).tolist() == [
            (ids != ord("_")).sum() for ids in batch["prompt_input_ids"]
        ]
        assert scored(model, batch["prompt_input_ids"], ["a", "b"]) == [0, 0.25]
        assert scored(model, batch["prompt_input_ids"], ["d", "e"]) == [0.75, 1]
    assert [parts(prompt)[0] for prompt in engine.prompts] == ["Q", "long"] * 2 + ["Q"] * 4
    assert parts(engine.prompts[1])[2] == "reference to long"


def test_the_unscored_get_the_mean_of_the_scored_counted_and_logged(caplog):
    model, _ = model_of(Letters())
    batch = model.data_collator(rows_of("Q", "Q", "Q"))
    with caplog.at_level(logging.WARNING):
        assert scored(model, batch["input_ids"], ["e", "?", "c"]) == [1, 0.75, 0.5]
    assert "1 of 3 responses could not be scored, with the reward 0.75 instead (1 of 3 so far)" in caplog.text
    batch = model.data_collator(rows_of("Q", "Q"))
    assert scored(model, batch["input_ids"], ["?", "?"]) == [0.75, 0.75]  # the last mean there was
    assert (model.num_scored, model.num_unscored) == (2, 3)
    assert (model.metrics["judge/outcome/scored"], model.metrics["judge/outcome/no_result"]) == (0, 2)


@pytest.mark.parametrize(
    ("on_unscored", "message"),
    [
        ("mean", "1 of 1 response could not be scored, and no response was scored yet, so there is no mean"),
        ("raise", "1 of 1 response could not be scored, and on_unscored is 'raise'"),
    ],
)
def test_a_reward_is_never_invented(on_unscored, message):
    model, _ = model_of(Letters(), on_unscored=on_unscored)
    batch = model.data_collator(rows_of("Q"))
    with pytest.raises(UnscoredError, match=message):
        scored(model, batch["input_ids"], ["?"])


def test_a_number_may_stand_in_for_the_unscored():
    model, _ = model_of(Letters(), on_unscored=-0.5)
    assert scored(model, model.data_collator(rows_of("Q"))["input_ids"], ["?"]) == [-0.5]
    model, engine = model_of(Letters(), on_unscored="mean")
    model.reward = PrometheusReward(PrometheusJudge(engine), "helpfulness", on_unscored=0.25)
    assert scored(model, model.data_collator(rows_of("Q"))["input_ids"], ["?"]) == [0.25]


def test_penalties_can_be_taken_from_the_rewards_in_place():
    model, _ = model_of(Letters())
    queries = model.data_collator(rows_of("Q", "Q"))["input_ids"]
    rewards = trl_reward(model, torch.cat((queries, torch.full((2, 3), ord("e"))), dim=1), ord("_"), 1)
    rewards[torch.tensor([True, False])] -= 1.0
    assert rewards.tolist() == pytest.approx([0, 1])


def test_nothing_of_the_judge_is_in_the_module():
    model, _ = model_of(Letters())
    model.reward.judge.engine.module = torch.nn.Linear(2, 2)
    assert isinstance(model, PrometheusRewardModel) and isinstance(model, torch.nn.Module)
    assert not model.state_dict() and not list(model.parameters()) and len(list(model.modules())) == 1
    assert model.to("cpu") is model and model.config._name_or_path == "helpful"


def test_trainers_that_take_functions_are_told_so():
    model, _ = model_of(Letters())
    with pytest.raises(ConfigError, match="got a reward model, but this trainer takes a reward function; pass the"):
        model(input_ids=torch.zeros(1, 1))


def test_prompts_from_elsewhere_are_refused():
    model, _ = model_of(Letters())
    model.data_collator(rows_of("Q"))
    with pytest.raises(RowError, match=r"pass data_collator=reward_model\.data_collator to the trainer and leave"):
        scored(model, torch.tensor([[ord("X")]]), ["a"])
    with pytest.raises(RowError, match="got 2 tokenized prompts whose rows did not come through this collator in this"):
        model.data_collator([{"prompt_input_ids": [1], "prompt_attention_mask": [1]}] * 2)


def test_bad_input_is_one_line():
    with pytest.raises(ConfigError, match=r"got a tokenizer without a pad token; set tokenizer\.pad_token ="):
        PromptCollator(Letters(pad=None))
    with pytest.raises(ConfigError, match="got on_unscored='zero'; expected 'mean', 'raise' or a finite number"):
        model_of(Letters(), on_unscored="zero")
    with pytest.raises(RowError, match=r"got the prompt .*'human'.*; expected a text, or messages"):
        PromptCollator(Letters())([{"prompt": [{"from": "human", "value": "Q"}]}])
    with pytest.raises(RowError, match=r"chat template fails on the prompt .*\(KeyError: 'content'\); expected"):
        PromptCollator(Letters())([{"prompt": [{"role": "user", "text": "Q"}]}])
    with pytest.raises(RowError, match="got a row with the columns question; expected prompt or input_ids"):
        PromptCollator(Letters())([{"question": "Q"}])
