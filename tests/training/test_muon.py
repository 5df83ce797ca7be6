"""Muon by batches equals torch's, and a matrix at a time in float64."""

import pytest
import torch

from ptft.training.muon import COEFFICIENTS, Muon, orthogonalise

SHAPES = [(8, 8), (24, 8), (8, 24), (24, 8), (1, 5)]


def newton_schulz(matrix, steps=5):
    """The iteration as it is written, for one matrix."""
    a, b, c = COEFFICIENTS
    X = matrix / matrix.norm()
    for _ in range(steps):
        A = X @ X.T if len(X) <= X.shape[1] else X.T @ X
        factor = a * torch.eye(len(A), dtype=A.dtype) + b * A + c * A @ A
        X = factor @ X if len(X) <= X.shape[1] else X @ factor
    return X


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_small_product_gives_the_same(shape, steps):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape)
    expected = torch.stack([newton_schulz(m.double(), steps) for m in matrices])
    assert torch.allclose(orthogonalise(matrices, steps).double(), expected, atol=1e-4)


def test_singular_values_come_near_one():
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonalise(torch.randn(4, 40, 20)))
    assert 0.5 < singular.min() < singular.max() < 1.4


def test_nothing_comes_of_nothing():
    assert torch.equal(orthogonalise(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def parameters(dtype=torch.float32):
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in SHAPES]


def take_steps(optimiser, weights, steps=4):
    draws = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in weights:
            p.grad = torch.randn(p.shape, generator=draws).to(p.dtype)
        optimiser.step()


def test_it_takes_the_steps_of_torch():
    """Torch multiplies in bfloat16, which has three digits."""
    ours, theirs = parameters(), parameters()
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    take_steps(Muon(ours, **settings), ours)
    take_steps(torch.optim.Muon(theirs, adjust_lr_fn="original", **settings), theirs)
    for mine, other, start in zip(ours, theirs, parameters(), strict=True):
        assert (mine - other).norm() < 0.02 * (mine - start).norm()


def test_a_parameter_without_gradient_stays():
    weights = parameters()
    optimiser = Muon(weights, lr=0.1)
    weights[0].grad = torch.ones_like(weights[0])
    optimiser.step()
    changed = [not torch.equal(p, q) for p, q in zip(weights, parameters(), strict=True)]
    assert changed == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("shape", "lr", "momentum", "message"),
    [
        ((3, 3), 0.0, 0.9, "lr must be positive"),
        ((3, 3), 0.1, 1.0, "got 0.1 and 1.0"),
        ((3,), 0.1, 0.9, r"for matrices, got a parameter of shape \(3,\)"),
    ],
)
def test_bad_settings_are_refused(shape, lr, momentum, message):
    with pytest.raises(ValueError, match=message):
        Muon([torch.nn.Parameter(torch.zeros(shape))], lr, momentum)
