"""What word2vec counts, exactly: the pairs in the windows of a language that we know."""

import torch
from torch import Tensor

from ptft.data.hidden_markov import HiddenMarkovModel


def window_probabilities(model: HiddenMarkovModel, window: int) -> Tensor:
    r"""Return the probability that a word and a word in its window are (a, b), (V, V) float64.

    $$p(a, b) \propto \sum_{d=1}^{w} \frac{w + 1 - d}{w} \,
      \big[ E^\top \mathrm{diag}(\pi) A^d E \big]_{ab}$$

    made symmetric, for a window looks to both sides, and divided by its sum. The weight is the
    probability that a reach drawn from 1 to w includes the distance d (Mikolov et al. 2013a,
    sec. 3.2); $\pi$, A and E are `initial`, `transition` and `emission`. The text is endless:
    windows end nowhere, and no word is left out for being frequent.

    Args:
        model: The language. Its special tokens have rows and columns of zeros.
        window: w, in words.

    Raises:
        ValueError: If `window` is below 1, or `initial` is not the stationary distribution.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    off = (model.initial @ model.transition - model.initial).abs().max().item()
    if off > 1e-9:
        raise ValueError(
            f"initial must be stationary, but one step of the chain changes it by {off:.1e}: "
            "use stationary_distribution(transition)"
        )
    states = torch.diag(model.initial)  # (S, S), p(state now, state d words on), d = 0
    weighted = torch.zeros_like(states)
    for distance in range(1, window + 1):
        states = states @ model.transition
        weighted += (window + 1 - distance) * states
    joint = model.emission.T @ weighted @ model.emission  # (V, V)
    joint = joint + joint.T
    return joint / joint.sum()


def pointwise_mutual_information(joint: Tensor) -> Tensor:
    r"""Return $\log \frac{p(a, b)}{p(a) \, p(b)}$ in nats, the same shape, float64.

    It is minus infinity where p(a, b) = 0.

    Args:
        joint: (A, B), p(a, b) or counts of pairs, of which it is the share.

    Raises:
        ValueError: If `joint` is not a matrix, an entry is negative or not finite, or all are zero.

    Source:
        Church and Hanks 1990 (association ratio).
    """
    if joint.ndim != 2:
        raise ValueError(f"joint must have shape (A, B), got {tuple(joint.shape)}")
    joint = joint.double()
    total = joint.sum()
    if not (joint >= 0).all() or not 0 < total < float("inf"):
        raise ValueError("joint must be finite and not negative, with a positive sum")
    row, column = joint.sum(1, keepdim=True), joint.sum(0, keepdim=True)  # (A, 1), (1, B)
    independent = row * column / total
    return torch.where(joint > 0, (joint / independent).log(), -torch.inf)  # no 0/0 of unseen words
