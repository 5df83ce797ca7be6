"""Make the course's own decoder: `make pretrain`, or `python tools/pretrain_decoder.py --help`.

The same text as for the encoder (`tools/pretrain.py`), byte-level BPE, next tokens instead of
masked ones. A stopped run goes on where it was. About an hour on one CPU core.
"""

import argparse
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretrain import describe, machine, shuffled
from torch import Tensor

from ptft.core import cache_dir, sha256_bytes
from ptft.core.compute import set_threads
from ptft.data.docstrings import Corpus, Split, load_docstrings
from ptft.evaluation.metrics import bits_per_byte
from ptft.models.config import LLAMA, TransformerConfig
from ptft.models.kneser_ney import KneserNey
from ptft.pretrained import DECODER, save_model
from ptft.text.batches import CausalBatch
from ptft.text.token_file import open_tokens, overlapping_windows, write_tokens
from ptft.text.tokenizer import SEP, Tokenizer
from ptft.training.losses import causal_loss, mean_loss
from ptft.training.pretraining import PretrainConfig, pretrain_decoder

VOCAB_SIZE = 4096
LENGTH = 128
ORDER = 5  # of the n-gram beside it
RECIPE = PretrainConfig(
    model=TransformerConfig(
        VOCAB_SIZE, d_model=128, n_heads=4, n_layers=4, d_ff=384, max_len=LENGTH, causal=True,
        style=replace(LLAMA, tied=True, init_std=None),
    ),
    steps=8_000,
    batch_size=8,
    lr=0.02,
    adamw_lr=6e-3,
    warmup=100,
    seed=0,
    evaluate_every=400,
)  # fmt: skip


def texts(corpus: Corpus, split: Split) -> list[str]:
    """Return the documents of a split."""
    return [document.text for document in corpus.split(split)]


def tokens(corpus: Corpus, split: Split, tokenizer: Tokenizer) -> Tensor:
    """Return `[CLS] document [SEP]` for all documents of a split in one row `(N,)`, from a file."""
    path = cache_dir() / f"decoder-{split}-{corpus.sha256[:12]}-{len(tokenizer)}.npy"
    if not path.exists():
        encoded = tokenizer.encode_all(texts(corpus, split))  # begins with [CLS]
        write_tokens(path, ([*ids, SEP] for ids in encoded), len(tokenizer))
    return open_tokens(path, len(tokenizer))


def test_losses(model: torch.nn.Module, train: Tensor, test: Tensor) -> dict[str, float]:
    """Return the loss in nats per token: of the model in windows, of n-grams with all they use."""
    windows = overlapping_windows(test, LENGTH)
    scored = test[: len(windows) * LENGTH + 1]
    counted = {
        name: -KneserNey.fit([train], order, VOCAB_SIZE).log_probs(scored)[1:].mean()
        for name, order in (("unigram", 1), ("kneser_ney", ORDER))
    }
    batches = [CausalBatch(rows.long(), None) for rows in windows.split(64)]
    return {
        "uniform": math.log(VOCAB_SIZE),
        **{name: float(np.round(loss, 6)) for name, loss in counted.items()},
        "this_model": mean_loss(model, causal_loss, batches),
    }


def card(record: dict[str, Any]) -> str:
    """Write the model card from the record."""
    corpus = record["corpus"]
    table = "\n".join(
        f"| {name.replace('_', ' ')} | {record['test_loss'][name]:.3f} | {bits:.3f} |"
        for name, bits in record["test_bits_per_byte"].items()
    )
    return f"""---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---

# The course's own decoder

A causal language model of {record["parameters"]:,} parameters, pretrained from scratch by
`tools/pretrain_decoder.py` on the docstrings of ten Python libraries. It writes what looks like
technical English and knows nothing.

- **Corpus**: {corpus["words"]:,} words in {corpus["documents"]:,} docstrings of
  {", ".join(corpus["libraries"])}; sha256 `{corpus["sha256"]}`. Split by module: 80 % for training,
  10 % for validation, 10 % for test.
- **Run**: {record["steps"]:,} steps, {record["tokens"]:,} tokens ({record["epochs"]:.1f} passes),
  {record["seconds"] / 60:.0f} minutes on {record["machine"]}.
- **Recipe**: Llama's architecture (root-mean-square norms, rotary positions, SwiGLU) with a tied
  output, byte-level BPE of {VOCAB_SIZE:,} tokens, contexts of {LENGTH}, Muon and AdamW.
  `record.json` has all settings and the curve.

Loss on the test split in nats per token and in bits per byte of text, in windows of {LENGTH}
tokens, beside what counting reaches on the same tokens with all the context it can use:

| | nats per token | bits per byte |
| --- | ---: | ---: |
{table}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "ptft/pretrained/decoder"
model = AutoModelForCausalLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
```
"""


def main() -> None:
    """Pretrain, score and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DECODER, help="folder for the model")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()
    set_threads(arguments.threads)

    corpus = load_docstrings()
    tokenizer = Tokenizer.train_byte_pairs(texts(corpus, "train"), VOCAB_SIZE)
    train = tokens(corpus, "train", tokenizer)
    windows = overlapping_windows(train, LENGTH)
    held_out = overlapping_windows(tokens(corpus, "validation", tokenizer), LENGTH)
    print(f"{len(train):,} training tokens, corpus {corpus.sha256[:12]}", flush=True)

    run = json.dumps([corpus.sha256, LENGTH, asdict(RECIPE)])
    checkpoint = cache_dir() / f"decoder-{sha256_bytes(run.encode())[:12]}.safetensors"
    model, history = pretrain_decoder(windows, shuffled(held_out, 512), RECIPE, checkpoint)

    test = tokens(corpus, "test", tokenizer)
    losses = test_losses(model, train, test)
    size = sum(len(text.encode()) for text in texts(corpus, "test"))
    seen = RECIPE.steps * RECIPE.batch_size * LENGTH
    record = {
        "corpus": describe(corpus),
        "settings": asdict(RECIPE),
        "length": LENGTH,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": RECIPE.steps,
        "tokens": seen,
        "epochs": seen / len(train),
        "seconds": history.rows[-1]["seconds"],
        "machine": machine(),
        "tokens_per_byte": len(test) / size,
        "test_loss": losses,
        "test_bits_per_byte": {
            name: bits_per_byte(loss * len(test), size) for name, loss in losses.items()
        },
        "rows": [row for row in history.rows if row["split"] == "validation" or row["step"] <= 50],
    }
    save_model(arguments.out, model, tokenizer, record, card(record))
    print({name: round(bits, 3) for name, bits in record["test_bits_per_byte"].items()})
    print(f"The model is in {arguments.out}.")


if __name__ == "__main__":
    main()
