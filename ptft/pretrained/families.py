"""What `transformers` calls the settings and the tensors of each family of models."""

from dataclasses import dataclass, field
from typing import Any

from ptft.models.config import BERT, GPT2, LLAMA, MODERNBERT, ROBERTA, Style


@dataclass(frozen=True)
class Family:
    """One architecture of `transformers`.

    Attributes:
        model_type: Its name in `config.json`.
        architecture: Its class with a language model's head.
        style: Ours, up to what `style_settings` may vary.
        causal: Whether it is a decoder.
        outer: Our modules outside blocks, and theirs.
        block: Our modules inside a block, and theirs; where they have several, ours is these one
            after the other along the output axis.
        layer: Their name of block `{i}`.
        size_settings: Our fields of `TransformerConfig`, and their settings.
        style_settings: Our fields of `Style` that may differ, and their settings.
        fixed: Settings of theirs that must have this value, or be left out.
        tied: Their second names of tensors that have one already; they may be there.
        transposed: Whether weights of their linear layers in blocks stand the other way round.
    """

    model_type: str
    architecture: str
    style: Style
    causal: bool
    outer: dict[str, str] = field(repr=False)
    block: dict[str, tuple[str, ...]] = field(repr=False)
    layer: str
    size_settings: dict[str, str] = field(repr=False)
    style_settings: dict[str, str] = field(repr=False)
    fixed: dict[str, Any] = field(repr=False)
    tied: tuple[str, ...] = ()
    transposed: bool = False


_SIZES = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "n_layers": "num_hidden_layers",
    "d_ff": "intermediate_size",
    "max_len": "max_position_embeddings",
}

_MODERNBERT = Family(
    model_type="modernbert",
    architecture="ModernBertForMaskedLM",
    style=MODERNBERT,
    causal=False,
    outer={
        "trunk.embedding": "model.embeddings.tok_embeddings",
        "trunk.embedding_norm": "model.embeddings.norm",
        "trunk.final_norm": "model.final_norm",
        "head.dense": "head.dense",
        "head.norm": "head.norm",
        "bias": "decoder.bias",
    },
    block={
        "attention_norm": ("attn_norm",),
        "attention.qkv": ("attn.Wqkv",),
        "attention.out": ("attn.Wo",),
        "feed_forward_norm": ("mlp_norm",),
        "feed_forward.inner": ("mlp.Wi",),
        "feed_forward.out": ("mlp.Wo",),
    },
    layer="model.layers.{i}.",
    size_settings=_SIZES,
    style_settings={"norm_eps": "norm_eps"},
    fixed={
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "tie_word_embeddings": True,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
    },
    tied=("decoder.weight",),
)


def _bert(prefix: str, head: dict[str, str]) -> dict[str, str]:
    return {
        "trunk.embedding": f"{prefix}.embeddings.word_embeddings",
        "trunk.positions": f"{prefix}.embeddings.position_embeddings",
        "trunk.segments": f"{prefix}.embeddings.token_type_embeddings",
        "trunk.embedding_norm": f"{prefix}.embeddings.LayerNorm",
        **head,
    }


_BERT_BLOCK = {
    "attention.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "feed_forward.inner": ("intermediate.dense",),
    "feed_forward.out": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
_BERT_STYLE = {"norm_eps": "layer_norm_eps", "n_segments": "type_vocab_size"}
_BERT_FIXED = {
    "hidden_act": "gelu",
    "tie_word_embeddings": True,
    "is_decoder": False,
    "position_embedding_type": "absolute",
}

_BERT = Family(
    model_type="bert",
    architecture="BertForMaskedLM",
    style=BERT,
    causal=False,
    outer=_bert(
        "bert",
        {
            "head.dense": "cls.predictions.transform.dense",
            "head.norm": "cls.predictions.transform.LayerNorm",
            "bias": "cls.predictions.bias",
            "pooler": "bert.pooler.dense",
            "next_sentence": "cls.seq_relationship",
        },
    ),
    block=_BERT_BLOCK,
    layer="bert.encoder.layer.{i}.",
    size_settings=_SIZES,
    style_settings=_BERT_STYLE,
    fixed=_BERT_FIXED,
    tied=("cls.predictions.decoder.weight", "cls.predictions.decoder.bias"),
)

_ROBERTA = Family(
    model_type="roberta",
    architecture="RobertaForMaskedLM",
    style=ROBERTA,
    causal=False,
    outer=_bert(
        "roberta",
        {
            "head.dense": "lm_head.dense",
            "head.norm": "lm_head.layer_norm",
            "bias": "lm_head.bias",
        },
    ),
    block=_BERT_BLOCK,
    layer="roberta.encoder.layer.{i}.",
    size_settings=_SIZES,
    style_settings=_BERT_STYLE,
    fixed=_BERT_FIXED,
    tied=("lm_head.decoder.weight", "lm_head.decoder.bias"),
)

_GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    style=GPT2,
    causal=True,
    outer={
        "trunk.embedding": "transformer.wte",
        "trunk.positions": "transformer.wpe",
        "trunk.final_norm": "transformer.ln_f",
    },
    block={
        "attention_norm": ("ln_1",),
        "attention.qkv": ("attn.c_attn",),
        "attention.out": ("attn.c_proj",),
        "feed_forward_norm": ("ln_2",),
        "feed_forward.inner": ("mlp.c_fc",),
        "feed_forward.out": ("mlp.c_proj",),
    },
    layer="transformer.h.{i}.",
    size_settings={
        "vocab_size": "vocab_size",
        "d_model": "n_embd",
        "n_heads": "n_head",
        "n_layers": "n_layer",
        "d_ff": "n_inner",
        "max_len": "n_positions",
    },
    style_settings={"norm_eps": "layer_norm_epsilon"},
    fixed={
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    tied=("lm_head.weight",),
    transposed=True,
)

_LLAMA = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    style=LLAMA,
    causal=True,
    outer={
        "trunk.embedding": "model.embed_tokens",
        "trunk.final_norm": "model.norm",
        "output": "lm_head",
    },
    block={
        "attention_norm": ("input_layernorm",),
        "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.out": ("self_attn.o_proj",),
        "feed_forward_norm": ("post_attention_layernorm",),
        "feed_forward.inner": ("mlp.gate_proj", "mlp.up_proj"),
        "feed_forward.out": ("mlp.down_proj",),
    },
    layer="model.layers.{i}.",
    size_settings={**_SIZES, "n_kv_heads": "num_key_value_heads"},
    style_settings={"norm_eps": "rms_norm_eps", "tied": "tie_word_embeddings"},
    fixed={"hidden_act": "silu", "attention_bias": False, "mlp_bias": False},
    tied=("lm_head.weight",),
)

FAMILIES = {family.model_type: family for family in (_MODERNBERT, _BERT, _ROBERTA, _GPT2, _LLAMA)}
