"""`python -m ptft evaluate`: the loss of a model beside what counting reaches on the same text."""

import argparse
import math
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptft.cli.sources import exact_limit, exact_windows, read_documents, scored_batches
from ptft.core.compute import generator
from ptft.data.language import exact_language
from ptft.data.limits import bigram_entropy, unigram_entropy
from ptft.models.heads import CausalLanguageModel, LanguageModel
from ptft.models.kneser_ney import KneserNey
from ptft.pretrained import load_model
from ptft.text.batches import pad
from ptft.text.tokenizer import CLS, SEP, Tokenizer
from ptft.training.losses import causal_loss, masked_loss, mean_loss

ORDER = 5
MOST_COUNTED = 20_000  # documents that the n-grams are counted on
MOST_SCORED = 2_000  # documents


def evaluate(args: argparse.Namespace) -> None:
    """Print losses per token to standard output, best last.

    Raises:
        DataError: If the folder holds no model, or a damaged one, or the text cannot be read.
        ValueError: If `--length` is not in the model's context.
    """
    model, tokenizer = load_model(args.model)
    length = model.config.max_len if args.length is None else args.length
    if not 3 <= length <= model.config.max_len:
        raise ValueError(
            f"--length must be in [3, {model.config.max_len}], the model's context, got {length}"
        )
    if args.data == "exact":
        _exact(model, tokenizer, length)
    else:
        _text(model, tokenizer, args.data, length)


def _exact(model: LanguageModel, tokenizer: Tokenizer, length: int) -> None:
    language = exact_language()
    if tokenizer.tokens(range(len(tokenizer))) != list(language.words):
        raise ValueError("the model's words are not those of the exact language: give other --data")
    ids = exact_windows(language, 300, length, generator(2))
    causal = isinstance(model, CausalLanguageModel)
    batches = scored_batches(ids, causal, len(tokenizer))
    loss = mean_loss(model, causal_loss if causal else masked_loss, batches)
    limit = exact_limit(ids, batches)
    rows = [("unigram", unigram_entropy(language))]
    if causal:
        rows.append(("bigram", bigram_entropy(language)))
    print(f"exact language: {len(ids)} texts of {length - 1} words")
    _table([*rows, ("this model", loss), ("exact limit", limit)], None)
    print(f"gap to the limit: {loss - limit:.4f} nats per token")


def _text(model: LanguageModel, tokenizer: Tokenizer, data: str, length: int) -> None:
    documents = list(islice(read_documents(data, "test"), MOST_SCORED))
    encoded = tokenizer.encode_all(documents, add_special_tokens=False)
    causal = isinstance(model, CausalLanguageModel)
    batches = _batches(encoded, causal, length, len(tokenizer))
    loss = mean_loss(model, causal_loss if causal else masked_loss, batches)
    targets = _tensors(encoded) if causal else [batch.targets for batch in batches]
    some = list(islice(read_documents(data, "train"), MOST_COUNTED))
    counted = _tensors(tokenizer.encode_all(some, add_special_tokens=False))
    rows = []
    for order in (1, ORDER) if causal else (1,):
        ngrams = KneserNey.fit(counted, order, len(tokenizer))
        log_probs = np.concatenate([ngrams.log_probs(ids) for ids in targets])
        rows.append((f"Kneser-Ney, order {order}" if order > 1 else "unigram", -log_probs.mean()))
    scored, size = sum(map(len, targets)), sum(len(text.encode()) for text in documents)
    print(f"{data}: {len(documents):,} documents, {scored:,} tokens scored, {size:,} bytes")
    print(f"n-grams are counted on {sum(map(len, counted)):,} tokens of its training part")
    lossless = causal and [*map(tokenizer.decode, encoded)] == documents
    _table([*rows, ("this model", loss)], scored / size if lossless else None)


def _tensors(encoded: list[list[int]]) -> list[Tensor]:
    return [torch.tensor(ids, dtype=torch.long) for ids in encoded]


def _batches(encoded: list[list[int]], causal: bool, length: int, vocab_size: int) -> list[Any]:
    """Cut documents into pieces of at most `length` with `[CLS]`, and pad those of like length."""
    room, end = (length - 1, []) if causal else (length - 2, [SEP])
    pieces = [[CLS, *ids[i : i + room], *end] for ids in encoded for i in range(0, len(ids), room)]
    pieces.sort(key=len)
    batches: list[Any] = []
    for i in range(0, len(pieces), 32):
        ids, attend = pad(pieces[i : i + 32], length)
        batches += scored_batches(ids, causal, vocab_size, attend)
    return batches


def _table(rows: list[tuple[str, float]], tokens_per_byte: float | None) -> None:
    unit = "" if tokens_per_byte is None else "  bits per byte"
    print(f"{'':22}nats per token  perplexity{unit}")
    for name, loss in rows:
        bits = "" if tokens_per_byte is None else f"{loss * tokens_per_byte / math.log(2):15.3f}"
        print(f"{name:22}{loss:14.4f}{math.exp(loss):12.1f}{bits}")
