"""Small checkpoints of our own, and the exchange of weights with `transformers`."""

from ptft.pretrained.folder import ENCODER, load_masked_model, load_record, save_masked_model

__all__ = ["ENCODER", "load_masked_model", "load_record", "save_masked_model"]
