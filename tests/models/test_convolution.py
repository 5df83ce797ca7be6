"""Convolution and pooling equal torch's and scipy's; networks have the sizes that they state."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d, correlate2d
from torch import nn

from ptft.core.compute import seed_everything
from ptft.data.digits import load_digits_split
from ptft.data.image_batches import ImageBatch
from ptft.models.convolution import (
    ConvolutionalClassifier,
    ConvolutionConfig,
    InceptionBlock,
    ResidualBlock,
    average_pool,
    convolve,
    max_pool,
    output_size,
)
from ptft.training.fitting import FitConfig, fit
from ptft.training.losses import class_loss, mean_loss

SMALL = ConvolutionConfig(size=8, widths=(4, 6), hidden=5, n_classes=3, padding=1)


@pytest.mark.parametrize(
    ("n", "k", "stride", "padding", "size"),
    [(28, 3, 1, 0, 26), (26, 2, 2, 0, 13), (13, 3, 1, 0, 11), (11, 2, 2, 0, 5), (5, 3, 2, 1, 3)],
)
def test_output_size(n, k, stride, padding, size):
    assert output_size(n, k, stride, padding) == size


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_output_size_counts_the_windows_that_fit(n, k, stride, padding):
    starts = [i for i in range(0, n + 2 * padding, stride) if i + k <= n + 2 * padding]
    if starts:
        assert output_size(n, k, stride, padding) == len(starts)
    else:
        with pytest.raises(ValueError, match="does not fit"):
            output_size(n, k, stride, padding)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(5, 9), st.integers(5, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(0, 2),
    st.booleans(),
)
def test_convolve_equals_torch(shape, kernel, stride, padding, with_bias):
    out, height, width = kernel
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=draws)
    kernels = torch.randn(out, shape[1], height, width, generator=draws)
    bias = torch.randn(out, generator=draws) if with_bias else None
    y = convolve(images, kernels, bias, stride, padding)
    torch.testing.assert_close(
        y, F.conv2d(images, kernels, bias, stride, padding), atol=1e-5, rtol=1e-5
    )
    sizes = [
        output_size(n, k, stride, padding) for n, k in zip(shape[2:], (height, width), strict=True)
    ]
    assert list(y.shape) == [shape[0], out, *sizes]


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 9), st.integers(1, 4), st.sampled_from([None, 1, 2, 3]))
def test_pooling_equals_torch(n, k, stride):
    images = torch.randn(2, 3, n, n + 1, generator=torch.Generator().manual_seed(n))
    assert torch.equal(max_pool(images, k, stride), F.max_pool2d(images, k, stride))
    torch.testing.assert_close(average_pool(images, k, stride), F.avg_pool2d(images, k, stride))


def test_it_is_a_correlation():
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(7, 6)), rng.normal(size=(3, 3))
    y = convolve(torch.tensor(image)[None, None], torch.tensor(kernel)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(y, correlate2d(image, kernel, "valid"))
    np.testing.assert_allclose(y, convolve2d(image, kernel[::-1, ::-1], "valid"))
    assert np.abs(y - convolve2d(image, kernel, "valid")).max() > 0.1


def test_gradients_flow_through_the_unfolding():
    images = torch.randn(1, 2, 5, 5, dtype=torch.double, requires_grad=True)
    kernels = torch.randn(2, 2, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, None, 2, 1), (images, kernels))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: output_size(3, 5), "kernel of 5 does not fit into 3 pixels with padding 0"),
        (lambda: output_size(3, 2, stride=0), "stride must be positive"),
        (lambda: output_size(3, 2, padding=-1), "padding not negative"),
        (
            lambda: convolve(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 3, 3)),
            "kernel of 3 does not fit into 2",
        ),
        (
            lambda: convolve(torch.zeros(1, 3, 5, 5), torch.zeros(1, 1, 3, 3)),
            r"expected images \(B, 1, H, W\), got \(1, 3, 5, 5\)",
        ),
        (lambda: convolve(torch.zeros(5, 5), torch.zeros(1, 1, 3, 3)), r"got \(5, 5\)"),
        (lambda: convolve(torch.zeros(1, 1, 5, 5), torch.zeros(3, 3)), r"\(O, C, K, L\)"),
        (
            lambda: convolve(torch.zeros(1, 1, 5, 5), torch.zeros(2, 1, 3, 3), torch.zeros(3)),
            r"bias must be \(2,\), got \(3,\)",
        ),
        (lambda: max_pool(torch.zeros(1, 1, 2, 2), 3), "does not fit"),
        (lambda: average_pool(torch.zeros(2, 2), 2), r"expected images \(B, C, H, W\)"),
        (lambda: ResidualBlock(0), "must be positive"),
        (lambda: InceptionBlock(8, 24), "multiple of 16, got 24"),
        (lambda: ConvolutionConfig(size=6), "does not fit"),
        (lambda: ConvolutionConfig(widths=()), "expected positive sizes"),
        (lambda: ConvolutionConfig(n_classes=1), "2 classes or more"),
        (lambda: ConvolutionConfig(depth=-1), "depth >= 0"),
        (lambda: ConvolutionConfig(pooling="mean"), "pooling must be one of .*'mean'"),
        (lambda: ConvolutionConfig(block="dense"), "block must be one of .*'dense'"),
        (
            lambda: ConvolutionalClassifier(SMALL)(torch.zeros(2, 3, 8, 8)),
            r"expected images \(B, 1, 8, 8\), got \(2, 3, 8, 8\)",
        ),
        (lambda: ConvolutionalClassifier(SMALL)(torch.zeros(2, 1, 9, 8)), r"got \(2, 1, 9, 8\)"),
        (lambda: ConvolutionalClassifier(SMALL)(torch.zeros(8, 8)), r"got \(8, 8\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("pooling", ["max", "average", "stride"])
@pytest.mark.parametrize("padding", [0, 1])
def test_stated_sizes_are_those_of_the_layers(pooling, padding):
    config = ConvolutionConfig(size=17, widths=(2, 3), hidden=4, pooling=pooling, padding=padding)
    model, seen = ConvolutionalClassifier(config), [17]
    for layer in model.stages.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            layer.register_forward_hook(lambda _, __, y: seen.append(y.shape[-1]))
    assert model(torch.randn(2, 1, 17, 17)).shape == (2, 10)
    assert tuple(seen) == config.sizes()
    assert config.features == 3 * seen[-1] ** 2 == model.dense.in_features


def test_the_default_is_the_network_of_the_tutorials():
    config = ConvolutionConfig()
    assert config.sizes() == (28, 26, 13, 11, 5)
    assert config.features == 1600
    assert replace(config, padding=1).sizes() == (28, 28, 14, 14, 7)


def test_images_of_a_batch_do_not_mix():
    model = ConvolutionalClassifier(SMALL)
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(model(images)[1:2], model(images[1:2]))


def test_global_pooling_on_circular_convolutions_ignores_a_shift():
    model = ConvolutionalClassifier(replace(SMALL, widths=(4,), global_pooling=True))
    model.stages[0][0].padding_mode = "circular"
    model.stages[0][0]._reversed_padding_repeated_twice = [1, 1, 1, 1]
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(model(images), model(images.roll(2, -1)), atol=1e-5, rtol=1e-5)
    assert (model(images) - model(images.roll(2, -1).flip(-1))).abs().max() > 1e-3


def test_residual_block_passes_its_input_on():
    block = ResidualBlock(4)
    nn.init.zeros_(block.second[1].weight)
    x = torch.rand(2, 4, 5, 5)  # not negative, so the last ReLU keeps it
    assert torch.equal(block(x), x)
    plain = ResidualBlock(4, shortcut=False)
    nn.init.zeros_(plain.second[1].weight)
    assert torch.equal(plain(x), torch.zeros_like(x))


def test_residual_block_projects_where_the_shape_changes():
    assert ResidualBlock(4, 8, stride=2)(torch.rand(2, 4, 5, 5)).shape == (2, 8, 3, 3)
    assert isinstance(ResidualBlock(4).shortcut, nn.Identity)
    count = [
        sum(p.numel() for p in ResidualBlock(4, shortcut=s).parameters()) for s in (True, False)
    ]
    assert count[0] == count[1]


def test_inception_block_joins_four_branches():
    block = InceptionBlock(192, 256)
    x = torch.rand(1, 192, 6, 6)
    parts = [block.ones(x), block.threes(x), block.fives(x), block.pooled(x)]
    assert [part.shape[1] for part in parts] == [64, 128, 32, 32]  # table 1 of the paper, (3a)
    assert torch.equal(block(x), torch.cat(parts, dim=1))
    thin = [layer.out_channels for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    assert thin == [64, 96, 128, 16, 32, 32]


@pytest.mark.parametrize("block", ["plain", "residual", "inception"])
def test_every_kind_of_network_learns(block):
    seed_everything(0)
    images, labels = load_digits_split()["train"].rows(slice(64)).tensors()
    config = ConvolutionConfig(size=8, widths=(16,), hidden=16, padding=1, block=block, depth=1)
    model, batch = ConvolutionalClassifier(config), [ImageBatch(images, labels)]
    before = mean_loss(model, class_loss, batch)
    settings = FitConfig(lr=1e-2, steps=40, batch_size=32)
    fit(model, class_loss, lambda rows, _: ImageBatch(images[rows], labels[rows]), 64, settings)
    assert before > 1.5
    assert mean_loss(model, class_loss, batch) < 1.0
