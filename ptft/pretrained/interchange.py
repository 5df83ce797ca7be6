"""Our weights under the names that `transformers` gives them, and back.

The exchange renames tensors, stacks projections that they keep apart, and turns GPT-2's matrices;
nothing is computed.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ptft.core import DataError
from ptft.models.config import Style, TransformerConfig
from ptft.models.heads import (
    BertPretrainingModel,
    CausalLanguageModel,
    LanguageModel,
    MaskedLanguageModel,
)
from ptft.pretrained.families import FAMILIES, Family
from ptft.text.tokenizer import CLS, PAD, SEP

_FULL, _SLIDING = "full_attention", "sliding_attention"


def to_transformers(model: LanguageModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the `config.json` and the weights of the equal model of `transformers`.

    Raises:
        ValueError: If no family of `transformers` has the model's style.
    """
    config = model.config
    family = _family_of(config)
    pairs = isinstance(model, BertPretrainingModel)
    settings: dict[str, Any] = {
        "architectures": ["BertForPreTraining" if pairs else family.architecture],
        "model_type": family.model_type,
        "pad_token_id": PAD,
        "bos_token_id": CLS,
        "eos_token_id": SEP,
        "dtype": str(model.trunk.embedding.weight.dtype).removeprefix("torch."),
        **family.fixed,
        **{theirs: _size(config, ours) for ours, theirs in family.size_settings.items()},
        **{theirs: getattr(config.style, ours) for ours, theirs in family.style_settings.items()},
        **_extra_settings(family, config),
    }
    settings[family.size_settings["max_len"]] += _position_offset(settings)
    weights = {}
    for name, tensor in model.state_dict().items():
        parts = _their_names(family, name)
        sizes = _part_sizes(config, name, len(parts), len(tensor))
        for their_name, part in zip(parts, tensor.split(sizes), strict=True):
            if name == "trunk.positions.weight":
                unused = part.new_zeros(_position_offset(settings), config.d_model)
                part = torch.cat((unused, part))
            turned = _is_turned(family, name, part)
            weights[their_name] = (part.T if turned else part).contiguous()
    return settings, weights


def from_transformers(
    settings: dict[str, Any], weights: dict[str, Tensor], dropout: float = 0.0
) -> LanguageModel:
    """Build our model from the configuration and the weights of a model of `transformers`.

    Args:
        settings: The content of its `config.json`, or `model.config.to_dict()`.
        weights: The content of its `model.safetensors`, or `model.state_dict()`.
        dropout: Dropout for training it further.

    Returns:
        A `MaskedLanguageModel`, a `CausalLanguageModel`, or, for weights with a next sentence
        classifier, a `BertPretrainingModel`; in the precision of the weights.

    Raises:
        DataError: If the configuration is not one our architecture has, or a tensor is missing,
            left over or of another shape.
    """
    family = FAMILIES.get(settings.get("model_type", ""))
    if family is None:
        raise DataError(
            f"model_type must be one of {', '.join(FAMILIES)}, got {settings.get('model_type')!r}"
        )
    config = _config(family, settings, dropout)
    kind: type[LanguageModel] = CausalLanguageModel if family.causal else MaskedLanguageModel
    if _their_names(family, "next_sentence.weight")[0] in weights:
        kind = BertPretrainingModel
    model = kind(config)
    expected = model.state_dict()
    state = {}
    left_over = set(weights) - set(family.tied)
    for name, tensor in expected.items():
        parts = _their_names(family, name)
        if missing := [part for part in parts if part not in weights]:
            raise DataError(f"weights missing: {', '.join(missing)}")
        left_over -= set(parts)
        theirs = [weights[part] for part in parts]
        if name == "trunk.positions.weight":
            theirs = [theirs[0][_position_offset(settings) :]]
        turned = [t.T if _is_turned(family, name, t) else t for t in theirs]
        sizes = _part_sizes(config, name, len(parts), len(tensor))
        for part, size, got in zip(parts, sizes, turned, strict=True):
            if got.shape != (size, *tensor.shape[1:]):
                wanted = (size, *tensor.shape[1:])
                raise DataError(f"{part} should have shape {wanted}, got {tuple(got.shape)}")
        state[name] = torch.cat(turned)
    if left_over:
        raise DataError(f"weights left over: {', '.join(sorted(left_over))}")
    model.to(state["trunk.embedding.weight"].dtype).load_state_dict(state)
    return model


def _family_of(config: TransformerConfig) -> Family:
    """Return the family whose style this is, apart from what is free in it."""
    for family in FAMILIES.values():
        free = [*family.style_settings, "init_std", "embedding_std", "rope_base"]
        style = replace(family.style, **{name: getattr(config.style, name) for name in free})
        grouped = config.kv_heads != config.n_heads and "n_kv_heads" not in family.size_settings
        if style == config.style and family.causal == config.causal and not grouped:
            return family
    raise ValueError(
        f"transformers has no {'causal' if config.causal else 'masked'} model of {config.style}"
    )


def _size(config: TransformerConfig, name: str) -> int:
    return config.kv_heads if name == "n_kv_heads" else getattr(config, name)


def _extra_settings(family: Family, config: TransformerConfig) -> dict[str, Any]:
    rope = {"rope_theta": config.style.rope_base, "rope_type": "default"}
    if family.model_type == "llama":
        return {"head_dim": config.head_dim, "rope_parameters": rope}
    if family.model_type == "modernbert":
        return {
            "cls_token_id": CLS,
            "sep_token_id": SEP,
            "classifier_pooling": "mean",
            # transformers 5.15 opens no config in which all layers are "full_attention". A
            # "sliding" layer whose half window is the longest text is the same.
            "layer_types": [_FULL, *[_SLIDING] * (config.n_layers - 1)],
            "local_attention": 2 * config.max_len,
            "rope_parameters": {_FULL: rope, _SLIDING: rope},
        }
    return {}


def _config(family: Family, settings: dict[str, Any], dropout: float) -> TransformerConfig:
    for name, value in family.fixed.items():
        if settings.get(name, value) != value:
            raise DataError(f"this architecture has no {name} = {settings[name]!r}")
    try:
        sizes = {ours: settings[theirs] for ours, theirs in family.size_settings.items()}
        choices = {
            ours: settings.get(theirs, getattr(family.style, ours))
            for ours, theirs in family.style_settings.items()
        }
        base = _rope_base(family, settings)
    except KeyError as error:
        raise DataError(f"config.json lacks {error}") from error
    if sizes["d_ff"] is None:  # GPT-2 leaves it out
        sizes["d_ff"] = 4 * sizes["d_model"]
    sizes["max_len"] -= _position_offset(settings)
    style: Style = replace(family.style, rope_base=base, **choices)
    try:
        config = TransformerConfig(**sizes, dropout=dropout, causal=family.causal, style=style)
    except (TypeError, ValueError) as error:
        raise DataError(f"config.json: {error}") from error
    if settings.get("head_dim", config.head_dim) != config.head_dim:
        raise DataError(f"this architecture has no head_dim = {settings['head_dim']!r}")
    return config


def _rope_base(family: Family, settings: dict[str, Any]) -> float:
    """Return the base of the rotary wavelengths, the same in all layers, or the default."""
    if family.style.positions != "rotary":
        return family.style.rope_base
    kinds = [settings["rope_parameters"]]
    if family.model_type == "modernbert":
        layers = set(settings["layer_types"])
        kinds = [settings["rope_parameters"][kind] for kind in sorted(layers)]
        window = settings["local_attention"]
        if _SLIDING in layers and window < 2 * settings["max_position_embeddings"]:
            raise DataError(f"this architecture has no local_attention = {window}")
    bases = {kind["rope_theta"] for kind in kinds}
    if len(bases) > 1 or any(kind.get("rope_type", "default") != "default" for kind in kinds):
        raise DataError(f"this architecture has no rope_parameters = {settings['rope_parameters']}")
    return float(bases.pop())


def _position_offset(settings: dict[str, Any]) -> int:
    """Return how many rows of positions nobody uses: RoBERTa counts from `pad_token_id + 1`."""
    return settings["pad_token_id"] + 1 if settings["model_type"] == "roberta" else 0


def _their_names(family: Family, name: str) -> tuple[str, ...]:
    """Return what they call one of our tensors; several names if they keep its parts apart."""
    if name == "bias":
        return (family.outer.get(name, ""),)
    module, _, kind = name.rpartition(".")
    if not module.startswith("trunk.blocks."):
        return (f"{family.outer.get(module, '')}.{kind}",)
    _, _, i, inner = module.split(".", 3)
    layer = family.layer.format(i=i)
    return tuple(f"{layer}{theirs}.{kind}" for theirs in family.block[inner])


def _part_sizes(config: TransformerConfig, name: str, parts: int, rows: int) -> list[int]:
    """Return how many rows of our tensor each of their tensors has."""
    if ".attention.qkv." in name and parts == 3:
        keys = config.kv_heads * config.head_dim
        return [config.d_model, keys, keys]
    return [rows // parts] * parts


def _is_turned(family: Family, name: str, tensor: Tensor) -> bool:
    return family.transposed and ".blocks." in name and tensor.ndim == 2
