"""Floor 1: where text, labels and images come from; nothing here knows a model."""
