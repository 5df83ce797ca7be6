"""The commands `pretrain`, `generate` and `evaluate`."""
