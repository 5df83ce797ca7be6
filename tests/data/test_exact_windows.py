"""Exact window counts against enumeration of all texts, and against samples."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from ptft.core.compute import generator
from ptft.data.exact_windows import pointwise_mutual_information, window_probabilities
from ptft.data.hidden_markov import SPECIAL_TOKENS, HiddenMarkovModel, stationary_distribution
from ptft.data.language import exact_language

FIRST = len(SPECIAL_TOKENS)


def small_model(n_states: int = 2, n_words: int = 3) -> HiddenMarkovModel:
    random = generator(1)

    def rows(n: int, columns: int) -> Tensor:
        table = torch.rand(n, columns, generator=random, dtype=torch.float64) ** 3
        return table / table.sum(1, keepdim=True)

    move, say = rows(n_states, n_states), rows(n_states, n_words)
    say = torch.cat([torch.zeros(n_states, FIRST, dtype=torch.float64), say], dim=1)
    words = (*SPECIAL_TOKENS, *(f"w{i}" for i in range(n_words)))
    return HiddenMarkovModel(words, stationary_distribution(move), move, say)


def enumerated(model: HiddenMarkovModel, window: int) -> Tensor:
    """Sum over every text of 2w + 1 words, every path that says it, and every reach of its middle.

    Only the middle word is a centre, with a whole window on both sides.
    """
    joint = torch.zeros(len(model.words), len(model.words), dtype=torch.float64)
    length = 2 * window + 1
    for text in product(range(FIRST, len(model.words)), repeat=length):
        p_text = 0.0
        for path in product(range(len(model.initial)), repeat=length):
            p = model.initial[path[0]].item()
            for t, (state, word) in enumerate(zip(path, text, strict=True)):
                p *= model.emission[state, word].item()
                p *= model.transition[path[t - 1], state].item() if t else 1
            p_text += p
        for reach in range(1, window + 1):
            for t in range(window - reach, window + reach + 1):
                if t != window:
                    joint[text[window], text[t]] += p_text / window
    return joint / joint.sum()


@pytest.mark.parametrize("window", [1, 2])
def test_it_equals_the_enumeration_of_all_texts(window):
    model = small_model()
    torch.testing.assert_close(
        window_probabilities(model, window), enumerated(model, window), rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("window", [1, 5])
def test_it_is_a_symmetric_distribution_with_the_words_frequencies(window):
    language = exact_language()
    joint = window_probabilities(language, window)
    assert joint.dtype == torch.float64
    assert joint.min() >= 0
    assert joint.sum().item() == pytest.approx(1, abs=1e-12)
    assert torch.equal(joint, joint.T)
    torch.testing.assert_close(joint.sum(1), language.initial @ language.emission)
    assert not joint[:FIRST].any()


def test_it_agrees_with_a_sample():
    """Counts of 200 texts lie within 4.5 standard errors, which each of 6 pairs misses by chance
    once in 150,000 times. Ends of texts shift a share by 0.001 of itself, far less than that."""
    model, window, n, length = small_model(), 3, 200, 1000
    ids, _ = model.sample(n, length, generator(0))
    shares = torch.zeros(n, 3, 3, dtype=torch.float64)
    for text, row in enumerate(ids - FIRST):
        for d in range(1, window + 1):
            pair = row[:-d] * 3 + row[d:]
            counts = pair.bincount(minlength=9).view(3, 3) * (window + 1 - d)
            shares[text] += counts + counts.T
        shares[text] /= shares[text].sum()
    error = shares.std(0) / n**0.5
    assert error.max() < 0.005
    exact = window_probabilities(model, window)[FIRST:, FIRST:]
    assert ((shares.mean(0) - exact).abs() / error).max() < 4.5
    assert ((shares.mean(0) - window_probabilities(model, 1)[FIRST:, FIRST:]) / error).max() > 9


def test_impossible_windows():
    model = small_model()
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        window_probabilities(model, 0)
    elsewhere = replace(model, initial=torch.tensor([1.0, 0.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="initial must be stationary"):
        window_probabilities(elsewhere, 2)


def test_pmi_by_hand():
    counts = torch.tensor([[2, 0, 2], [1, 3, 0], [0, 0, 0]])
    ln, never = math.log, -math.inf
    expected = [
        [ln(2 * 8 / (4 * 3)), never, ln(2 * 8 / (4 * 2))],
        [ln(1 * 8 / (4 * 3)), ln(3 * 8 / (4 * 3)), never],
        [never, never, never],
    ]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(pointwise_mutual_information(counts), expected)
    torch.testing.assert_close(pointwise_mutual_information(counts / 8), expected)


def test_pmi_of_independent_words_is_zero_and_its_mean_is_never_negative():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    independent = pointwise_mutual_information(p[:, None] * p)
    torch.testing.assert_close(independent, torch.zeros(3, 3, dtype=torch.float64))
    joint = window_probabilities(small_model(), 2)
    information = (joint * pointwise_mutual_information(joint)).nansum()  # 0 * -inf counts nothing
    assert information > 1e-3


@pytest.mark.parametrize("bad", [[1.0, 2.0], [[0.0, 0.0]], [[1.0, -0.1]], [[1.0, math.nan]]])
def test_pmi_needs_a_matrix_of_weights(bad):
    with pytest.raises(ValueError, match="joint must"):
        pointwise_mutual_information(torch.tensor(bad))
