"""GloVe's objective without gradients: each word's vector by exact least squares, in turns."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from ptft.embeddings.glove import GloVe, TrainedGloVe, check_counts, count_weights
from ptft.text.words import Vocabulary

_BLOCK = 1024  # words whose equations are solved together: (1024, 52, 52) float32 are 11 MB


@dataclass(frozen=True)
class LeastSquaresConfig:
    """Settings of `train_least_squares`.

    Attributes:
        d_model: Length D of a vector.
        x_max: Count from which on the weight is 1; see `GloVeConfig`.
        alpha: Exponent of the weight below.
        sweeps: How often all words are solved, first as words, then as contexts.
        ridge: Penalty on the squared length of a vector, per unit of its weights.
        seed: Decides the first context vectors.
    """

    d_model: int = 50
    x_max: float = 100.0
    alpha: float = 0.75
    sweeps: int = 3
    ridge: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("d_model", "sweeps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("x_max", "alpha", "ridge"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def train_least_squares(
    counts: csr_array, vocabulary: Vocabulary, config: LeastSquaresConfig
) -> TrainedGloVe:
    r"""Fit GloVe by alternating least squares.

    With the contexts held fixed, GloVe's cost is quadratic in the vector and bias of each word, so
    the best ones solve D + 1 linear equations:

    $$\min_{w_i, b_i} \sum_j f(X_{ij}) \big[(w_i^\top \tilde w_j + b_i + \tilde b_j
      - \log X_{ij})^2 + \lambda \lVert w_i \rVert^2\big]$$

    Then the contexts are solved given the words. No step can raise the penalised cost, and there is
    no learning rate.

    Args:
        counts: (V, V) as `count_cooccurrences` returns them; symmetric or not.
        vocabulary: V words.
        config: See `LeastSquaresConfig`.

    Returns:
        The model, with the cost after each sweep, penalty left out. A word without counts gets a
        vector of zeros.

    Raises:
        TypeError, ValueError: As `train_glove`.

    Source:
        Hu, Koren and Volinsky 2008, sec. 4, for weighted alternating least squares; Zhou et al.
        2008, sec. 3, for a penalty in proportion to the data of a row.
    """
    check_counts(counts, vocabulary)
    draws = torch.Generator().manual_seed(config.seed)
    model = GloVe(len(vocabulary), config.d_model)
    words, contexts = _Equations(counts, config), _Equations(counts.T.tocsr(), config)
    w_context = 0.1 * torch.randn(model.w.shape, generator=draws)  # (V, D)
    b_context = torch.zeros_like(model.b)  # (V,)
    costs = []
    for _ in range(config.sweeps):
        w, b, _ = words.solve(w_context, b_context)
        w_context, b_context, total = contexts.solve(w, b)
        costs.append(total / counts.nnz)
    with torch.no_grad():
        for name, value in (("w", w), ("b", b), ("w_context", w_context), ("b_context", b_context)):
            getattr(model, name).copy_(value)
    return TrainedGloVe(model, vocabulary, costs)


class _Equations:
    """The least squares problems of all rows of a matrix of counts."""

    def __init__(self, counts: csr_array, config: LeastSquaresConfig):
        counts = counts.astype(np.float32)
        weights = count_weights(counts.data, config.x_max, config.alpha)
        self.starts: list[int] = counts.indptr.tolist()
        self.columns = torch.from_numpy(counts.indices)  # (N,)
        self.log_counts = torch.from_numpy(np.log(counts.data))  # (N,)
        self.root_weights = torch.from_numpy(np.sqrt(weights))[:, None]  # (N, 1)
        mass = csr_array((weights, counts.indices, counts.indptr), counts.shape).sum(axis=1)
        self.penalties = config.ridge * torch.from_numpy(mass)  # (V,)

    def solve(self, others: Tensor, other_biases: Tensor) -> tuple[Tensor, Tensor, float]:
        """Return the best vectors (V, D) and biases (V,) given the other side, and their loss."""
        size = others.shape[1]
        ones = torch.ones(len(others), 1)
        # One gathered matrix Z per row serves all: Z^T Z holds the equations, their right side and
        # the squared length of the target.
        table = torch.cat([others, ones, other_biases[:, None]], dim=1)  # (V, D + 2)
        solutions = torch.empty(len(others), size + 1)
        longest = max(b - a for a, b in zip(self.starts, self.starts[1:], strict=False))
        space = torch.empty(longest, size + 2)
        total = 0.0
        for first in range(0, len(others), _BLOCK):
            penalties = self.penalties[first : first + _BLOCK]
            grams = torch.empty(len(penalties), size + 2, size + 2)
            for k in range(len(penalties)):
                start, stop = self.starts[first + k : first + k + 2]
                row = slice(start, stop)
                z = torch.index_select(table, 0, self.columns[row], out=space[: stop - start])
                z[:, -1].sub_(self.log_counts[row]).neg_()  # target log X - b~
                z *= self.root_weights[row]
                torch.mm(z.T, z, out=grams[k])
            left, right = grams[:, :-1, :-1], grams[:, :-1, -1:]
            diagonal = penalties[:, None].repeat(1, size + 1)  # (B, D + 1)
            diagonal[:, -1] *= 1e-3  # a bias is all but free
            factor = torch.linalg.cholesky(left + torch.diag_embed(diagonal.clamp(min=1e-9)))
            x = torch.cholesky_solve(right, factor)  # (B, D + 1, 1)
            solutions[first : first + _BLOCK] = x[:, :, 0]
            errors = grams[:, -1, -1] + (x * (left @ x - 2 * right)).sum(dim=(1, 2))  # (B,)
            total += 0.5 * errors.double().sum().item()
        return solutions[:, :size].contiguous(), solutions[:, size].contiguous(), total
