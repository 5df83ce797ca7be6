"""Our encoder's weights under the names that `transformers` gives them, and back.

The architecture is that of `ModernBertForMaskedLM` (Warner et al. 2024) in which every token
attends to every other, so the exchange only renames tensors.
"""

from typing import Any

from torch import Tensor

from ptft.core import DataError
from ptft.models.heads import MaskedLanguageModel
from ptft.models.transformer import TransformerConfig
from ptft.text.tokenizer import CLS, PAD, SEP

ROPE_BASE = 10_000.0
_FULL, _SLIDING = "full_attention", "sliding_attention"
_OUTER = {
    "trunk.embedding.weight": "model.embeddings.tok_embeddings.weight",
    "trunk.embedding_norm.weight": "model.embeddings.norm.weight",
    "trunk.final_norm.weight": "model.final_norm.weight",
    "head.dense.weight": "head.dense.weight",
    "head.norm.weight": "head.norm.weight",
    "bias": "decoder.bias",
}
_IN_BLOCK = {
    "attention_norm": "attn_norm",
    "attention.qkv": "attn.Wqkv",
    "attention.out": "attn.Wo",
    "feed_forward_norm": "mlp_norm",
    "feed_forward.inner": "mlp.Wi",
    "feed_forward.out": "mlp.Wo",
}


def to_transformers(model: MaskedLanguageModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the `config.json` and the weights of a `ModernBertForMaskedLM` equal to `model`."""
    config = model.trunk.config
    rope = {"rope_theta": ROPE_BASE, "rope_type": "default"}
    settings = {
        "architectures": ["ModernBertForMaskedLM"],
        "model_type": "modernbert",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads,
        "num_hidden_layers": config.n_layers,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.max_len,
        # transformers 5.15 opens no config in which all layers are "full_attention". A "sliding"
        # layer whose half window is the longest text is the same.
        "layer_types": [_FULL, *[_SLIDING] * (config.n_layers - 1)],
        "local_attention": 2 * config.max_len,
        "rope_parameters": {_FULL: rope, _SLIDING: rope},
        "classifier_pooling": "mean",
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "tie_word_embeddings": True,
        "pad_token_id": PAD,
        "cls_token_id": CLS,
        "sep_token_id": SEP,
        "bos_token_id": CLS,
        "eos_token_id": SEP,
        "dtype": "float32",
    }
    state = model.state_dict()
    return settings, {theirs: state[ours] for ours, theirs in _names(config.n_layers).items()}


def from_transformers(
    settings: dict[str, Any], weights: dict[str, Tensor], dropout: float = 0.0
) -> MaskedLanguageModel:
    """Build our model from the `config.json` and the weights of a `ModernBertForMaskedLM`.

    Raises:
        DataError: If the configuration is not one our architecture has, or a tensor is missing,
            left over or of another shape.
    """
    try:
        different = {
            "model_type": settings["model_type"] != "modernbert",
            "local_attention": _SLIDING in settings["layer_types"]
            and settings["local_attention"] < 2 * settings["max_position_embeddings"],
            "rope_parameters": any(
                settings["rope_parameters"][kind]["rope_theta"] != ROPE_BASE
                for kind in set(settings["layer_types"])
            ),
            "hidden_activation": settings["hidden_activation"] != "gelu",
        }
        config = TransformerConfig(
            vocab_size=settings["vocab_size"],
            d_model=settings["hidden_size"],
            n_heads=settings["num_attention_heads"],
            n_layers=settings["num_hidden_layers"],
            d_ff=settings["intermediate_size"],
            max_len=settings["max_position_embeddings"],
            dropout=dropout,
        )
    except KeyError as error:
        raise DataError(f"config.json lacks {error}") from error
    for name, differs in different.items():
        if differs:
            raise DataError(f"this architecture has no {name} = {settings[name]!r}")
    model = MaskedLanguageModel(config)
    state = model.state_dict()
    names = _names(config.n_layers)
    if set(weights) != set(names.values()):
        difference = sorted(set(weights) ^ set(names.values()))
        raise DataError(f"weights missing or left over: {', '.join(difference)}")
    for ours, theirs in names.items():
        if weights[theirs].shape != state[ours].shape:
            raise DataError(
                f"{theirs} should have shape {tuple(state[ours].shape)}, "
                f"got {tuple(weights[theirs].shape)}"
            )
    model.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})
    return model


def _names(n_layers: int) -> dict[str, str]:
    names = dict(_OUTER)
    for i in range(n_layers):
        for ours, theirs in _IN_BLOCK.items():
            if (i, ours) != (0, "attention_norm"):  # the first block has no attention norm
                names[f"trunk.blocks.{i}.{ours}.weight"] = f"model.layers.{i}.{theirs}.weight"
    return names
