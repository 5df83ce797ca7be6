"""The recipe of the course's own encoder and decoder, on windows of an endless text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gensim.models import Word2Vec
from torch import Tensor, nn

from ptft.core.compute import generator, seed_everything
from ptft.models.config import TransformerConfig
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel
from ptft.text.batches import CausalBatch, MaskedBatch, epoch_rows, mask_tokens
from ptft.training.loop import History, NextBatch, TrainConfig, train
from ptft.training.losses import Loss, causal_loss, masked_loss, mean_loss
from ptft.training.optimisers import muon
from ptft.training.schedules import warmup_linear

EVALUATION_RATE = 0.15  # BERT's; the training rate may differ, the yardstick does not


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one pretraining run.

    Attributes:
        model: The encoder, or the decoder.
        steps: Number of updates.
        batch_size: Windows per update.
        mask_rate: Share of tokens that an encoder is to predict; a decoder predicts all. More than
            BERT's 15 % gives a small model more signal per token (Wettig et al. 2023, sec. 4).
        lr: Learning rate of Muon for the matrices.
        adamw_lr: Learning rate of AdamW for embeddings and vectors.
        warmup: Steps of linear warm-up; then a linear decay from half of the run on.
        seed: Decides initialisation, data order and masks.
        evaluate_every: Steps between evaluations on the validation windows.
    """

    model: TransformerConfig
    steps: int
    batch_size: int = 64
    mask_rate: float = 0.3
    lr: float = 0.02
    adamw_lr: float = 3e-3
    warmup: int = 50
    seed: int = 0
    evaluate_every: int = 200
    train: TrainConfig = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.mask_rate < 1:
            raise ValueError(f"mask_rate must be in (0, 1), got {self.mask_rate}")
        loop = TrainConfig(
            steps=self.steps,
            seed=self.seed,
            evaluate_every=self.evaluate_every,
            checkpoint_every=self.evaluate_every,
        )
        object.__setattr__(self, "train", loop)


def word2vec_embeddings(
    documents: Sequence[Sequence[int]], vocab_size: int, d_model: int, seed: int = 0
) -> Tensor:
    """Return word2vec vectors of all token ids, to start an embedding matrix from.

    Skip-gram with negative sampling (Mikolov et al. 2013b) by gensim, one thread, so that the same
    seed gives the same vectors. A masked model that starts from these skips the plateau at the
    unigram loss.

    Args:
        documents: Token ids without special tokens.
        vocab_size: Rows of the result.
        d_model: Columns of the result.
        seed: Decides initial vectors and negatives.

    Returns:
        `(vocab_size, d_model)`, standard deviation 0.1: large enough that the first steps of AdamW
        do not wash the vectors out. Ids that never occur get random rows.
    """
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, (vocab_size, d_model)).astype(np.float32)
    sentences = [[str(i) for i in document] for document in documents]
    vectors = Word2Vec(
        sentences, vector_size=d_model, sg=1, window=5, negative=5, min_count=1, epochs=3,
        sample=1e-4, workers=1, seed=seed,
    ).wv  # fmt: skip
    known = vectors.vectors - vectors.vectors.mean(axis=0)
    matrix[[int(key) for key in vectors.index_to_key]] = known / known.std()
    return torch.from_numpy(matrix) * 0.1


def evaluation_batches(windows: Tensor, vocab_size: int, batch_size: int = 64) -> list[MaskedBatch]:
    """Mask `(N, T)` windows once, as BERT does, for every evaluation to score the same tokens."""
    draws = generator(12345)
    return [
        mask_tokens(rows.long(), EVALUATION_RATE, vocab_size, draws)
        for rows in windows.split(batch_size)
    ]


def pretrain_encoder(
    windows: Tensor,
    validation: Tensor,
    config: PretrainConfig,
    embeddings: Tensor | None = None,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
) -> tuple[MaskedLanguageModel, History]:
    """Train a masked language model.

    Args:
        windows: `(N, T)` packed training windows, see `ptft.text.batches.pack`.
        validation: `(M, T)` packed held-out windows.
        config: The recipe.
        embeddings: `(V, D)` initial token embeddings, or None for small random ones.
        checkpoint: File to resume from and to write to.
        stop_after: Return after this step, see `ptft.training.loop.train`.

    Returns:
        The model and the history; validation rows hold the masked loss in nats per masked token.
    """
    vocab_size = config.model.vocab_size
    seed_everything(config.seed)
    model = MaskedLanguageModel(config.model)
    if embeddings is not None:
        with torch.no_grad():
            model.trunk.embedding.weight.copy_(embeddings)
    held_out = evaluation_batches(validation, vocab_size)

    def next_batch(step: int, draws: torch.Generator) -> MaskedBatch:
        rows = epoch_rows(len(windows), config.batch_size, step, config.seed)
        return mask_tokens(windows[rows].long(), config.mask_rate, vocab_size, draws)

    history = _pretrain(model, masked_loss, next_batch, held_out, config, checkpoint, stop_after)
    return model, history


def pretrain_decoder(
    windows: Tensor,
    validation: Tensor,
    config: PretrainConfig,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
) -> tuple[CausalLanguageModel, History]:
    """Train a causal language model; every token of a window but its first is a target.

    Args:
        windows: `(N, T + 1)` windows, see `ptft.text.token_file.overlapping_windows`. They may lie
            in a file: the rows of a batch are read when they are needed.
        validation: `(M, T + 1)` held-out windows.
        config: The recipe.
        checkpoint: File to resume from and to write to.
        stop_after: Return after this step, see `ptft.training.loop.train`.

    Returns:
        The model and the history; validation rows hold the loss in nats per token.
    """
    seed_everything(config.seed)
    model = CausalLanguageModel(config.model)
    held_out = [CausalBatch(rows.long(), None) for rows in validation.split(64)]

    def next_batch(step: int, draws: torch.Generator) -> CausalBatch:
        rows = epoch_rows(len(windows), config.batch_size, step, config.seed)
        return CausalBatch(windows[rows].long(), None)

    history = _pretrain(model, causal_loss, next_batch, held_out, config, checkpoint, stop_after)
    return model, history


def _pretrain(
    model: nn.Module,
    loss_fn: Loss,
    next_batch: NextBatch,
    held_out: list[Any],
    config: PretrainConfig,
    checkpoint: str | Path | None,
    stop_after: int | None,
) -> History:
    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"loss": mean_loss(model, loss_fn, held_out)}

    return train(
        model,
        loss_fn,
        next_batch,
        muon(model, lr=config.lr, adamw_lr=config.adamw_lr),
        config.train,
        schedule=warmup_linear(config.steps, config.warmup, decay_from=0.5),
        evaluate=evaluate,
        checkpoint=checkpoint,
        stop_after=stop_after,
    )
