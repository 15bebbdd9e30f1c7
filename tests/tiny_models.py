"""Tiny tokenizers and models that tests make in milliseconds: random ones of real architectures, and a scripted one."""

import zlib
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig, LlamaConfig, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig

from prom_reward.engines.model.loading import LoadedModel

CHAT_TEMPLATE = "<s>{% for message in messages %}{{ message['content'] }}\n{% endfor %}<ans>"
ARCHITECTURES = ("llama", "mistral", "mixtral", "qwen2", "gemma2", "gemma3_text")
SLIDING_WINDOW = 8

_CORPUS = [
    "The answer is good. [RESULT] 1",
    "It is poor. [RESULT] 2",
    "Fine.[RESULT](3)",
    "[RESULT] Score: 4",
    "A 5",
    "A 3",
]
_EXTRA = {
    "mistral": {"sliding_window": SLIDING_WINDOW},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "gemma2": {"sliding_window": SLIDING_WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    "gemma3_text": {"sliding_window": SLIDING_WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
}


def tiny_tokenizer(*, joins_space: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer; `joins_space` makes " 4" one token, else it is a space and a digit."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = byte_level if joins_space else pre_tokenizers.Sequence([digits, byte_level])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<ans>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(_CORPUS * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>", additional_special_tokens=["<ans>"]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_model(architecture: str, vocab_size: int, *, seed: int = 0, head_dim: int = 8):
    """A random two-layer model of a real architecture, in fp32 and eval mode, with logits that differ clearly."""
    config = AutoConfig.for_model(
        architecture,
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.5,
        **_EXTRA.get(architecture, {}),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().requires_grad_(False)


def tiny_mamba(vocab_size: int):
    """A random two-layer Mamba: it has states instead of heads."""
    config = AutoConfig.for_model(
        "mamba", vocab_size=vocab_size, hidden_size=32, num_hidden_layers=2, state_size=8, initializer_range=0.5,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().requires_grad_(False)


def tiny_rotary(kind: str, vocab_size: int):
    """A random two-layer Llama that turns positions differently beyond 50 tokens: "dynamic" or "longrope"."""
    rope = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0}
    if kind == "longrope":
        rope |= {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "original_max_position_embeddings": 50}
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=50 if kind == "dynamic" else 200,
        rope_parameters=rope,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def tiny_judge(architecture: str = "llama", *, joins_space: bool = False, head_dim: int = 8) -> LoadedModel:
    """A random model with its tokenizer, ready to judge."""
    tokenizer = tiny_tokenizer(joins_space=joins_space)
    return LoadedModel(tiny_model(architecture, len(tokenizer), head_dim=head_dim), tokenizer, "float32")


class ScriptLM(torch.nn.Module):
    """A causal LM that writes known token ids behind `<ans>`, then EOS.

    Its logits are a pure function of the whole context, `row`: pseudo-random, with the script's next token
    far above the rest. Its cache holds the token ids themselves, so a batch that mixes up caches, masks or
    positions gets other texts and other logits.

    Args:
        tokenizer: Encodes the scripts.
        scripts: What to write for each user text; a text, or pieces that are encoded one by one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, scripts: Mapping[str, str | Sequence[str]]) -> None:
        super().__init__()
        self.config = LlamaConfig(vocab_size=len(tokenizer), num_hidden_layers=1, max_position_embeddings=512)
        self.config.name_or_path = "script"
        self.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        self.tokens_run: list[int] = []
        """Tokens of every call, over all rows."""
        self._eos = tokenizer.eos_token_id
        self._answer = tokenizer.convert_tokens_to_ids("<ans>")
        self._scripts = {
            tuple(tokenizer(f"<s>{user}\n<ans>").input_ids): script_ids(tokenizer, script)
            for user, script in scripts.items()
        }

    def row(self, context: Sequence[int]) -> torch.Tensor:
        """Return the logits (V,) behind a context."""
        context = [int(token) for token in context]
        generator = torch.Generator().manual_seed(zlib.crc32(repr(context).encode()))
        row = torch.randn(self.config.vocab_size, generator=generator)
        if self._answer not in context:
            return row
        start = context.index(self._answer) + 1
        script = [*self._scripts.get(tuple(context[:start]), []), self._eos]
        written = context[start:]
        if written == script[: len(written)] and len(written) < len(script):
            row[script[len(written)]] += 30
        return row

    def forward(
        self,
        input_ids,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        use_cache=None,
        logits_to_keep=0,
    ):
        """Answer like a causal LM of transformers, for the last position alone."""
        assert logits_to_keep == 1
        self.tokens_run.append(input_ids.numel())
        cache = DynamicCache(config=self.config) if past_key_values is None else past_key_values
        states = input_ids[:, None, :, None].float()
        contexts = cache.update(states, states, 0)[0][:, 0, :, 0].long()  # (B, T)
        mask = torch.ones_like(contexts) if attention_mask is None else attention_mask
        rows = [self.row(context[keep.bool()]) for context, keep in zip(contexts, mask, strict=True)]
        if position_ids is not None:
            assert position_ids[:, -1].tolist() == (mask.sum(1) - 1).tolist()
        return SimpleNamespace(logits=torch.stack(rows)[:, None], past_key_values=cache if use_cache else None)


def script_ids(tokenizer: PreTrainedTokenizerFast, script: str | Sequence[str]) -> list[int]:
    """Encode a text, or pieces one by one."""
    pieces = [script] if isinstance(script, str) else script
    return [token for piece in pieces for token in tokenizer(piece, add_special_tokens=False).input_ids]


def script_judge(
    scripts: Mapping[str, str | Sequence[str]], *, joins_space: bool = False, added: Sequence[str] = ()
) -> LoadedModel:
    """A scripted model with its tokenizer; `added` texts are tokens of their own."""
    tokenizer = tiny_tokenizer(joins_space=joins_space)
    tokenizer.add_tokens(list(added))
    return LoadedModel(ScriptLM(tokenizer, scripts), tokenizer, "float32")
