"""Floor 2: tokenizers, and token ids into batches."""
