"""Floor 3: models. `forward` returns one documented shape and never computes a loss."""
