"""Make the course's own encoder: `make pretrain`, or `python tools/pretrain.py --help`.

Real text in, a folder out that `ptft` and `transformers` both open. A stopped run goes on where it
was. About an hour on one CPU core, minutes on a GPU-sized machine.
"""

import argparse
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptft.core import cache_dir, sha256_bytes
from ptft.core.compute import generator, set_threads
from ptft.data.docstrings import Corpus, Split, load_docstrings
from ptft.evaluation.baselines import ClozeNgram, unigram_losses
from ptft.models.config import TransformerConfig
from ptft.pretrained import ENCODER, save_model
from ptft.text.batches import pack
from ptft.text.tokenizer import Tokenizer
from ptft.training.losses import masked_loss, mean_loss
from ptft.training.pretraining import (
    PretrainConfig,
    evaluation_batches,
    pretrain_encoder,
    word2vec_embeddings,
)

VOCAB_SIZE = 4096
LENGTH = 64
RECIPE = PretrainConfig(
    model=TransformerConfig(VOCAB_SIZE, d_model=128, n_heads=4, n_layers=4, d_ff=512, max_len=128),
    steps=7_500,
    batch_size=32,
    mask_rate=0.3,
    lr=0.01,
    adamw_lr=2e-3,
    warmup=100,
    seed=0,
    evaluate_every=375,
)


def encode_split(corpus: Corpus, split: Split, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the token ids of each document of a split, without special tokens."""
    texts = [document.text for document in corpus.split(split)]
    return tokenizer.encode_all(texts, add_special_tokens=False)


def shuffled(windows: Tensor, n: int | None = None) -> Tensor:
    """Return `n` random windows, or all, in a fixed random order."""
    return windows[torch.randperm(len(windows), generator=generator(0))[:n]]


def baselines(windows: Tensor, validation: Tensor, test: Tensor) -> dict[str, float]:
    """Score the masked tokens of the test windows by counting, with the neighbours in sight."""
    ngram = ClozeNgram(windows, VOCAB_SIZE).fit_weights(validation)
    unigram, cloze = [], []
    start = 0
    for batch in evaluation_batches(test, VOCAB_SIZE):
        original = test[start : start + len(batch.ids)]
        start += len(batch.ids)
        unigram.append(unigram_losses(windows, VOCAB_SIZE, batch.targets))
        cloze.append(ngram.losses(original, batch.selected))
    return {
        "uniform": math.log(VOCAB_SIZE),
        "unigram": float(torch.cat(unigram).mean()),
        "cloze_ngram": float(torch.cat(cloze).mean()),
    }


def describe(corpus: Corpus) -> dict[str, Any]:
    """Return what a record says of the corpus."""
    total = next(row for row in corpus.report() if row["part"] == "total")
    return {
        "sha256": corpus.sha256,
        "libraries": sorted({document.library for document in corpus.documents}),
        "documents": total["documents"],
        "words": total["words"],
    }


def machine() -> str:
    """Name the processor and the versions that a rerun should have."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    python, threads = platform.python_version(), torch.get_num_threads()
    return f"{cpu}, {threads} thread(s), Python {python}, torch {torch.__version__}"


def card(record: dict[str, Any]) -> str:
    """Write the model card from the record."""
    losses, corpus = record["test_loss"], record["corpus"]
    table = "\n".join(f"| {name.replace('_', ' ')} | {loss:.3f} |" for name, loss in losses.items())
    return f"""---
license: mit
language: en
library_name: transformers
pipeline_tag: fill-mask
---

# The course's own encoder

A masked language model of {record["parameters"]:,} parameters, pretrained from scratch by
`tools/pretrain.py` on the docstrings of ten Python libraries. It exists to be fine-tuned in a
chapter's time on a laptop; do not expect it to know anything but technical English.

- **Corpus**: {corpus["words"]:,} words in {corpus["documents"]:,} docstrings of
  {", ".join(corpus["libraries"])}; sha256 `{corpus["sha256"]}`. Split by module: 80 % for training,
  10 % for validation, 10 % for test.
- **Run**: {record["steps"]:,} steps, {record["tokens"]:,} tokens ({record["epochs"]:.1f} passes),
  {record["seconds"] / 60:.0f} minutes on {record["machine"]}.
- **Recipe**: architecture of ModernBERT with full attention, embeddings started from word2vec,
  {record["settings"]["mask_rate"]:.0%} of the tokens masked, Muon and AdamW. `record.json` has all
  settings and the curve.

Masked loss on the test split in nats per masked token (15 % masked, 80/10/10), beside what
counting reaches on the same tokens:

| | nats |
| --- | ---: |
{table}

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

folder = "ptft/pretrained/encoder"
model = AutoModelForMaskedLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
```
"""


def main() -> None:
    """Pretrain, score and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ENCODER, help="folder for the model")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()
    set_threads(arguments.threads)

    corpus = load_docstrings()
    texts = [document.text for document in corpus.split("train")]
    tokenizer = Tokenizer.train(texts, VOCAB_SIZE)
    documents = encode_split(corpus, "train", tokenizer)
    windows = pack(documents, LENGTH)
    validation = shuffled(pack(encode_split(corpus, "validation", tokenizer), LENGTH), 1024)
    test = shuffled(pack(encode_split(corpus, "test", tokenizer), LENGTH))
    print(f"{windows.numel():,} training tokens, corpus {corpus.sha256[:12]}", flush=True)

    embeddings = word2vec_embeddings(documents, VOCAB_SIZE, RECIPE.model.d_model, RECIPE.seed)
    run = json.dumps([corpus.sha256, LENGTH, asdict(RECIPE)])
    checkpoint = cache_dir() / f"pretrain-{sha256_bytes(run.encode())[:12]}.safetensors"
    model, history = pretrain_encoder(windows, validation, RECIPE, embeddings, checkpoint)

    losses = baselines(windows, validation, test)
    losses["this_model"] = mean_loss(model, masked_loss, evaluation_batches(test, VOCAB_SIZE))
    tokens = RECIPE.steps * RECIPE.batch_size * LENGTH
    record = {
        "corpus": describe(corpus),
        "settings": asdict(RECIPE),
        "length": LENGTH,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": RECIPE.steps,
        "tokens": tokens,
        "epochs": tokens / windows.numel(),
        "seconds": history.rows[-1]["seconds"],
        "machine": machine(),
        "test_loss": losses,
        "rows": [row for row in history.rows if row["split"] == "validation" or row["step"] <= 50],
    }
    save_model(arguments.out, model, tokenizer, record, card(record))
    print({name: round(loss, 3) for name, loss in losses.items()})
    print(f"The model is in {arguments.out}.")


if __name__ == "__main__":
    main()
