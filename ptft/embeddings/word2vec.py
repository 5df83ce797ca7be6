"""word2vec: vectors that predict the words around a word, or the word from those around it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.core import sha256_bytes
from ptft.embeddings.huffman import WordPaths, huffman_paths
from ptft.embeddings.windows import WindowBatch, Windows
from ptft.text.encoded import EncodedCorpus
from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary
from ptft.training.loop import History, TrainConfig, train
from ptft.training.losses import Loss
from ptft.training.optimisers import SparseSGD
from ptft.training.schedules import warmup_linear

Architecture = Literal["skip-gram", "cbow"]
Objective = Literal["negative sampling", "hierarchical softmax", "full softmax"]


@dataclass(frozen=True)
class Word2VecConfig:
    """Settings of word2vec; the defaults are gensim's, but skip-gram.

    Attributes:
        architecture: "skip-gram" predicts each word of the window from the centre; "cbow" predicts
            the centre from the mean of the window.
        objective: How the probability of a word is modelled.
        d_model: Length of a vector.
        window: Largest distance of a context.
        negatives: Noise words k per pair, for negative sampling.
        threshold: Of subsampling frequent words; 1 keeps all.
        epochs: Passes over the corpus.
        lr: Learning rate per pair; falls linearly to zero.
        batch_words: Words of the corpus per update.
        most: A row of a matrix that a batch uses more often learns as if from so many uses; without
            it frequent words diverge in large batches (`ptft.training.optimisers.SparseSGD`). A few
            hundred words with a wide window need less: 8.
        seed: Decides the first vectors, thinning, windows and noise.
    """

    architecture: Architecture = "skip-gram"
    objective: Objective = "negative sampling"
    d_model: int = 100
    window: int = 5
    negatives: int = 5
    threshold: float = 1e-3
    epochs: int = 5
    lr: float = 0.025
    batch_words: int = 1024
    most: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("architecture", self.architecture, get_args(Architecture)),
            ("objective", self.objective, get_args(Objective)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for name in ("d_model", "window", "negatives", "epochs", "batch_words", "most"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be in (0, 1], got {self.threshold}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


class WordPredictor(nn.Module):
    """Two matrices: a word has one vector as input, and one as what is to be predicted.

    Gradients are sparse: a step moves the rows of its words and leaves all others alone.

    Args:
        inputs: Maps ids (...) to vectors (..., D). `nn.Embedding` for word2vec; FastText puts
            words together from n-grams here.
        rows: Rows of the output matrix: V words, or V - 1 nodes of a tree.
        d_model: D.
    """

    def __init__(self, inputs: nn.Module, rows: int, d_model: int):
        super().__init__()
        self.inputs = inputs
        self.outputs = nn.Embedding(rows, d_model, sparse=True)
        nn.init.zeros_(self.outputs.weight)  # all words are equally likely at first

    def forward(self, ids: Tensor) -> Tensor:
        """Return the input vectors of ids (...), shape (..., D)."""
        vectors: Tensor = self.inputs(ids)
        return vectors


def word_table(vocab_size: int, d_model: int) -> nn.Embedding:
    """Return a trainable table of small random vectors, as word2vec.c draws them."""
    table = nn.Embedding(vocab_size, d_model, sparse=True)
    nn.init.uniform_(table.weight, -0.5 / d_model, 0.5 / d_model)
    return table


def predictions(
    model: WordPredictor, batch: WindowBatch, architecture: Architecture
) -> tuple[Tensor, Tensor]:
    """Return what predicts, and which of `batch.contexts` it is to predict.

    Skip-gram predicts all words in the window of a centre from the centre's vector. CBOW predicts
    the centre itself from the mean vector of its window. The mean shares its gradient out among n
    words; word2vec.c and gensim give each of them all of it, n times as much (Irsoy et al. 2021).

    Returns:
        Vectors (C, L, D), and a mask (C, L, L + 2w), True = to be predicted.
    """
    if architecture == "skip-gram":
        return model(batch.centres), batch.inside
    vectors = model(batch.contexts)  # (C, L + 2w, D)
    size = batch.inside.sum(dim=2, keepdim=True)  # (C, L, 1) words in each window
    weights = batch.inside.to(vectors.dtype) / size.clamp(min=1)  # (C, L, L + 2w)
    width, length = batch.contexts.shape[1], batch.centres.shape[1]
    itself = torch.eye(length, width, dtype=torch.bool).roll((width - length) // 2, dims=1)
    return weights @ vectors, itself & (size > 0)


def negative_sampling_loss(architecture: Architecture, negatives: int) -> Loss:
    r"""Return the loss of negative sampling, whose noise is shared within a chunk.

    $$-\sum_{(i,o)} \big[\log \sigma(u_o \cdot v_i)
      + \tfrac{k}{K} \sum_{n=1}^{K} \log \sigma(-u_n \cdot v_i)\big]$$

    K noise words for all pairs of a chunk instead of k for each: the expectation is the same, and
    the products of words are products of matrices. As in the equation, noise may hit upon the very
    word that is predicted; word2vec.c skips it then.

    Source:
        Mikolov et al. 2013b, eq. 4; sharing noise: Ji et al. 2016 (arXiv:1604.04661), sec. 3.
    """

    def loss(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, int]:
        assert isinstance(model, WordPredictor)
        hidden, wanted = predictions(model, batch, architecture)
        words = torch.cat([batch.contexts, batch.noise], dim=1)  # (C, L + 2w + K)
        scores = model.outputs(words) @ hidden.mT  # (C, L + 2w + K, L)
        context, noise = scores.split([batch.contexts.shape[1], batch.noise.shape[1]], dim=1)
        pairs = wanted.sum(dim=2)  # (C, L)
        found = (F.logsigmoid(context) * wanted.mT).sum()
        avoided = (F.logsigmoid(-noise).sum(dim=1) * pairs).sum() / batch.noise.shape[1]
        return -(found + negatives * avoided), int(pairs.sum())

    return loss


def full_softmax_loss(architecture: Architecture) -> Loss:
    r"""Return $-\sum_{(i,o)} \log p(o \mid i)$ with a softmax over the whole vocabulary.

    Source:
        Mikolov et al. 2013b, eq. 2.
    """

    def loss(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, int]:
        assert isinstance(model, WordPredictor)
        hidden, wanted = predictions(model, batch, architecture)
        log_p = (hidden @ model.outputs.weight.T).log_softmax(dim=2)  # (C, L, V)
        columns = batch.contexts[:, None].expand_as(wanted)  # (C, L, L + 2w)
        return -log_p.gather(2, columns).masked_select(wanted).sum(), int(wanted.sum())

    return loss


def hierarchical_softmax_loss(architecture: Architecture, paths: WordPaths) -> Loss:
    r"""Return $-\sum_{(i,o)} \log p(o \mid i)$, $p$ a product of turns on the way to the word.

    $$p(o \mid i) = \prod_{j} \sigma(\pm u_{n(o,j)} \cdot v_i)$$

    Source:
        Mikolov et al. 2013b, eq. 3.
    """

    def loss(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, int]:
        assert isinstance(model, WordPredictor)
        hidden, wanted = predictions(model, batch, architecture)
        path = paths.nodes[batch.contexts]  # (C, L + 2w, P)
        turns = paths.turns[batch.contexts][:, None] * wanted[..., None]  # (C, L, L + 2w, P)
        nodes = model.outputs(path)  # (C, L + 2w, P, D)
        scores = hidden @ nodes.flatten(1, 2).mT  # (C, L, (L + 2w) P)
        scores = scores.view_as(turns).masked_select(turns != 0)
        turns = turns.masked_select(turns != 0)
        return -F.logsigmoid(scores * turns).sum(), int(wanted.sum())

    return loss


@dataclass(frozen=True, eq=False)
class TrainedWords:
    """A trained model with its words and the history of its training."""

    model: WordPredictor
    vocabulary: Vocabulary
    history: History

    @property
    def vectors(self) -> WordVectors:
        """The input vectors, which everybody uses."""
        with torch.no_grad():
            ids = torch.arange(len(self.vocabulary))
            return WordVectors(self.vocabulary.words, self.model(ids))

    @property
    def output_vectors(self) -> WordVectors:
        """The vectors of words as predicted ones (not for the hierarchical softmax: it has none).

        Raises:
            ValueError: If the output rows are nodes of a tree.
        """
        weight = self.model.outputs.weight
        if len(weight) != len(self.vocabulary):
            raise ValueError("the hierarchical softmax has vectors of tree nodes, not of words")
        return WordVectors(self.vocabulary.words, weight)


def train_word2vec(
    corpus: EncodedCorpus,
    vocabulary: Vocabulary,
    config: Word2VecConfig,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
) -> TrainedWords:
    """Train word2vec; the history's loss is in nats per predicted word.

    Args:
        corpus: Word ids, in memory or on disk.
        vocabulary: That of the corpus, two words or more.
        config: See `Word2VecConfig`.
        checkpoint: File to resume from if it exists, and to write to after each pass.
        stop_after: Return after this step, see `ptft.training.loop.train`.

    Raises:
        ValueError: If the vocabulary has one word only.
        RuntimeError: If the run diverged.
        DataError: If the checkpoint is damaged, or of other settings or words.
    """
    torch.manual_seed(config.seed)
    table = word_table(len(vocabulary), config.d_model)
    return train_predictor(table, corpus, vocabulary, config, checkpoint, stop_after)


def train_predictor(
    inputs: nn.Module,
    corpus: EncodedCorpus,
    vocabulary: Vocabulary,
    config: Word2VecConfig,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
) -> TrainedWords:
    """Train `inputs`, which map word ids (...) to vectors (..., D), as `train_word2vec` does."""
    if len(vocabulary) < 2:
        raise ValueError(f"there is nothing to predict with {len(vocabulary)} word(s)")
    rows, loss = len(vocabulary), full_softmax_loss(config.architecture)
    if config.objective == "negative sampling":
        loss = negative_sampling_loss(config.architecture, config.negatives)
    elif config.objective == "hierarchical softmax":
        rows = rows - 1
        loss = hierarchical_softmax_loss(config.architecture, huffman_paths(vocabulary))
    model = WordPredictor(inputs, rows, config.d_model)
    windows = Windows(corpus, vocabulary, config.window, config.threshold, config.batch_words)
    steps = config.epochs * windows.steps_per_epoch
    words = sha256_bytes(" ".join(vocabulary.words).encode())
    loop = TrainConfig(
        steps,
        config.seed,
        clip_norm=None,
        average=False,
        log_every=20,
        checkpoint_every=windows.steps_per_epoch,
        about=f"{config}, words {words[:16]}",
    )
    optimiser = SparseSGD(model.parameters(), lr=config.lr, most=config.most)
    schedule = warmup_linear(steps)
    history = train(model, loss, windows, [optimiser], loop, schedule, None, checkpoint, stop_after)
    start, end = (config.negatives + 1) * math.log(2), history.last("loss", "train")
    if config.objective == "negative sampling" and end > 1.5 * start:
        raise RuntimeError(
            f"the run diverged: its loss ended at {end:.3g}, knowing nothing costs {start:.3g}: "
            "lower lr, most or batch_words"
        )
    return TrainedWords(model, vocabulary, history)
