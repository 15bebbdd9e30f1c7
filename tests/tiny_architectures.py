"""A tiny random model of every causal architecture that transformers has."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

ARCHITECTURES = tuple(sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
MAX_PARAMETERS = 40_000_000

_WIDTH, _LAYERS, _HEADS, _HEAD_DIM = 32, 4, 4, 8
_SIZES = (
    (
        _WIDTH,
        "hidden_size n_embd d_model dim embedding_size emb_dim embed_dim hidden_dim input_hidden_size n_embed "
        "hidden_size_per_layer_input decoder_hidden_size hidden_size_global lru_width index_hidden_size "
        "attention_hidden_size",
    ),
    (
        _LAYERS,
        "num_hidden_layers n_layer n_layers num_layers decoder_layers num_decoder_layers num_blocks "
        "encoder_layers num_encoder_layers",
    ),
    (
        _HEADS,
        "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads "
        "num_decoder_attention_heads num_encoder_attention_heads linear_num_value_heads linear_num_heads",
    ),
    (
        2,
        "num_key_value_heads linear_num_key_heads n_groups mamba_n_groups num_experts_per_tok moe_topk top_k "
        "num_local_experts_per_tok moe_top_k num_global_key_value_heads",
    ),
    (4, "num_experts n_routed_experts num_local_experts moe_num_experts"),
    (
        1,
        "n_group topk_group n_shared_experts num_shared_experts first_k_dense_replace index_n_heads",
    ),
    (8, "mamba_n_heads mamba_num_heads rotary_dim"),
    (
        _HEAD_DIM,
        "head_dim v_head_dim qk_nope_head_dim qk_rope_head_dim linear_key_head_dim linear_value_head_dim "
        "global_head_dim state_size mamba_d_state ssm_state_size mamba_head_dim mamba_d_head attention_head_dim "
        "index_head_dim d_kv d_state kv_channels swa_head_dim linear_head_dim",
    ),
    (
        16,
        "qk_head_dim kv_lora_rank q_lora_rank time_step_rank mamba_dt_rank sliding_window chunk_size",
    ),
    (
        48,
        "intermediate_size n_inner d_ff ffn_dim ffn_hidden_size moe_intermediate_size decoder_ffn_dim encoder_ffn_dim "
        "shared_expert_intermediate_size mlp_hidden_size dim_ff expert_hidden_size ffn_config_hidden "
        "moe_shared_expert_intermediate_size intermediate_size_mlp",
    ),
    (2048, "max_position_embeddings n_positions n_ctx max_seq_len max_seq_length max_sequence_length seq_length"),
)
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_TWICE_AS_WIDE = {"attention_hidden_size": 2 * _WIDTH, "attention_head_dim": 2 * _HEAD_DIM}  # attends to the input too
_SPECIAL = {
    "bamba": {"attn_layer_indices": [1]},
    "blt": {"encoder_hash_byte_group_vocab": 500},
    "codegen": {"rotary_dim": 4},
    "cohere_compass_text": {"rope_parameters": {kind: _ROPE for kind in ("full_attention", "sliding_attention")}},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8}},
    "dots3_note_text": {"num_key_value_heads": 4, "head_dim": 16, "per_layer_config": {}},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "gptj": {"rotary_dim": 4},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "use_mamba_kernels": False},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8},
    "qwen4_exp_text": {
        **{f"indexer_{name}": size for name, size in (("n_heads", 4), ("kv_heads", 1), ("head_dim", 8))},
        **{"indexer_budget": 16, "indexer_compress_ratio": 4},
    },
    "reformer": {"is_decoder": True, "axial_pos_embds_dim": [16, 16], "attn_layers": ["local", "lsh"] * 2},
    "xlnet": {"d_inner": 48},
    "zamba": _TWICE_AS_WIDE,
    "zamba2": _TWICE_AS_WIDE,
    "zaya": {"num_experts_per_tok": 1},
}


def tiny_config(architecture: str, vocab_size: int) -> Any:
    """A config whose numbers are small, wherever they stand under their usual names."""
    kind = CONFIG_MAPPING[architecture]
    return kind(**_small(kind(), architecture, vocab_size))


def _small(usual: Any, architecture: str, vocab_size: int) -> dict[str, Any]:
    return {**_overrides(usual, vocab_size), **_mixed(usual), **_SPECIAL.get(architecture, {})}


def _mixed(usual: Any) -> dict[str, Any]:
    """Take each kind of layer in turn: the first four of a real model may all be of one."""
    name = usual.attribute_map.get("layer_types", "layer_types")
    kinds = list(dict.fromkeys(getattr(usual, name, None) or ()))
    is_derived = isinstance(getattr(type(usual), name, None), property)
    return {} if is_derived or len(kinds) < 2 else {name: (kinds * _LAYERS)[:_LAYERS]}


def tiny_causal_lm(architecture: str, vocab_size: int) -> Any:
    """A random model in fp32 and eval mode; raises whatever transformers raises if the small numbers do not go."""
    config = tiny_config(architecture, vocab_size)
    with torch.device("meta"):
        num_parameters = AutoModelForCausalLM.from_config(config).num_parameters()
    if num_parameters > MAX_PARAMETERS:
        raise ValueError(f"{num_parameters} parameters")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().requires_grad_(False)
        for value in model.parameters():  # most start so small that every next token is as likely as any other
            if value.dim() >= 2:
                value.mul_(4)
    return model


def _overrides(config: Any, vocab_size: int) -> dict[str, Any]:
    known = config.to_dict() | {name: None for name in getattr(config, "attribute_map", {})}
    found: dict[str, Any] = {}
    for size, names in _SIZES:
        found |= {name: size for name in names.split() if name in known and not isinstance(known[name], list | dict)}
    found |= {
        name: vocab_size
        for name in ("vocab_size", "vocab_size_per_layer_input", "unpadded_vocab_size")
        if name in known
    }
    found |= {name: at for at, name in enumerate(("bos_token_id", "eos_token_id", "pad_token_id")) if name in known}
    found |= {"is_decoder": True} if "is_decoder" in known else {}
    found |= {"initializer_range": 0.2} if "initializer_range" in known else {}
    if "kv_lora_rank" in known:  # latent attention: as many heads of keys as of queries
        found["num_key_value_heads"] = _HEADS
    real = getattr(config, "attribute_map", {})
    found = {real.get(name, name): value for name, value in found.items()}
    for name in getattr(config, "sub_configs", {}):
        part = getattr(config, name, None)
        if part is not None:
            kind = part.to_dict().get("model_type")
            found[name] = {**_small(part, kind, vocab_size), **({"model_type": kind} if kind else {})}
    return found


def tiny_model_with_images(vocab_size: int) -> Any:
    """A random Mistral 3, whose text model is a part of its config."""
    text = tiny_config("mistral", vocab_size).to_dict() | {"sliding_window": None, "initializer_range": 0.2}
    vision = {"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14, "head_dim": 16}
    config = CONFIG_MAPPING["mistral3"](text_config=text, vision_config=vision, image_token_index=vocab_size - 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForImageTextToText.from_config(config, dtype=torch.float32).eval().requires_grad_(False)
