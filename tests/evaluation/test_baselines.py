import math

import pytest
import torch

from ptft.core.compute import generator
from ptft.evaluation.baselines import ClozeNgram, unigram_losses

V = 6
WINDOWS = torch.randint(0, V, (40, 12), generator=generator(0))


def test_it_is_a_probability_distribution():
    model = ClozeNgram(WINDOWS, V)
    window = torch.randint(0, V, (1, 3), generator=generator(1))
    selected = torch.tensor([[False, True, False]])
    total = 0.0
    for token in range(V):
        window[0, 1] = token
        total += float((-model.losses(window, selected)).exp())
    # Contexts that were seen have shares that sum to one; with 480 tokens all pairs were.
    assert total == pytest.approx(1, abs=1e-9)


def test_the_counts_are_those_of_the_equation():
    model = ClozeNgram(WINDOWS, V)
    left, token, right = 2, 3, 1
    rows = [w[i - 1 : i + 2].tolist() for w in WINDOWS for i in range(1, 11)]
    singles = WINDOWS.flatten().tolist()
    c = [
        (singles.count(token) + 1) / (len(singles) + V),
        sum(r[:2] == [left, token] for r in rows) / sum(r[0] == left for r in rows),
        sum(r[1:] == [token, right] for r in rows) / sum(r[2] == right for r in rows),
        sum(r == [left, token, right] for r in rows)
        / max(1, sum(r[0] == left and r[2] == right for r in rows)),
    ]
    loss = model.losses(torch.tensor([[left, token, right]]), torch.tensor([[False, True, False]]))
    assert float(loss) == pytest.approx(-math.log(sum(c) / 4))


def test_fitted_weights_lower_the_held_out_loss():
    """In text where each token is the sum of its neighbours, the pair of neighbours decides."""
    sums = torch.randint(0, V, (200, 3), generator=generator(2))
    sums[:, 1] = (sums[:, 0] + sums[:, 2]) % V
    train, held_out = sums[:150], sums[150:]
    selected = torch.ones_like(held_out, dtype=torch.bool)
    model = ClozeNgram(train, V)
    before = model.losses(held_out, selected).mean()
    after = model.fit_weights(held_out).losses(held_out, selected).mean()
    assert after < before - 0.5
    assert model.weights.sum() == pytest.approx(1)
    assert model.weights[3] > 0.9


def test_unigram_losses_are_those_of_smoothed_counts():
    losses = unigram_losses(torch.tensor([[0, 0, 1]]), 3, torch.tensor([0, 2]))
    assert losses.tolist() == pytest.approx([-math.log(3 / 6), -math.log(1 / 6)])


def test_windows_need_neighbours():
    with pytest.raises(ValueError, match=r"T >= 3, got \(4, 2\)"):
        ClozeNgram(WINDOWS[:4, :2], V)
