"""GloVe: vectors whose products are the logarithms of co-occurrence counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.optim import Optimizer

from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary
from ptft.training.loop import TrainConfig, train

_BLOCK = 1 << 18  # counts whose error is computed at a time


@dataclass(frozen=True)
class GloVeConfig:
    """Settings of GloVe; the defaults are the paper's (sec. 3 and 4.2), but a smaller D.

    Attributes:
        d_model: Length D of a vector.
        x_max: Count from which on the weight is 1. 100 is for billions of words; 10 for millions.
        alpha: Exponent of the weight below.
        epochs: Passes over the counts.
        lr: Learning rate of AdaGrad.
        batch_size: Counts per update. The paper updates after each; see `train_glove`.
        seed: Decides the first vectors and the order of the counts.
    """

    d_model: int = 50
    x_max: float = 100.0
    alpha: float = 0.75
    epochs: int = 15
    lr: float = 0.05
    batch_size: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("d_model", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("x_max", "alpha", "lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


class CountBatch(NamedTuple):
    """Some of the counts that are not zero."""

    rows: Tensor  # (N,) int64, word i
    columns: Tensor  # (N,) int64, context j
    log_counts: Tensor  # (N,) log X_ij
    weights: Tensor  # (N,) f(X_ij)


class GloVe(nn.Module):
    r"""Two vectors and two biases per word: the model $w_i^\top \tilde w_j + b_i + \tilde b_j$.

    Args:
        vocab_size: V.
        d_model: D.

    Source:
        Pennington et al. 2014, eq. 7; small first values as in the authors' program.
    """

    def __init__(self, vocab_size: int, d_model: int):
        super().__init__()
        shapes = ((vocab_size, d_model), (vocab_size, d_model), (vocab_size,), (vocab_size,))
        w, w_context, b, b_context = ((torch.rand(shape) - 0.5) / d_model for shape in shapes)
        self.w, self.w_context = nn.Parameter(w), nn.Parameter(w_context)  # (V, D)
        self.b, self.b_context = nn.Parameter(b), nn.Parameter(b_context)  # (V,)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the fit to log X for pairs of a word (N,) and a context (N,), shape (N,)."""
        product = (self.w[rows] * self.w_context[columns]).sum(dim=1)  # (N,)
        return product + self.b[rows] + self.b_context[columns]


def glove_loss(model: nn.Module, batch: CountBatch) -> tuple[Tensor, int]:
    r"""Return the weighted squared error, and the number of counts.

    $$\sum_{ij} \tfrac12 f(X_{ij}) (w_i^\top \tilde w_j + b_i + \tilde b_j - \log X_{ij})^2$$

    Source:
        Pennington et al. 2014, eq. 8; the half is the authors' program's.
    """
    error = model(batch.rows, batch.columns) - batch.log_counts  # (N,)
    return 0.5 * (batch.weights * error.square()).sum(), len(error)


def count_weights(counts: np.ndarray, x_max: float = 100.0, alpha: float = 0.75) -> np.ndarray:
    r"""Return $f(x) = \min((x / x_{\max})^\alpha, 1)$, in the shape and type of `counts`.

    Source:
        Pennington et al. 2014, eq. 9.
    """
    return np.minimum(counts / x_max, 1) ** alpha


def all_counts(counts: csr_array, config: GloVeConfig) -> CountBatch:
    """Return all counts that are not zero as one batch.

    Raises:
        ValueError: As `check_counts`.
    """
    check_counts(counts)
    rows, columns = counts.nonzero()  # (N,) each
    x = counts.data.astype(np.float32)
    return CountBatch(
        torch.from_numpy(rows).long(),
        torch.from_numpy(columns).long(),
        torch.from_numpy(np.log(x)),
        torch.from_numpy(count_weights(x, config.x_max, config.alpha)),
    )


def check_counts(counts: csr_array, vocabulary: Vocabulary | None = None) -> None:
    """Refuse what is no square matrix of positive counts, or belongs to other words.

    Raises:
        TypeError: If `counts` is not a `scipy.sparse.csr_array`.
        ValueError: If it is not square, has fewer than 2 words or no count, its size is not that of
            `vocabulary`, or a stored count is not positive and finite.
    """
    if not isinstance(counts, csr_array):
        raise TypeError(f"counts must be a scipy.sparse.csr_array, got {type(counts).__name__}")
    size, shape = counts.shape[0], tuple(counts.shape)
    if shape != (size, size) or size < 2 or counts.nnz == 0:
        raise ValueError(f"counts must be (V, V) with V > 1, got {shape}, {counts.nnz} counts")
    if vocabulary is not None and len(vocabulary) != size:
        raise ValueError(f"counts are of {size} words, but the vocabulary has {len(vocabulary)}")
    if not (counts.data > 0).all() or not np.isfinite(counts.data).all():
        raise ValueError(f"stored counts must be positive and finite, got {counts.data.min()}")


@torch.no_grad()
def glove_cost(model: GloVe, counts: CountBatch) -> float:
    """Return the mean of the loss over all counts, the number that the authors' program prints."""
    total = 0.0
    for start in range(0, len(counts.rows), _BLOCK):
        part = CountBatch(*(column[start : start + _BLOCK] for column in counts))
        total += float(glove_loss(model, part)[0])
    return total / len(counts.rows)


@dataclass(frozen=True, eq=False)
class TrainedGloVe:
    """A fitted model with its words.

    Attributes:
        costs: Mean weighted squared error, halved, after each pass over the counts.
    """

    model: GloVe
    vocabulary: Vocabulary
    costs: Sequence[float] = field(repr=False)

    @property
    def vectors(self) -> WordVectors:
        """The sums of both vectors of each word (Pennington et al. 2014, sec. 4.2)."""
        return WordVectors(self.vocabulary.words, self.model.w + self.model.w_context)


def train_glove(counts: csr_array, vocabulary: Vocabulary, config: GloVeConfig) -> TrainedGloVe:
    """Fit GloVe by AdaGrad (Duchi et al. 2011), as the paper does, but in batches.

    The paper updates after each single count, in many threads. A batch adds up the gradients of
    its counts before AdaGrad squares them. A rare word has one count or none in a batch, so little
    changes for it; a frequent one takes fewer and longer steps.

    Args:
        counts: (V, V) as `count_cooccurrences` returns them.
        vocabulary: V words.
        config: See `GloVeConfig`.

    Raises:
        TypeError: If `counts` is not sparse.
        ValueError: If `counts` is not square, is not of this vocabulary, or has a count that is not
            positive.

    Source:
        Pennington et al. 2014, sec. 4.2.
    """
    check_counts(counts, vocabulary)
    data = all_counts(counts, config)
    torch.manual_seed(config.seed)
    model = GloVe(len(vocabulary), config.d_model)
    adagrad = torch.optim.Adagrad(model.parameters(), lr=config.lr)
    return TrainedGloVe(model, vocabulary, descend(model, data, adagrad, config))


def descend(
    model: GloVe, data: CountBatch, optimiser: Optimizer, config: GloVeConfig
) -> list[float]:
    """Lower the cost of `model` by any optimiser; return the cost after each epoch.

    Each epoch takes every count once, in a new order.
    """
    per_epoch = -(-len(data.rows) // config.batch_size)
    order = torch.empty(0, dtype=torch.long)

    def next_batch(step: int, generator: torch.Generator) -> CountBatch:
        nonlocal order
        place = step % per_epoch
        if place == 0:
            order = torch.randperm(len(data.rows), generator=generator)
        chosen = order[place * config.batch_size : (place + 1) * config.batch_size]
        return CountBatch(*(column[chosen] for column in data))

    steps = config.epochs * per_epoch
    loop = TrainConfig(steps, config.seed, clip_norm=None, evaluate_every=per_epoch)
    history = train(
        model,
        glove_loss,
        next_batch,
        [optimiser],
        loop,
        evaluate=lambda _: {"loss": glove_cost(model, data)},
    )
    return history.frame("validation")["loss"].tolist()[1:]  # the first is before any step
