"""Sums and sparse gradients, which word2vec needs: the loop, `SparseSGD` and `reseed`."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptft.core.compute import generator, reseed, seed_everything
from ptft.training.loop import NonFiniteLossError, TrainConfig, train
from ptft.training.optimisers import SparseSGD

ROWS = torch.tensor([[0, 1, 1], [3, 1, 4]])  # row 1 three times, row 2 never


def table(sparse=True):
    seed_everything(0)
    return nn.Embedding(6, 4, sparse=sparse)


def square_loss(model, ids):
    return (model(ids) ** 2).sum(), ids.numel()


def moved(model, optimiser, ids=ROWS):
    """Return what one step adds to the weights."""
    before = model.weight.detach().clone()
    square_loss(model, ids)[0].backward()
    optimiser.step()
    return model.weight.detach() - before


def run(model, **settings):
    """Train two steps with plain gradient descent."""
    config = TrainConfig(2, **({"clip_norm": None} | settings))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, square_loss, lambda step, draws: ROWS + step % 2, [optimiser], config)
    return model.weight.detach()


def test_rows_within_the_limit_learn_as_in_plain_sgd():
    ours, plain = table(), table()
    change = moved(ours, SparseSGD(ours.parameters(), lr=0.1, most=3))
    expected = moved(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    torch.testing.assert_close(change, expected)
    assert not change[2].any()


def test_a_row_used_too_often_is_held_back():
    ours, plain = table(), table()
    change = moved(ours, SparseSGD(ours.parameters(), lr=0.1, most=2))
    expected = moved(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    expected[1] *= 2 / 3
    torch.testing.assert_close(change, expected)


def test_a_dense_gradient_is_followed_as_it_is():
    ours, plain = table(sparse=False), table(sparse=False)
    change = moved(ours, SparseSGD(ours.parameters(), lr=0.1, most=1))
    expected = moved(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    torch.testing.assert_close(change, expected)


def test_parameters_without_gradient_stay():
    model = nn.ModuleList([table(), table()])
    before = model[1].weight.detach().clone()
    moved(model[0], SparseSGD(model.parameters(), lr=0.1, most=1))
    assert torch.equal(model[1].weight, before)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"lr": -1.0}, {"most": 0}])
def test_impossible_settings_of_sparse_sgd(wrong):
    with pytest.raises(ValueError, match="lr and most must be positive"):
        SparseSGD(table().parameters(), **({"lr": 0.1, "most": 8} | wrong))


def test_a_large_batch_does_not_settle_with_sgd_and_does_with_sparse_sgd():
    """One word in 500 pairs at once: the sum of its gradients is far too long a step."""

    def loss(model, ids):  # the vector must predict label 1 nine times, and 0 once
        scores = model(ids).sum(1) * 4
        labels = (torch.arange(len(ids)) % 10 > 0).float()
        return F.binary_cross_entropy_with_logits(scores, labels, reduction="sum"), len(ids)

    def last_loss(optimiser, model):
        config = TrainConfig(200, clip_norm=None, average=False, log_every=200)
        ids = torch.zeros(500, dtype=torch.long)
        return train(model, loss, lambda step, draws: ids, [optimiser], config).last(
            "loss", "train"
        )

    plain, ours = table(), table()
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert last_loss(torch.optim.SGD(plain.parameters(), lr=0.01), plain) > 3 * entropy
    found = last_loss(SparseSGD(ours.parameters(), lr=0.01, most=8), ours)
    assert found == pytest.approx(entropy, rel=1e-3)


def test_a_step_that_overshoots_ends_in_an_error():
    def diverges(optimiser, model):
        def batch(step, draws):
            return torch.zeros(500, dtype=torch.long)

        config = TrainConfig(200, clip_norm=None, average=False)
        train(model, square_loss, batch, [optimiser], config)

    plain, ours = table(), table()
    with pytest.raises(NonFiniteLossError, match="the loss became"):
        diverges(torch.optim.SGD(plain.parameters(), lr=0.1), plain)
    diverges(SparseSGD(ours.parameters(), lr=0.1, most=8), ours)
    assert ours.weight[0].abs().max() < 1e-6


def test_the_sum_is_a_step_as_many_times_as_long_as_the_mean():
    start = table().weight.detach()
    steps = []
    for average in (True, False):
        model = table()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        config = TrainConfig(1, clip_norm=None, average=average)
        history = train(model, square_loss, lambda step, draws: ROWS, [optimiser], config)
        steps.append(model.weight.detach() - start)
        mean = (start[ROWS] ** 2).sum().item() / 6
        assert history.last("loss", "train") == pytest.approx(mean)  # a mean in both cases
    torch.testing.assert_close(steps[1], 6 * steps[0])
    assert steps[0].any()


@pytest.mark.parametrize("settings", [{}, {"average": False}, {"accumulate": 3}])
def test_sparse_and_dense_gradients_train_alike(settings):
    sparse, dense = run(table(), **settings), run(table(sparse=False), **settings)
    torch.testing.assert_close(sparse, dense)
    assert not torch.equal(sparse, table().weight)


def test_averaging_leaves_the_number_of_uses():
    """Row 1 is used three times among six targets, and may learn from two."""
    model = table()
    start = model.weight.detach().clone()
    optimiser = SparseSGD(model.parameters(), lr=0.1, most=2)
    config = TrainConfig(1, clip_norm=None)
    train(model, square_loss, lambda step, draws: ROWS, [optimiser], config)
    gradient = 3 * 2 * start[1] / 6
    torch.testing.assert_close(model.weight[1], start[1] - 0.1 * 2 / 3 * gradient)


def test_sparse_gradients_cannot_be_clipped():
    with pytest.raises(ValueError, match="set clip_norm to None"):
        run(table(), clip_norm=1.0)


def test_a_batch_without_targets_changes_nothing():
    def none(model, ids):
        return model(ids).sum() * 0, 0

    model = table()
    config = TrainConfig(1, clip_norm=None, average=False)
    optimiser = SparseSGD(model.parameters(), lr=0.1, most=1)
    history = train(model, none, lambda step, draws: ROWS, [optimiser], config)
    assert torch.equal(model.weight, table().weight)
    assert history.last("loss", "train") == 0


def test_reseed_gives_torchs_draws_and_leaves_the_others_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.rand(1)
    random.seed(0)
    np.random.seed(0)
    reseed(5)
    assert torch.equal(torch.rand(3), expected)
    others = random.random(), np.random.rand()
    random.seed(0)
    np.random.seed(0)
    assert others == (random.random(), np.random.rand())
    reseed(6)
    assert not torch.equal(torch.rand(3), expected)
    assert torch.equal(torch.rand(3, generator=generator(5)), expected)
