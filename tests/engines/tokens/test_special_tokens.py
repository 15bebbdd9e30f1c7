"""Candidate text never becomes a control token, whatever the tokenizer's class and the family's markers."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from prom_reward.engines.server.prompts import PromptWriter
from prom_reward.engines.tokens.encoding import PromptEncoder
from prom_reward.prompts.conversation import MISTRAL
from prom_reward.types import JudgePrompt, TextSpan

FAMILIES = {
    "Llama-2": ("<s>", "</s>", "<unk>"),
    "Llama-3": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"),
    "ChatML": ("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    "Mistral v0.1": ("<s>", "</s>", "<unk>"),
    "Mistral v3": ("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[/TOOL_RESULTS]"),
    "Gemma": ("<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>"),
    "T5": ("<pad>", "</s>", "<extra_id_0>", "<extra_id_1>"),
    "Qwen3": ("<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_response>"),
    "BERT": ("[PAD]", "[CLS]", "[SEP]", "[MASK]"),
}
ASCII = [chr(code) for code in range(33, 127)]
CORPUS = [
    "Good. [RESULT] 4",
    "the cat and the dog start_of_turn end_of_turn INST im_start system user",
    "</s> s unk pad",
]
BENIGN = (
    "Paris.",
    "two  spaces\n\n\nand lines",
    "def f(x):\n\treturn x[0] < 4 > 2",
    "# Title\n- a\n- b | c",
    "می‌خواهم 😀 नमस्ते é",
    "<b>bold</b> [x] <|> [INST <s",
)


def byte_level(special, *, has_prefix):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=has_prefix)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=list(special), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    return tokenizer


def byte_fallback(special, *, has_prefix):
    """As Llama-2's and Mistral's: pieces with a space sign, bytes for what there is no piece for."""
    named = [*special, *(name for name in ("<unk>",) if name not in special)]
    pieces = [*named, *(f"<0x{code:02X}>" for code in range(256)), "▁", *ASCII]
    merges = [("▁", "t"), ("t", "h"), ("[", "I"), ("<", "s"), ("<s", ">"), ("<", "/"), ("</", "s")]
    pieces += [piece for piece in map("".join, merges) if piece not in pieces]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    prepend = [normalizers.Prepend("▁")] if has_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer


def unigram(special, *, scheme):
    """As sentencepiece's: the control tokens are pieces of their own, and the likeliest ones."""
    named = ["<unk>", *(name for name in special if name != "<unk>")]
    pieces = [*((name, 0.0) for name in named), *((f"<0x{code:02X}>", -20.0) for code in range(256))]
    pieces += [(piece, -8.0) for piece in ("▁", *ASCII)] + [("▁the", -4.0), ("▁cat", -4.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme), decoders.Fuse()]
    )
    return tokenizer


def word_piece(special, *, splits_punctuation):
    words = ["[UNK]", *special, *ASCII, *(f"##{letter}" for letter in ASCII), "the", "cat"]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = (
        pre_tokenizers.BertPreTokenizer() if splits_punctuation else pre_tokenizers.WhitespaceSplit()
    )
    return tokenizer


CLASSES = {
    "byte-level BPE": (byte_level, {"has_prefix": False}),
    "byte-level BPE with a dummy prefix": (byte_level, {"has_prefix": True}),
    "BPE with bytes": (byte_fallback, {"has_prefix": False}),
    "BPE with bytes and a dummy prefix": (byte_fallback, {"has_prefix": True}),
    "Unigram": (unigram, {"scheme": "never"}),
    "Unigram with a dummy prefix": (unigram, {"scheme": "always"}),
    "WordPiece": (word_piece, {"splits_punctuation": True}),
    "WordPiece of whole words": (word_piece, {"splits_punctuation": False}),
}
LOSSY = ("WordPiece", "WordPiece of whole words")


def tokenizer_of(name, family, is_special=True):
    build, options = CLASSES[name]
    special = FAMILIES[family]
    unknown = "[UNK]" if name.startswith("WordPiece") else "<unk>" if "byte-level" not in name else None
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=build(special, **options), unk_token=unknown)
    added = [AddedToken(token, special=is_special, normalized=False) for token in special]
    if is_special:
        tokenizer.add_special_tokens({"additional_special_tokens": added})
    else:
        tokenizer.add_tokens(added)
    return tokenizer


@pytest.fixture(scope="module", params=CLASSES)
def tokenizers_of_a_class(request):
    return request.param, {family: tokenizer_of(request.param, family) for family in FAMILIES}


pieces = st.sampled_from([token for special in FAMILIES.values() for token in special])
candidates = st.lists(
    pieces | st.text(max_size=6) | st.sampled_from(["<", "</", "s>", "<|", "|>", "[", " "]), max_size=6
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(family=st.sampled_from(list(FAMILIES)), parts=candidates)
def test_no_text_becomes_a_control_token(tokenizers_of_a_class, family, parts):
    name, made = tokenizers_of_a_class
    tokenizer, special = made[family], FAMILIES[family]
    controls = {tokenizer.convert_tokens_to_ids(token) for token in special} - {tokenizer.unk_token_id}
    encoder, text = PromptEncoder(tokenizer), "".join(parts)
    ids = encoder.encode([TextSpan(text, False)], add_bos=False)
    assert controls.isdisjoint(ids)
    marked = [TextSpan(f"{special[0]}", True), TextSpan(text, False), TextSpan(special[1], True)]
    found = [index for index in encoder.encode(marked, add_bos=False) if index in controls]
    assert found == tokenizer.convert_tokens_to_ids(list(special[:2]))
    if name.startswith("byte-level"):
        assert tokenizer.decode(ids).removeprefix(" ") == text.removeprefix(" ")


@pytest.mark.parametrize("text", BENIGN)
def test_benign_text_comes_back(tokenizers_of_a_class, text):
    name, made = tokenizers_of_a_class
    for tokenizer in made.values():
        ids = PromptEncoder(tokenizer).encode([TextSpan(text, False)], add_bos=False)
        assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
        if name not in LOSSY:
            assert tokenizer.decode(ids).removeprefix(" ") == text


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("family", ["ChatML", "Gemma", "Mistral v3", "Qwen3"])
def test_markers_that_a_tokenizer_does_not_call_special_are_text_too(name, family):
    tokenizer = tokenizer_of(name, family, is_special=False)
    controls = set(tokenizer.convert_tokens_to_ids(list(FAMILIES[family])))
    encoder = PromptEncoder(tokenizer)
    for marker in FAMILIES[family]:
        assert controls.isdisjoint(encoder.encode([TextSpan(f"Hi{marker}there {marker}", False)], add_bos=False))
        assert controls & set(encoder.encode([TextSpan(f"a{marker}b", True)], add_bos=False))
        if name == "byte-level BPE":
            ids = encoder.encode([TextSpan(f"Hi{marker}there {marker}", False)], add_bos=False)
            assert tokenizer.decode(ids) == f"Hi{marker}there {marker}"


@pytest.mark.parametrize("is_special", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_server_that_tokenizes_itself_gets_no_control_token_either(family, is_special):
    tokenizer = tokenizer_of("BPE with bytes", family, is_special=is_special)
    known = FAMILIES[family]
    prompt = JudgePrompt("", " and ".join(["Hi", *known]))
    writer = PromptWriter(lambda _: MISTRAL, tokenizer, system_separator=None)
    shown = [
        writer.text(prompt).removeprefix("[INST] ").removesuffix(" [/INST]"),
        writer.messages(prompt)[0]["content"],
    ]
    for text in shown:
        assert not any(marker in text for marker in known)
        assert text.replace(" ", "") == prompt.user.replace(" ", "")  # it stays readable


UNKNOWN = (
    *(
        "[AVAILABLE_TOOLS]",
        "[TOOL_CALLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "[THINK]",
        "[IMG]",
        "[INST]",
        "[gMASK]",
    ),
    *(
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        "<extra_id_1>",
        "<EOS_TOKEN>",
        "<end_of_utterance>",
        "<sop>",
    ),
    *("<|turn>", "<turn|>", "<start_of_image>", "<|im_end|>", "</s>", "<｜end▁of▁sentence｜>", "<bos>"),
)


def test_without_a_tokenizer_what_is_known_as_special_is_broken_and_nothing_else():
    writer = PromptWriter(lambda _: MISTRAL, None, system_separator=None)
    [message] = writer.messages(JudgePrompt("", " ".join(UNKNOWN)))
    assert not any(marker in message["content"] for marker in UNKNOWN)
    assert message["content"].replace(" ", "") == "".join(UNKNOWN)
    plain = "[RESULT] [YOUR_NAME] [TODO] <b>x</b> <first_name> <table><td> [x] <image> a <| b |> c <= d <s3> List<T>"
    assert writer.messages(JudgePrompt("", plain)) == [{"role": "user", "content": plain}]


def test_html_that_a_tokenizer_knows_keeps_its_tokens():
    tokenizer = tokenizer_of("byte-level BPE", "ChatML")
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in ("<table>", "<b>", "</b>")])
    text = "<table> <b>x</b>"
    ids = PromptEncoder(tokenizer).encode([TextSpan(text, False)], add_bos=False)
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_tokens_to_ids("<table>") in ids
