"""Word vectors without training: a matrix of associations, and its singular value decomposition."""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.utils.extmath import randomized_svd

from ptft.embeddings.glove import check_counts
from ptft.text.word_vectors import WordVectors
from ptft.text.words import Vocabulary


@dataclass(frozen=True)
class PPMIConfig:
    """Settings of `train_ppmi`; the defaults are what Levy, Goldberg and Dagan 2015 advise.

    Attributes:
        d_model: Length D of a vector.
        smoothing: Exponent of the context counts, in (0, 1].
        shift: log k is taken off each association; k is skip-gram's number of negative samples.
        power: Exponent of the singular values in the vectors.
        seed: Of the randomised decomposition.
    """

    d_model: int = 100
    smoothing: float = 0.75
    shift: float = 1.0
    power: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.d_model < 1:
            raise ValueError(f"d_model must be at least 1, got {self.d_model}")
        if self.power < 0:
            raise ValueError(f"power must not be negative, got {self.power}")
        _check_association(self.smoothing, self.shift)


def _check_association(smoothing: float, shift: float) -> None:
    if not 0 < smoothing <= 1:
        raise ValueError(f"smoothing must be in (0, 1], got {smoothing}")
    if not shift > 0:
        raise ValueError(f"shift must be positive, got {shift}")


def ppmi(counts: csr_array, smoothing: float = 0.75, shift: float = 1.0) -> csr_array:
    r"""Return the positive pointwise mutual information of words and contexts.

    $$M_{ij} = \max\Big(0, \log \frac{p(i, j)}{p(i) \, p_a(j)} - \log k\Big), \qquad
    p_a(j) = \frac{x_j^a}{\sum_m x_m^a}, \quad x_j = \sum_i X_{ij}$$

    Args:
        counts: (V, V), X; rows are words, columns contexts.
        smoothing: The exponent a. Below 1, it takes weight from pairs with a rare context.
        shift: k.

    Returns:
        (V, V), float32, in nats; what is zero is not stored.

    Raises:
        TypeError, ValueError: If an argument is wrong, as in `train_ppmi`.

    Source:
        Levy, Goldberg and Dagan 2015, sec. 3.2 (both hyperparameters).
    """
    check_counts(counts)
    _check_association(smoothing, shift)
    x = counts.tocoo()
    rows, columns = x.coords
    of_word = counts.sum(axis=1, dtype=np.float64)  # (V,)
    of_context = counts.sum(axis=0, dtype=np.float64) ** smoothing  # (V,)
    pmi = np.log(x.data * (of_context.sum() / (of_word[rows] * of_context[columns])))  # (N,)
    pmi -= np.log(shift)
    positive = pmi > 0
    stored = (pmi[positive].astype(np.float32), (rows[positive], columns[positive]))
    return coo_array(stored, shape=counts.shape).tocsr()


@dataclass(frozen=True, eq=False)
class FactorisedPPMI:
    """Vectors, and the singular values of the matrix they come from.

    Attributes:
        singular_values: (D,), falling.
    """

    vectors: WordVectors
    singular_values: np.ndarray = field(repr=False)


def train_ppmi(counts: csr_array, vocabulary: Vocabulary, config: PPMIConfig) -> FactorisedPPMI:
    r"""Return word vectors $U_D \Sigma_D^p$ of the PPMI matrix $M \approx U_D \Sigma_D V_D^\top$.

    Args:
        counts: (V, V) as `count_cooccurrences` returns them.
        vocabulary: V words.
        config: See `PPMIConfig`.

    Raises:
        TypeError: If `counts` is not sparse.
        ValueError: If `counts` are not square, not of this vocabulary, or not all positive; if D is
            above V; or if no pair is more frequent than chance.

    Source:
        Levy, Goldberg and Dagan 2015, sec. 2.2 (decomposition) and 3.3 (power of the singular
        values). Computed as in Halko, Martinsson and Tropp 2011, by scikit-learn.
    """
    check_counts(counts, vocabulary)
    if config.d_model > len(vocabulary):
        raise ValueError(f"{len(vocabulary)} words cannot have {config.d_model} singular values")
    matrix = ppmi(counts, config.smoothing, config.shift)
    if matrix.nnz == 0:
        raise ValueError("no pair of words is more frequent than chance: there is nothing to learn")
    u, values, _ = randomized_svd(
        matrix,
        config.d_model,
        n_iter=4,
        power_iteration_normalizer="QR",
        random_state=config.seed,
    )  # (V, D), (D,)
    vectors = torch.from_numpy(np.ascontiguousarray(u * values**config.power))
    return FactorisedPPMI(WordVectors(vocabulary.words, vectors), values)
