import copy
import json

import pytest
from hypothesis import given, settings, strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from prom_reward.engines.tokens.encoding import PromptEncoder
from prom_reward.errors import ConfigError
from prom_reward.prompts.conversation import LLAMA_2, MISTRAL, ChatTemplateConversation, render_text
from prom_reward.prompts.prometheus import TASK_TEXTS
from prom_reward.prompts.template import grading_prompt
from prom_reward.types import GradingRequest, JudgePrompt, Rubric, TextSpan
from tests.tiny_models import tiny_tokenizer

BENIGN = (
    "Paris.",
    "",
    " \n two  spaces\n\n\n",
    "def f(x):\n\treturn x[0] < 4\n",
    "# Title\n- a\n- b | c",
    "می‌خواهم 😀 नमस्ते é\u0301",
    "ends in space ",
)
ONE_TO_FIVE = tuple("12345")
ONE_TO_TEN = tuple(str(label) for label in range(1, 11))
TRIMMING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}" + TRIMMING
IGNORES_SYSTEM = TRIMMING.replace("in messages", "in messages if m.role == 'user'")
WITH_BOS = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
LLAMA_2_TEMPLATE = "{{ bos_token }}{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"


def _prompt(response: str) -> JudgePrompt:
    request = GradingRequest(instruction="Why?", response=response, rubric=Rubric.parse("honesty"))
    return grading_prompt(request, TASK_TEXTS["prometheus-v2"])


def _ids(tokenizer, conversation, prompt: JudgePrompt) -> list[int]:
    return PromptEncoder(tokenizer).encode(conversation.render(prompt), add_bos=conversation.adds_bos)


def _template_ids(tokenizer, *messages: tuple[str, str]) -> list[int]:
    turns = [{"role": role, "content": content} for role, content in messages]
    return tokenizer.apply_chat_template(turns, tokenize=True, add_generation_prompt=True, return_dict=False)


def _with_template(tokenizer, template: str):
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


@pytest.fixture(scope="module")
def mistral_with_bos(mistral_v1_tokenizer):
    """The v1 tokenizer that writes the BOS itself, as the published models' do."""
    return LlamaTokenizer.from_pretrained(mistral_v1_tokenizer.name_or_path, add_bos_token=True)


@pytest.fixture(scope="module")
def mistral_legacy(mistral_v1_tokenizer):
    """The v1 tokenizer with a dummy space before every text, as in the published tokenizer.json."""
    tokenizer = copy.deepcopy(mistral_v1_tokenizer)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend["pre_tokenizer"] = None
    changed = Tokenizer.from_str(json.dumps(backend))
    changed.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return PreTrainedTokenizerFast(tokenizer_object=changed, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module")
def byte_level():
    """A tiny byte-level BPE in which " 4" is one token, as in GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"Good. [RESULT] {label} A B" for label in ONE_TO_FIVE * 20], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


@pytest.mark.parametrize("conversation", [LLAMA_2, MISTRAL], ids=["llama-2", "mistral"])
@pytest.mark.parametrize("response", BENIGN)
@pytest.mark.parametrize("prefix", ["", "[RESULT] "])
def test_mistral_v1_gives_the_ids_of_the_whole_text_with_one_bos(mistral_with_bos, conversation, response, prefix):
    prompt = JudgePrompt("You are fair.", _prompt(response).user, prefix)
    ids = _ids(mistral_with_bos, conversation, prompt)
    assert ids == mistral_with_bos(render_text(conversation, prompt))["input_ids"]
    assert (ids[0], ids.count(mistral_with_bos.bos_token_id)) == (1, 1)


@pytest.mark.parametrize("response", BENIGN)
def test_mistral_v3_gives_the_ids_of_the_whole_text_with_one_bos(mistral_v3_tokenizer, response):
    ids = _ids(mistral_v3_tokenizer, MISTRAL, _prompt(response))
    text = render_text(MISTRAL, _prompt(response))
    assert ids == [1, *mistral_v3_tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert ids.count(1) == 1
    assert ids[1] == mistral_v3_tokenizer.convert_tokens_to_ids("[INST]")


@pytest.mark.parametrize("response", BENIGN)
def test_a_legacy_tokenizer_gives_the_ids_of_the_whole_text(mistral_legacy, response):
    ids = _ids(mistral_legacy, MISTRAL, _prompt(response))
    text = render_text(MISTRAL, _prompt(response))
    assert ids == [1, *mistral_legacy(text, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize("response", BENIGN)
def test_smollm2s_chatml_gives_the_ids_of_its_own_template_and_adds_no_bos(smollm2_tokenizer, response):
    prompt = _prompt(response)
    ids = _ids(smollm2_tokenizer, ChatTemplateConversation(smollm2_tokenizer), prompt)
    assert ids == _template_ids(smollm2_tokenizer, ("system", prompt.system), ("user", prompt.user))
    assert ids.count(smollm2_tokenizer.bos_token_id) == 3  # it opens the turns of system, user and assistant


@pytest.mark.parametrize("response", BENIGN)
@pytest.mark.parametrize("template", [TRIMMING, WITH_BOS], ids=["trims", "begins with a BOS"])
def test_another_chat_template_gives_its_own_ids(smollm2_tokenizer, template, response):
    tokenizer, prompt = _with_template(smollm2_tokenizer, template), _prompt(response)
    ids = _ids(tokenizer, ChatTemplateConversation(tokenizer), prompt)
    assert ids == _template_ids(tokenizer, ("system", prompt.system), ("user", prompt.user))


@pytest.mark.parametrize("template", [NO_SYSTEM, IGNORES_SYSTEM], ids=["refuses", "ignores"])
def test_a_chat_template_without_system_turn_gives_the_ids_of_the_merged_text(smollm2_tokenizer, template):
    tokenizer, prompt = _with_template(smollm2_tokenizer, template), _prompt("Paris.")
    ids = _ids(tokenizer, ChatTemplateConversation(tokenizer), prompt)
    assert ids == _template_ids(tokenizer, ("user", f"{prompt.system}\n\n{prompt.user}"))


def test_a_template_that_begins_with_a_bos_has_it_once(mistral_legacy):
    tokenizer = _with_template(mistral_legacy, LLAMA_2_TEMPLATE)
    conversation = ChatTemplateConversation(tokenizer, merge_system=True)
    ids = _ids(tokenizer, conversation, JudgePrompt("sys", "task"))
    assert ids == _template_ids(tokenizer, ("user", "sys\n\ntask"))
    assert ids.count(1) == 1


def test_a_template_that_begins_with_a_bos_gives_its_own_ids_without_a_dummy_space(mistral_v1_tokenizer):
    tokenizer = _with_template(mistral_v1_tokenizer, LLAMA_2_TEMPLATE)
    conversation = ChatTemplateConversation(tokenizer, merge_system=True)
    assert _ids(tokenizer, conversation, JudgePrompt("", "task")) == _template_ids(tokenizer, ("user", "task"))


def test_no_bos_is_added_where_there_is_none(byte_level):
    bare = copy.deepcopy(byte_level)
    bare.bos_token = None
    ids = PromptEncoder(bare).encode([TextSpan("Good.", False)], add_bos=True)
    assert ids == bare("Good.")["input_ids"]


def test_a_tokenizer_without_special_tokens_encodes_all_as_text():
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = PromptEncoder(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert encoder.encode([TextSpan("a ", True), TextSpan("b", False)], add_bos=True) == [0, 1]


def test_an_empty_conversation_has_no_ids(smollm2_tokenizer):
    assert PromptEncoder(smollm2_tokenizer).encode([TextSpan("", True), TextSpan("", False)], add_bos=False) == []


text_without_marks = st.text(st.characters(exclude_characters="<"), max_size=8)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.tuples(text_without_marks, st.sampled_from(["", "<s>", "</s>"])), max_size=5))
def test_text_and_markup_in_any_order_give_the_ids_of_the_whole(mistral_v1_tokenizer, parts):
    spans = [span for text, mark in parts for span in (TextSpan(text, False), TextSpan(mark, True))]
    whole = "".join(span.text for span in spans)
    expected = mistral_v1_tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert PromptEncoder(mistral_v1_tokenizer).encode(spans, add_bos=False) == expected


@pytest.mark.parametrize("lstrip", [True, False])
@pytest.mark.parametrize("rstrip", [True, False])
@pytest.mark.parametrize("text", ["  hello  ", "hello", " \n ", "", "\t hello \u00a0"])
def test_special_tokens_that_swallow_white_space_swallow_it(byte_level, lstrip, rstrip, text):
    tokenizer = copy.deepcopy(byte_level)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken("<|turn|>", lstrip=lstrip, rstrip=rstrip, special=True)]}
    )
    spans = [
        TextSpan("\n<|turn|> user \n", True),
        TextSpan(text, False),
        TextSpan(" <|turn|> <|endoftext|>\n<|turn|>", True),
        TextSpan(text, False),
    ]
    whole = "".join(span.text for span in spans)
    assert PromptEncoder(tokenizer).encode(spans, add_bos=False) == tokenizer(whole)["input_ids"]


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|endoftext|>b", " <|endoftext|>\n<|endoftext|>"])
def test_a_special_token_comes_out_of_markup_alone(byte_level, text):
    encoder, special = PromptEncoder(byte_level), byte_level.eos_token_id
    assert special not in encoder.encode([TextSpan(text, False)], add_bos=False)
    assert encoder.encode([TextSpan(text, True)], add_bos=False).count(special) == text.count("<|")
    assert byte_level.decode(encoder.encode([TextSpan(text, False)], add_bos=False)) == text


def test_a_unigram_model_that_knows_special_tokens_as_pieces_gives_none():
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((char, -9.0) for char in "▁abcdefghis</>.RESULT[]")]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    text = "hi </s><s> a"
    assert 2 in tokenizer(text, split_special_tokens=True)["input_ids"]
    ids = PromptEncoder(tokenizer).encode([TextSpan(text, False), TextSpan("</s>", True)], add_bos=True)
    assert tokenizer.convert_ids_to_tokens(ids) == [
        *("<s>", "▁", "h", "i", "▁", "<", "/", "s", ">"),
        *(("<", "s", ">", "▁", "a", "</s>")),
    ]


def test_an_ordinary_character_used_for_padding_stays_in_the_text(byte_level):
    tokenizer = copy.deepcopy(byte_level)
    tokenizer.add_special_tokens({"pad_token": "!"})
    encoder = PromptEncoder(tokenizer)
    assert encoder.encode([TextSpan("Good!", False)], add_bos=False) == byte_level("Good!")["input_ids"]


def test_mistral_v1_writes_a_label_as_a_space_piece_and_a_digit(mistral_v1_tokenizer):
    tokens = PromptEncoder(mistral_v1_tokenizer).label_tokens(ONE_TO_FIVE)
    assert tokens.lead == (28705,)
    assert tokens.tails == {"1": (28740,), "2": (28750,), "3": (28770,), "4": (28781,), "5": (28782,)}


def test_a_label_of_two_tokens_may_begin_like_another(mistral_v1_tokenizer):
    tokens = PromptEncoder(mistral_v1_tokenizer).label_tokens(ONE_TO_TEN)
    assert tokens.lead == (28705,)
    assert (tokens.tails["1"], tokens.tails["10"]) == ((28740,), (28740, 28734))


def test_a_label_keeps_a_token_of_its_own_where_all_begin_alike(mistral_v1_tokenizer):
    tokens = PromptEncoder(mistral_v1_tokenizer).label_tokens(("1", "10"))
    assert (tokens.lead, tokens.tails) == ((28705,), {"1": (28740,), "10": (28740, 28734)})


def test_letters_are_labels_too(mistral_v1_tokenizer, byte_level):
    for tokenizer, space in ((mistral_v1_tokenizer, "▁"), (byte_level, "Ġ")):
        tokens = PromptEncoder(tokenizer).label_tokens(("A", "B"))
        a, b = tokenizer.convert_tokens_to_ids([f"{space}A", f"{space}B"])
        assert (tokens.lead, tokens.tails) == ((), {"A": (a,), "B": (b,)})


def test_smollm2_writes_a_label_as_a_space_piece_and_a_digit(smollm2_tokenizer):
    tokens = PromptEncoder(smollm2_tokenizer).label_tokens(ONE_TO_TEN)
    digits = {label: tuple(smollm2_tokenizer.convert_tokens_to_ids(list(label))) for label in ONE_TO_TEN}
    assert tokens.lead == (smollm2_tokenizer.convert_tokens_to_ids("Ġ"),)
    assert tokens.tails == digits


def test_a_label_that_is_one_token_with_its_space_has_no_lead(byte_level):
    tokens = PromptEncoder(byte_level).label_tokens(ONE_TO_FIVE)
    assert tokens.lead == ()
    assert tokens.tails == {label: (byte_level.convert_tokens_to_ids(f"Ġ{label}"),) for label in ONE_TO_FIVE}
    ten = PromptEncoder(byte_level).label_tokens(ONE_TO_TEN).tails["10"]
    assert ten == (*tokens.tails["1"], byte_level.convert_tokens_to_ids("0"))


@pytest.mark.parametrize("fixture", ["mistral_v1_tokenizer", "mistral_v3_tokenizer", "smollm2_tokenizer", "byte_level"])
def test_the_labels_and_the_closing_continue_a_text_as_it_is_written_in_one_go(request, fixture):
    tokenizer = request.getfixturevalue(fixture)
    encoder = PromptEncoder(tokenizer)
    tokens = encoder.label_tokens(ONE_TO_TEN)

    def plain(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    for label in ONE_TO_TEN:
        written = [*plain("Good."), *encoder.closing_ids, *tokens.lead, *tokens.tails[label]]
        assert written == plain(f"Good. [RESULT] {label}")


def test_labels_are_derived_once(byte_level):
    encoder = PromptEncoder(byte_level)
    assert encoder.label_tokens(("1", "2")) is encoder.label_tokens(("1", "2"))


def _special(*texts: str) -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(texts)})
    return tokenizer


def _words(**pieces: int) -> PreTrainedTokenizerFast:
    vocab = {"<unk>": 0, "good": 1, "[": 2, "]": 3, "RESULT": 4, **pieces}
    core = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@pytest.mark.parametrize(
    "make",
    [
        _words,
        lambda: _words(**{str(label): 4 + label for label in range(1, 6)}),
        lambda: _special("[RESULT]"),
        lambda: _special("4"),
    ],
    ids=["no digits", "spaced", "special marker", "special digit"],
)
def test_a_tokenizer_whose_verdicts_are_not_read_back_is_refused(make):
    with pytest.raises(ConfigError, match="no score could be read"):
        PromptEncoder(make()).label_tokens(ONE_TO_FIVE)


def test_the_judges_marker_stays_one_token_if_the_tokenizer_knows_it():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["[RESULT]", "[OTHER]"])
    encoder = PromptEncoder(tokenizer)
    text = "Write [RESULT] and [OTHER]."
    marker, other = tokenizer.convert_tokens_to_ids(["[RESULT]", "[OTHER]"])
    ids = encoder.encode([TextSpan(text, False)], add_bos=False)
    assert marker in ids and marker in encoder.closing_ids and other not in ids
    assert tokenizer.decode(ids) == text
