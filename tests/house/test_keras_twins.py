"""Keras on torch: the same image network gives the same logits; a softmax too many is silent."""

import math
import os
import warnings

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is first imported

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptft.models.convolution import ConvolutionalClassifier, ConvolutionConfig

FLOOR = math.log(1 + 9 / math.e)


def twin(config, activation=None):
    pad = "same" if config.padding else "valid"
    layers = [keras.Input((config.size, config.size, config.channels))]
    for width in config.widths:
        layers.append(keras.layers.Conv2D(width, config.kernel, padding=pad, activation="relu"))
        layers.append(keras.layers.MaxPooling2D(2))
    layers += [keras.layers.Flatten(), keras.layers.Dense(config.hidden, "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(config.n_classes, activation)])


def hand_over(ours, theirs):
    side, values = ours.config.sizes()[-1], []
    for name, value in ours.state_dict().items():
        if name == "dense.weight":  # channels first to channels last, before they are flattened
            value = value.unflatten(1, (-1, side, side)).permute(0, 2, 3, 1).flatten(1)
        if value.ndim == 4:
            value = value.permute(2, 3, 1, 0)
        values.append((value.T if value.ndim == 2 else value).numpy())
    theirs.set_weights(values)


@pytest.mark.parametrize(
    "config", [ConvolutionConfig(), ConvolutionConfig(size=8, widths=(4, 6), padding=1)]
)
def test_same_parameters_and_logits(config):
    ours, theirs = ConvolutionalClassifier(config), twin(config)
    assert theirs.count_params() == sum(p.numel() for p in ours.parameters())
    hand_over(ours, theirs)
    images = torch.rand(3, config.channels, config.size, config.size)
    with torch.no_grad():
        its = theirs(images.permute(0, 2, 3, 1))
        torch.testing.assert_close(its.cpu(), ours(images), atol=1e-5, rtol=1e-5)


def test_a_keras_model_is_a_torch_module():
    assert keras.backend.backend() == "torch"
    assert isinstance(twin(ConvolutionConfig(size=8, widths=(4,))), nn.Module)


def test_floor_of_two_softmaxes_in_both_libraries():
    sure, answer = torch.eye(10)[:1], torch.tensor([0])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert F.cross_entropy(sure, answer).item() == pytest.approx(FLOOR, abs=1e-6)
    assert float(loss(answer, sure)) == pytest.approx(FLOOR, abs=1e-6)


def test_a_softmax_too_many_is_silent_and_stays_above_the_floor():
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((32, 8, 8, 1), dtype=np.float32)
    labels, losses = np.arange(32) % 10, {}
    for activation in (None, "softmax"):
        model = twin(ConvolutionConfig(size=8, widths=(8,), hidden=64), activation)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-2), loss)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = model.fit(images, labels, batch_size=32, epochs=40, verbose=0)
        losses[activation] = history.history["loss"][-1]
    assert losses[None] < FLOOR - 0.3
    assert losses["softmax"] >= FLOOR


def test_one_hot_labels_need_another_loss():
    model = twin(ConvolutionConfig(size=8, widths=(4,), hidden=8))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, one_hot = np.zeros((4, 8, 8, 1), np.float32), np.eye(10)[:4]
    with pytest.raises(ValueError, match=r"rank|same shape"):
        model.fit(images, one_hot, verbose=0)
