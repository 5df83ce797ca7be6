from dataclasses import replace

import pytest
import torch

from ptft.models.adversarial import Discriminator, GanConfig, Generator

DIGITS = GanConfig((1, 8, 8), latent_size=5, d_hidden=12, n_hidden=2, bounded=True)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(1,), (2,), (1, 8, 8)])
def test_shapes(shape):
    config = GanConfig(shape, latent_size=3, d_hidden=8)
    x = Generator(config)(torch.randn(4, 3))
    assert x.shape == (4, *shape)
    assert Discriminator(config)(x).shape == (4,)


def test_parameters_are_counted_by_the_config():
    weights = sum(p.numel() for p in Generator(DIGITS).parameters())
    assert weights == (5 + 1) * 12 + (12 + 1) * 12 + (12 + 1) * 64
    weights = sum(p.numel() for p in Discriminator(DIGITS).parameters())
    assert weights == (64 + 1) * 12 + (12 + 1) * 12 + (12 + 1)


def test_pixels_are_bounded_and_numbers_are_not():
    noise = 1e3 * torch.randn(50, 5)
    pixels = Generator(DIGITS)(noise)
    assert pixels.min() >= 0 and pixels.max() <= 1
    assert Generator(replace(DIGITS, bounded=False))(noise).abs().max() > 1


def test_scores_are_any_real_number():
    scores = Discriminator(DIGITS)(1e3 * torch.randn(50, 1, 8, 8))
    assert scores.min() < 0 < scores.max()
    assert scores.abs().max() > 1


def test_a_sample_is_decided_by_its_generator_alone():
    generator = Generator(DIGITS)
    torch.manual_seed(1)
    first = generator.sample(6, draws(3))
    torch.manual_seed(2)
    assert torch.equal(first, generator.sample(6, draws(3)))
    assert not torch.equal(first, generator.sample(6, draws(4)))
    assert not first.requires_grad


@pytest.mark.parametrize(
    "change", [{"latent_size": 0}, {"shape": ()}, {"shape": (1, 0)}, {"d_hidden": 0}]
)
def test_impossible_sizes(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(DIGITS, **change)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"expected noise \(B, 5\), got \(4, 6\)"):
        Generator(DIGITS)(torch.randn(4, 6))
    with pytest.raises(ValueError, match=r"expected examples \(B, 1, 8, 8\), got \(4, 64\)"):
        Discriminator(DIGITS)(torch.randn(4, 64))
    with pytest.raises(ValueError, match="number of examples must be at least 1, got 0"):
        Generator(DIGITS).sample(0, draws())
