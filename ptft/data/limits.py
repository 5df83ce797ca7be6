"""Exact limits on a hidden Markov language: what no model can beat, computed per token.

The recursions for `a_t(z)`, `b_t(z)` are in `ptft.data.hidden_markov`; E is the emission table.
A text may start anywhere: `start` is the distribution of the first state, stationary by default, as
for a window cut at random from an endless text. Losses are in nats. A model and its limit must be
compared on the same texts and the same masks; then their difference has a small error.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ptft.data.hidden_markov import (
    FIRST_WORD_ID,
    MASK_ID,
    HiddenMarkovModel,
    forward_pass,
    given_the_rest,
)


class EntropyRateBounds(NamedTuple):
    """Estimates (nats per token) with their standard errors over independent texts."""

    lower: float
    upper: float
    lower_error: float
    upper_error: float


def next_token_log_probs(
    language: HiddenMarkovModel, ids: Tensor, start: Tensor | None = None
) -> Tensor:
    """Return the exact log probability of every token given the tokens before it.

    `p(x_t | x_<t) = sum_z a_t(z) E(z, x_t)`

    Args:
        language: The model that the text is from.
        ids: (B, T) int64, real words only.
        start: Distribution of the first state, (S,) or one per text (B, S); stationary by default.

    Returns:
        (B, T) float64. Minus its mean is the least next-token loss of any model on these texts in
        expectation.

    Raises:
        ValueError: If `ids` is malformed or the language cannot say one of the texts.
    """
    _check_batch(language, ids)
    likelihood = language.emission.T[ids]  # (B, T, S)
    _, scale = forward_pass(language, likelihood, start)
    return scale.log()


def entropy_rate_bounds(
    language: HiddenMarkovModel, generator: torch.Generator, n: int = 400, length: int = 256
) -> EntropyRateBounds:
    """Bound the entropy rate H of the language from both sides.

    `H(X_t | X_1 ... X_{t-1}, Z_1) <= H <= H(X_t | X_1 ... X_{t-1})` for every t, and both converge
    (Cover and Thomas, Elements of Information Theory, 2nd ed., section 4.5). The inner terms are
    exact; their mean over texts is sampled, over the second half of each text, where both sides are
    close. The same texts serve both bounds, so that their difference has a small error.

    Args:
        language: The language.
        generator: Source of the texts.
        n: Number of independent texts, at least 2.
        length: Tokens per text, at least 2.

    Raises:
        ValueError: If `n` or `length` is less than 2.
    """
    if n < 2 or length < 2:
        raise ValueError(f"n and length must be at least 2, got n={n} and length={length}")
    ids, states = language.sample(n, length, generator)
    known_start = torch.eye(len(language.initial), dtype=torch.float64)[states[:, 0]]  # (n, S)
    means, errors = [], []
    for start in (known_start, None):
        losses = -next_token_log_probs(language, ids, start)[:, length // 2 :].mean(1)  # (n,)
        means.append(losses.mean().item())
        errors.append(losses.std().item() / n**0.5)
    return EntropyRateBounds(*means, *errors)


def masked_log_probs(
    language: HiddenMarkovModel,
    corrupted: Tensor,
    selected: Tensor,
    original: Tensor,
    rate: float,
    scheme: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> Tensor:
    """Return the exact log posterior of the original token at the selected positions.

    Each position is selected independently with probability r = `rate`. A selected token becomes
    [MASK] with probability m, one of the W real words drawn uniformly with probability u, or stays
    with probability k, where `scheme = (m, u, k)` (Devlin et al. 2019, section 3.1: 0.8, 0.1, 0.1).
    The reader sees the corrupted text y, not which positions were selected. So at every other
    position s a state z has the likelihood of y_s summed over what may have happened there:

        y_s a word:   l_s(z) = (1 - r + r k) E(z, y_s) + r u / W
        y_s = [MASK]: l_s(z) = r m, the same for each z

    These give `q_t(x) = p(x_t = x | y except y_t)`, proportional to `sum_z a_t(z) b_t(z) E(z, x)`.
    Position t is scored only if it was selected, so its own token has the likelihood
    `c(y_t | x) = m` for [MASK], else `k [x = y_t] + u / W`, and the posterior is

        p(x_t = x | y, t selected) = q_t(x) c(y_t | x) / sum_x' q_t(x') c(y_t | x').

    It is the optimum of the masked loss over all predictors, and its expected loss the least.

    Args:
        language: The language of the original texts.
        corrupted: (B, T) int64, what the reader sees: real words and [MASK].
        selected: (B, T) bool, True where the loss counts.
        original: (B, T) int64, the texts before the corruption, real words only.
        rate: Probability that a position is selected, in (0, 1].
        scheme: Probabilities of [MASK], of a random word and of no change; they sum to one.

    Returns:
        (N,) float64, in the order of `original[selected]`.

    Raises:
        ValueError: If the arguments do not fit together or the language cannot say the text.
    """
    _check_batch(language, original)
    _check_corruption(language, corrupted, selected, original, rate, scheme)
    _, p_random, p_keep = scheme  # the share of [MASK] is the same for every state and word
    uniform = p_random / (len(language.words) - FIRST_WORD_ID)
    seen = language.emission.T[corrupted]  # (B, T, S)
    seen = (1 - rate + rate * p_keep) * seen + rate * uniform
    likelihood = torch.where((corrupted == MASK_ID)[..., None], 1.0, seen)

    state = given_the_rest(language, likelihood)[selected]  # (N, S)
    word = state @ language.emission  # (N, V), q_t
    target, own = original[selected], corrupted[selected]  # (N,), (N,)
    rows = torch.arange(len(target))
    is_mask = own == MASK_ID
    # The sum over x' of q c for a visible token: only x' = y_t can have been kept.
    evidence = torch.where(is_mask, 1.0, p_keep * word[rows, own] + uniform)
    channel = torch.where(is_mask, 1.0, p_keep * (target == own).double() + uniform)
    return (word[rows, target] * channel / evidence).log()


def state_posteriors(
    language: HiddenMarkovModel, ids: Tensor, start: Tensor | None = None
) -> Tensor:
    """Return `p(z_t | x_1 ... x_T)` for every position.

    Args:
        language: The language.
        ids: (B, T) int64; [MASK] means that nothing is known of that token.
        start: Distribution of the first state, (S,) or (B, S); stationary by default.

    Returns:
        (B, T, S) float64, each row a distribution.

    Raises:
        ValueError: If `ids` is malformed or the language cannot say one of the texts.
    """
    _check_batch(language, ids)
    likelihood = torch.where((ids == MASK_ID)[..., None], 1.0, language.emission.T[ids])
    posterior = given_the_rest(language, likelihood, start) * likelihood
    return posterior / posterior.sum(-1, keepdim=True)


def factor_worth(language: HiddenMarkovModel, ids: Tensor, others: Tensor) -> float:
    """Return what remembering a hidden factor saves the best reader, in nats per token.

    It is the least next-token loss of a reader who after every word forgets all of the state z but
    its `others`, `p(z) -> sum_z' p(z') pi(z | others(z) = others(z'))` with pi stationary, minus
    the least loss of all. The first token of a text, which nothing precedes, is not counted.

    Args:
        language: The language.
        ids: (B, T) int64, T at least 2.
        others: (F, S) int64, the labels of each state that the forgetful reader keeps.

    Raises:
        ValueError: If `ids` is malformed or a row of `others` lacks one label for each state.
    """
    if others.ndim != 2 or others.shape[1] != len(language.initial):
        raise ValueError(f"others must be (F, {len(language.initial)}), got {tuple(others.shape)}")
    alike = (others[:, :, None] == others[:, None, :]).all(0) * language.initial  # (S, S)
    forget = language.transition @ (alike / alike.sum(1, keepdim=True))
    forgetful = HiddenMarkovModel(language.words, language.initial, forget, language.emission)
    saved = next_token_log_probs(language, ids) - next_token_log_probs(forgetful, ids)
    return saved[:, 1:].mean().item()


def label_posteriors(posteriors: Tensor, label_of: Tensor) -> Tensor:
    """Sum state probabilities into label probabilities, `p(c) = sum_{z: label(z) = c} p(z)`.

    Args:
        posteriors: (..., S), such as from `state_posteriors`.
        label_of: (S,) int64, the label of each state, such as `language.topic_of`.

    Returns:
        (..., C) with C the number of labels.

    Raises:
        ValueError: If there is not one label for each state.
    """
    if posteriors.shape[-1] != len(label_of):
        raise ValueError(
            f"expected one label for each of {posteriors.shape[-1]} states, got {len(label_of)}"
        )
    n_states, n_labels = len(label_of), int(label_of.max()) + 1
    belongs = torch.zeros(n_states, n_labels, dtype=posteriors.dtype)
    belongs[torch.arange(n_states), label_of] = 1.0
    return posteriors @ belongs


def bayes_accuracy(
    language: HiddenMarkovModel,
    ids: Tensor,
    label_of: Tensor,
    position: int = -1,
    start: Tensor | None = None,
) -> tuple[float, float]:
    """Return the best possible accuracy at naming a label of one position from the whole text.

    The best guess is the most probable label, right with exactly its probability, so the ceiling is
    `E[max_c p(c | x)]`; only the choice of texts is sampled.

    Args:
        language: The language.
        ids: (B, T) int64, B at least 2.
        label_of: (S,) int64, the label of each state, such as `language.topic_of`.
        position: The position whose label is asked for; the last by default.
        start: Distribution of the first state, (S,) or (B, S); stationary by default.

    Returns:
        The ceiling and its standard error over the texts.

    Raises:
        ValueError: If there are fewer than 2 texts, or `ids` is malformed.
    """
    if len(ids) < 2:
        raise ValueError(f"a standard error takes at least 2 texts, got {len(ids)}")
    posteriors = state_posteriors(language, ids, start)[:, position]  # (B, S)
    best = label_posteriors(posteriors, label_of).amax(-1)  # (B,)
    return best.mean().item(), best.std().item() / len(best) ** 0.5


def unigram_entropy(language: HiddenMarkovModel) -> float:
    """Return `H(X_t)` in nats: the least loss of a model that sees no context."""
    return _entropy(language.initial @ language.emission)


def bigram_entropy(language: HiddenMarkovModel) -> float:
    """Return `H(X_{t+1} | X_t)` in nats: the least loss of a model that sees one token."""
    joint_states = language.initial[:, None] * language.transition  # (S, S)
    joint = language.emission.T @ joint_states @ language.emission  # (V, V)
    return _entropy(joint.flatten()) - unigram_entropy(language)


def _entropy(p: Tensor) -> float:
    return -torch.special.xlogy(p, p).sum().item()


def _check_batch(language: HiddenMarkovModel, ids: Tensor) -> None:
    if ids.ndim != 2:
        raise ValueError(f"ids must have shape (B, T), got {tuple(ids.shape)}")
    language.check_ids(ids)


def _check_corruption(
    language: HiddenMarkovModel,
    corrupted: Tensor,
    selected: Tensor,
    original: Tensor,
    rate: float,
    scheme: tuple[float, float, float],
) -> None:
    _check_batch(language, corrupted)
    if not corrupted.shape == selected.shape == original.shape:
        raise ValueError(
            "corrupted, selected and original must have one shape, got "
            f"{tuple(corrupted.shape)}, {tuple(selected.shape)}, {tuple(original.shape)}"
        )
    if selected.dtype != torch.bool:
        raise ValueError(f"selected must be bool, got {selected.dtype}")
    if (original < FIRST_WORD_ID).any():
        raise ValueError("original may hold real words only, no special tokens")
    if ((corrupted < FIRST_WORD_ID) & (corrupted != MASK_ID)).any():
        raise ValueError("corrupted may hold real words and [MASK], no other special tokens")
    if (corrupted != original)[~selected].any():
        raise ValueError("corrupted differs from original at a position that is not selected")
    if not 0 < rate <= 1:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    if min(scheme) < 0 or abs(sum(scheme) - 1) > 1e-9:
        raise ValueError(f"scheme must be three probabilities that sum to one, got {scheme}")
