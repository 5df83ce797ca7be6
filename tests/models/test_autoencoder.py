"""Autoencoders: the limit of the linear one, corruption, the classifier, the twin in Keras."""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptft.core.compute import generator, seed_everything
from ptft.data.image_batches import ImageBatch, ReconstructionBatch
from ptft.models.autoencoder import (
    Activation,
    Autoencoder,
    AutoencoderConfig,
    EncoderClassifier,
    add_noise,
    drop_values,
    hide_patches,
)
from ptft.training.fitting import FitConfig, fit
from ptft.training.losses import class_loss, mean_loss, reconstruction_loss

SMALL = AutoencoderConfig((1, 4, 4), code_size=3, widths=(8,))


def stretched(n: int = 256) -> Tensor:
    """Return rows `(n, 6)` with mean 0 and a variance of their own in each direction."""
    x = torch.randn(n, 6, generator=generator(0)) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.3, 0.2])
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator(1)))[0]
    return (x - x.mean(0)) @ turn


def test_shapes_and_parameters_of_both_halves() -> None:
    model = Autoencoder(SMALL)
    images = torch.rand(5, 1, 4, 4)
    assert model.encode(images).shape == (5, 3)
    assert model(images).shape == images.shape
    encoder = 16 * 8 + 8 + 8 * 3 + 3
    decoder = 3 * 8 + 8 + 8 * 16 + 16
    assert sum(p.numel() for p in model.parameters()) == encoder + decoder
    assert (model.encode(images) < 0).any()  # the code is linear, unless it is asked for
    assert SMALL.size == 16


def test_the_activation_of_the_code_is_asked_for() -> None:
    model = Autoencoder(AutoencoderConfig((6,), 4, activation="sigmoid", activate_code=True))
    codes = model.encode(10 * stretched())
    assert 0 <= codes.min() < codes.max() <= 1


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
def test_both_halves_have_the_activation(activation: Activation) -> None:
    seed_everything(0)
    model = Autoencoder(AutoencoderConfig((6,), 6, (6,), activation))
    found = [type(m) for half in (model.encoder, model.decoder) for m in half]
    assert found[:3] == found[3:]
    x, z = 10 * stretched().split(128)[0], 10 * stretched().split(128)[1]
    for half in (model.encode, model.decode):  # affine maps, and only they, keep the middle
        middle = (half(x) + half(z)) / 2
        affine = torch.allclose(half((x + z) / 2), middle, atol=1e-4)
        assert affine == (activation == "linear")


def test_a_linear_autoencoder_reaches_the_loss_of_principal_components() -> None:
    x = stretched()
    limit = (torch.linalg.svdvals(x)[2:] ** 2).sum().item() / len(x)
    seed_everything(0)
    model = Autoencoder(AutoencoderConfig((6,), 2, (4,), "linear"))
    config = FitConfig(1e-2, steps=300, batch_size=64, weight_decay=0)
    fit(model, reconstruction_loss, lambda i, g: ReconstructionBatch(x[i], x[i]), len(x), config)
    loss = mean_loss(model, reconstruction_loss, [ReconstructionBatch(x, x)])
    assert limit <= loss <= 1.02 * limit


def test_noise_has_the_asked_size_and_dropped_values_the_asked_share() -> None:
    x = torch.ones(200, 50)
    noise = add_noise(x, 0.3, generator(0)) - x
    assert abs(noise.std().item() - 0.3) < 0.01
    dropped = drop_values(x, 0.25, generator(0))
    assert set(dropped.unique().tolist()) == {0, 1}
    assert abs((dropped == 0).float().mean().item() - 0.25) < 0.02
    assert torch.equal(drop_values(x, 0, generator(0)), x)
    assert torch.equal(add_noise(x, 0, generator(0)), x)


def test_hidden_patches_are_whole_and_equally_many_in_each_image() -> None:
    images = torch.rand(50, 3, 8, 12) + 0.1
    inputs, hidden = hide_patches(images, 4, 0.5, generator(0))
    assert hidden.shape == (50, 1, 8, 12)
    patches = hidden.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)  # (50, 1, 2, 3, 16)
    assert torch.equal(patches.any(-1), patches.all(-1))
    assert (patches.all(-1).sum((1, 2, 3)) == 3).all()
    assert (inputs == 0).equal(hidden.expand_as(inputs))
    assert torch.equal(torch.where(hidden, images, inputs), images)
    often = patches.all(-1).float().mean(0)  # each patch is hidden about as often as another
    assert 0.25 < float(often.min()) <= float(often.max()) < 0.75


def test_the_same_generator_hides_the_same() -> None:
    images = torch.rand(4, 1, 8, 8)
    first, second = (hide_patches(images, 2, 0.3, generator(3))[1] for _ in range(2))
    assert torch.equal(first, second)


def test_the_classifier_trains_the_encoder_that_it_took_over() -> None:
    seed_everything(0)
    model = Autoencoder(SMALL)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    classifier = EncoderClassifier(model, 2)
    x = torch.rand(32, 1, 4, 4, generator=generator(0))
    y = (x[:, 0, 0, 0] > 0.5).long()
    config = FitConfig(1e-2, steps=40, batch_size=32, weight_decay=0)
    history = fit(classifier, class_loss, lambda i, g: ImageBatch(x[i], y[i]), 32, config)
    assert classifier(x).shape == (32, 2)
    assert history
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith("decoder")


def test_keras_computes_the_same_from_the_same_weights() -> None:
    seed_everything(0)
    model = Autoencoder(AutoencoderConfig((16,), 3, (8,)))
    dense = keras.layers.Dense
    twin = keras.Sequential(
        [keras.Input((16,)), dense(8, "relu"), dense(3), dense(8, "relu"), dense(16)]
    )
    ours = [m for m in model.modules() if isinstance(m, nn.Linear)]
    for layer, linear in zip(twin.layers, ours, strict=True):
        layer.set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    assert twin.count_params() == sum(p.numel() for p in model.parameters())
    x = torch.rand(7, 16)
    with torch.no_grad():
        np.testing.assert_allclose(model(x), twin(x), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "code_size", "widths"), [((), 2, ()), ((4, 0), 2, ()), ((4,), 0, ()), ((4,), 2, (0,))]
)
def test_sizes_must_be_positive(shape: tuple[int], code_size: int, widths: tuple[int]) -> None:
    with pytest.raises(ValueError, match="positive numbers"):
        AutoencoderConfig(shape, code_size, widths)


def test_an_unknown_activation_is_named() -> None:
    unknown: Activation = "softmax"  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"activation must be one of .* got 'softmax'"):
        AutoencoderConfig((4,), 2, activation=unknown)


def test_wrong_shapes_are_named() -> None:
    model = Autoencoder(SMALL)
    with pytest.raises(ValueError, match=r"expected inputs \(B, 1, 4, 4\), got \(2, 16\)"):
        model(torch.rand(2, 16))
    with pytest.raises(ValueError, match=r"expected codes \(B, 3\), got \(2, 4\)"):
        model.decode(torch.rand(2, 4))
    with pytest.raises(ValueError, match=r"expected inputs \(B, 1, 4, 4\), got \(2, 16\)"):
        EncoderClassifier(model, 2)(torch.rand(2, 16))
    with pytest.raises(ValueError, match="n_classes must be at least 2"):
        EncoderClassifier(model, 1)


def test_corruption_out_of_range_is_named() -> None:
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match="std must not be negative"):
        add_noise(x, -0.1, generator(0))
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\), got 1"):
        drop_values(x, 1, generator(0))
    for share in (0.0, 0.01, 0.99, 1.0, -1.0):
        with pytest.raises(ValueError, match="at least one of 16 patches and not all"):
            hide_patches(x, 2, share, generator(0))
    for patch in (0, 3):
        with pytest.raises(ValueError, match="do not tile"):
            hide_patches(x, patch, 0.5, generator(0))
    with pytest.raises(ValueError, match="expected images"):
        hide_patches(x[0], 2, 0.5, generator(0))
