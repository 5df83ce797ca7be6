"""Small Transformers on the exact language: close to the limit, and never below it.

Model and limit are scored on the same texts and masks, so the standard error is that of the paired
difference. The distances are wide: these runs take seconds, the chapters' take a minute.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ptft.core.compute import generator, seed_everything
from ptft.data.language import exact_language
from ptft.data.limits import (
    bigram_entropy,
    masked_log_probs,
    next_token_log_probs,
)
from ptft.models.config import TransformerConfig
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel
from ptft.text.batches import CausalBatch, MaskedBatch, mask_tokens
from ptft.training.loop import TrainConfig, train
from ptft.training.losses import causal_loss, masked_loss
from ptft.training.optimisers import muon
from ptft.training.schedules import warmup_linear

LANGUAGE = exact_language()
VOCAB_SIZE = len(LANGUAGE.words)
LENGTH = 64
BATCH = 32


def config(causal: bool) -> TransformerConfig:
    return TransformerConfig(
        VOCAB_SIZE, d_model=64, n_heads=4, n_layers=2, d_ff=128, max_len=LENGTH, causal=causal
    )


def batch_ids(texts: Tensor, step: int) -> Tensor:
    return texts[step * BATCH : (step + 1) * BATCH]


def paired_gap(difference: Tensor, text: Tensor) -> tuple[float, float]:
    """Return the mean difference per token and its standard error; texts are independent draws.

    Args:
        difference: (N,) loss of the model minus the limit, per scored token.
        text: (N,) number of the text that the token is in.
    """
    mean = difference.mean()
    per_text = torch.zeros(int(text.max()) + 1, dtype=torch.float64)
    per_text.index_add_(0, text, difference - mean)
    return mean.item(), per_text.norm().item() / len(difference)


@torch.no_grad()
def causal_gap(model: CausalLanguageModel) -> tuple[float, float]:
    ids = LANGUAGE.sample(300, LENGTH, generator(1)).ids
    logits = model(ids)[:, :-1]  # (B, T-1, V)
    loss = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    limit = -next_token_log_probs(LANGUAGE, ids)[:, 1:]
    text = torch.arange(len(ids)).repeat_interleave(LENGTH - 1)
    return paired_gap((loss.double() - limit).flatten(), text)


@torch.no_grad()
def masked_gap(model: MaskedLanguageModel) -> tuple[float, float]:
    """Score BERT's own corruption: 15 % selected, 80/10/10."""
    ids = LANGUAGE.sample(500, LENGTH, generator(2)).ids
    batch = mask_tokens(ids, 0.15, VOCAB_SIZE, generator(3))
    loss = F.cross_entropy(model(batch.ids, None, batch.selected), batch.targets, reduction="none")
    limit = -masked_log_probs(LANGUAGE, batch.ids, batch.selected, ids, rate=0.15)
    return paired_gap(loss.double() - limit, batch.selected.nonzero()[:, 0])


def test_causal_model_comes_within_a_tenth_of_a_nat_of_its_limit() -> None:
    steps = 200
    texts = LANGUAGE.sample(steps * BATCH, LENGTH, generator(4)).ids
    seed_everything(0)
    model = CausalLanguageModel(config(causal=True))

    def next_batch(step: int, draws: torch.Generator) -> CausalBatch:
        return CausalBatch(batch_ids(texts, step), None)

    start, _ = causal_gap(model)
    train(
        model, causal_loss, next_batch, muon(model), TrainConfig(steps),
        schedule=warmup_linear(steps, warmup=20, decay_from=0.4),
    )  # fmt: skip
    gap, error = causal_gap(model)
    assert start > 3
    assert -3 * error < gap < 0.1
    # What a model of one token of context could reach at best is further away.
    limit = -next_token_log_probs(LANGUAGE, texts[:300])[:, 1:].mean().item()
    assert limit + gap < bigram_entropy(LANGUAGE)


def test_masked_model_comes_near_its_limit() -> None:
    steps = 400
    texts = LANGUAGE.sample(steps * BATCH, LENGTH, generator(5)).ids
    seed_everything(0)
    model = MaskedLanguageModel(config(causal=False))

    def next_batch(step: int, draws: torch.Generator) -> MaskedBatch:
        # More visible targets than BERT has: to trust a word that stands there is slow to learn.
        ids = batch_ids(texts, step)
        return mask_tokens(ids, 0.4, VOCAB_SIZE, draws, scheme=(0.6, 0.2, 0.2))

    start, _ = masked_gap(model)
    train(
        model, masked_loss, next_batch, muon(model), TrainConfig(steps),
        schedule=warmup_linear(steps, warmup=20, decay_from=0.4),
    )  # fmt: skip
    gap, error = masked_gap(model)
    assert start > 3
    assert -3 * error < gap < 0.4
