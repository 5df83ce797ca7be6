"""fastText's supervised model: a linear classifier on the mean vector of words and bigrams."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.text.batches import epoch_rows
from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary
from ptft.training.loop import History, TrainConfig, train
from ptft.training.schedules import warmup_linear


@dataclass(frozen=True)
class BagClassifierConfig:
    """Settings of the classifier; the defaults are near the paper's (sec. 3.1).

    Attributes:
        d_model: Length D of a vector.
        buckets: Rows that bigrams are hashed into; 0 leaves bigrams out.
        epochs: Passes over the texts.
        lr: Learning rate per text; falls linearly to zero.
        batch_size: Texts per update; their updates add up.
        seed: Decides the first vectors and the order of texts.
    """

    d_model: int = 10
    buckets: int = 100_000
    epochs: int = 5
    lr: float = 0.25
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("d_model", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.buckets < 0:
            raise ValueError(f"buckets must not be negative, got {self.buckets}")
        if self.lr <= 0:
            raise ValueError(f"lr must be positive, got {self.lr}")


class BagBatch(NamedTuple):
    """Texts as rows of the table, one after the other, and their classes."""

    rows: Tensor  # (N,) int64
    offsets: Tensor  # (B,) int64, where each text begins in `rows`
    labels: Tensor  # (B,) int64


class BagClassifier(nn.Module):
    r"""Scores the classes of a text with N rows $x_n$, those of its words and its bigrams.

    $$s = W \, \frac1N \sum_{n=1}^{N} z_{x_n}$$

    Args:
        vocabulary: V words; others are left out.
        n_classes: C.
        config: D and the number of buckets.

    Raises:
        ValueError: If there are fewer than two classes.

    Source:
        Joulin et al. 2017, sec. 2; no bias and W = 0 at first, as in fastText's program.
    """

    def __init__(self, vocabulary: Vocabulary, n_classes: int, config: BagClassifierConfig):
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {n_classes}")
        self.vocabulary, self.buckets = vocabulary, config.buckets
        self.table = nn.Embedding(len(vocabulary) + config.buckets, config.d_model, sparse=True)
        nn.init.uniform_(self.table.weight, -1 / config.d_model, 1 / config.d_model)
        self.output = nn.Linear(config.d_model, n_classes, bias=False)
        nn.init.zeros_(self.output.weight)

    def rows_of(self, text: Sequence[str]) -> list[int]:
        """Return the rows of known words, then those of bigrams of words that are neighbours.

        Raises:
            TypeError: If `text` is a string, not a list of words.
        """
        ids = self.vocabulary.encode(text)
        if self.buckets == 0:
            return ids
        first = len(self.vocabulary)  # fastText's hash of two ids, from its `addNgrams`:
        hashed = [(a * 116_049_371 + b) % self.buckets for a, b in pairwise(ids)]
        return ids + [first + bucket for bucket in hashed]

    def forward(self, rows: Tensor, offsets: Tensor) -> Tensor:
        """Return the scores of texts given as in `BagBatch`, (B, C); 0 for a text without rows."""
        means = F.embedding_bag(rows, self.table.weight, offsets, mode="mean", sparse=True)
        scores: Tensor = self.output(means)
        return scores

    @torch.no_grad()
    def predict(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Return the class of each text, (B,).

        Raises:
            TypeError: If `texts` or one of them is a string.
            ValueError: If there is no text.
        """
        batch = bag_batch(bags(self, texts), [0] * len(texts))
        return self(batch.rows, batch.offsets).argmax(dim=1)


def bags(model: BagClassifier, texts: Sequence[Sequence[str]]) -> list[Tensor]:
    """Return the rows of each text, as int64.

    Raises:
        TypeError: If `texts` or one of them is a string.
        ValueError: If there is no text.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be lists of words, got a string")
    if len(texts) == 0:
        raise ValueError("expected at least one text, got none")
    return [torch.tensor(model.rows_of(text), dtype=torch.int64) for text in texts]


def bag_batch(chosen: Sequence[Tensor], labels: Sequence[int]) -> BagBatch:
    """Put texts, as rows, into one batch."""
    sizes = torch.tensor([len(rows) for rows in chosen])
    return BagBatch(torch.cat(list(chosen)), sizes.cumsum(0) - sizes, torch.tensor(labels))


def bag_loss(model: nn.Module, batch: BagBatch) -> tuple[Tensor, int]:
    r"""Return $-\sum_n \log p(y_n \mid x_n)$ in nats, and the number of texts.

    Source:
        Joulin et al. 2017, sec. 2.
    """
    scores = model(batch.rows, batch.offsets)  # (B, C)
    return F.cross_entropy(scores, batch.labels, reduction="sum"), len(batch.labels)


def train_bag_classifier(
    texts: Sequence[Sequence[str]],
    labels: Sequence[int],
    vocabulary: Vocabulary,
    n_classes: int,
    config: BagClassifierConfig,
    pretrained: WordVectors | None = None,
) -> tuple[BagClassifier, History]:
    """Train the classifier by stochastic gradient descent.

    Args:
        texts: Lists of words.
        labels: A class from 0 to C - 1 for each text.
        vocabulary: The words with a row.
        n_classes: C.
        config: See `BagClassifierConfig`.
        pretrained: First vectors for those words of the vocabulary that it has; D must agree.

    Raises:
        TypeError: If `texts` or one of them is a string.
        ValueError: If there is no text, the lengths differ, a label is no class, or `pretrained`
            has vectors of another length.
    """
    if len(texts) != len(labels):
        raise ValueError(f"got {len(texts)} texts, but {len(labels)} labels")
    torch.manual_seed(config.seed)
    model = BagClassifier(vocabulary, n_classes, config)
    rows = bags(model, texts)
    if min(labels) < 0 or max(labels) >= n_classes:
        raise ValueError(f"labels must be in [0, {n_classes}), got {min(labels)} to {max(labels)}")
    if pretrained is not None:
        if pretrained.matrix.shape[1] != config.d_model:
            raise ValueError(
                f"vectors must have length d_model = {config.d_model}, "
                f"got {pretrained.matrix.shape[1]}"
            )
        for i, word in enumerate(vocabulary.words):
            if word in pretrained:
                model.table.weight.data[i] = pretrained[word]

    def next_batch(step: int, generator: torch.Generator) -> BagBatch:
        chosen = epoch_rows(len(rows), config.batch_size, step, config.seed).tolist()
        return bag_batch([rows[i] for i in chosen], [labels[i] for i in chosen])

    steps = config.epochs * -(-len(rows) // config.batch_size)
    loop = TrainConfig(steps, config.seed, clip_norm=None, average=False, log_every=100)
    optimiser = torch.optim.SGD(model.parameters(), lr=config.lr)
    history = train(model, bag_loss, next_batch, [optimiser], loop, warmup_linear(steps))
    return model, history
