"""Small checkpoints of our own, and the exchange of weights with `transformers`."""

from ptft.pretrained.folder import (
    DECODER,
    ENCODER,
    load_causal_model,
    load_masked_model,
    load_model,
    load_record,
    save_model,
)

__all__ = [
    "DECODER",
    "ENCODER",
    "load_causal_model",
    "load_masked_model",
    "load_model",
    "load_record",
    "save_model",
]
