"""What the chapter on recurrent networks says about Keras, by itself."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import pytest
import torch
from torch import nn

from ptft.models.recurrent import ElmanCell, GRUCell, LSTMCell, unroll
from ptft.models.recurrent_classifier import RecurrentClassifier, RecurrentClassifierConfig
from ptft.text.batches import pad

D, H, B, T = 3, 4, 5, 6


def keras_weights(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def close(ours, theirs):
    torch.testing.assert_close(ours.detach(), theirs.detach(), atol=1e-5, rtol=0)


def build(cell):
    torch.manual_seed(0)
    cell = cell(D, H)
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    return cell, torch.randn(B, T, D)


@pytest.mark.parametrize("kind", [ElmanCell, LSTMCell])
def test_a_cell_with_one_bias_is_that_of_keras(kind):
    cell, x = build(kind)
    layer = keras.layers.SimpleRNN if kind is ElmanCell else keras.layers.LSTM
    theirs = layer(H, return_sequences=True)
    theirs.build(x.shape)
    theirs.set_weights(keras_weights(cell.U.T, cell.W.T, cell.b))
    assert theirs.count_params() == sum(p.numel() for p in cell.parameters())
    close(unroll(cell, x)[0], theirs(x))


@pytest.mark.parametrize("reset_after", [True, False])
def test_both_variants_of_the_gru_are_those_of_keras(reset_after):
    cell, x = build(lambda d, h: GRUCell(d, h, reset_after))
    theirs = keras.layers.GRU(H, return_sequences=True, reset_after=reset_after)
    theirs.build(x.shape)

    def reordered(tensor):  # ours: r, z, n; Keras: z, r, n
        r, z, n = tensor.chunk(3)
        return torch.cat((z, r, n))

    bias = reordered(cell.b)
    if reset_after:
        bias = torch.stack((bias, torch.cat((torch.zeros(2 * H), cell.k))))
    theirs.set_weights(keras_weights(reordered(cell.U).T, reordered(cell.W).T, bias))
    close(unroll(cell, x)[0], theirs(x))


def test_keras_starts_the_forget_bias_at_one():
    layer = keras.layers.LSTM(H)
    layer.build((B, T, D))
    bias = layer.cell.bias.value.tolist()
    assert bias == [0] * H + [1] * H + [0] * 2 * H
    assert bias == LSTMCell(D, H).b.tolist()


def test_masking_is_packing():
    torch.manual_seed(0)
    model = RecurrentClassifier(RecurrentClassifierConfig(12, 3, D, H))
    nn.init.normal_(model.classifier.weight)
    ids, attend = pad([[1, 2, 3, 4, 5, 6], [7], [8, 2]])
    layer = model.layer
    twin = keras.Sequential(
        [
            keras.Input((ids.shape[1],), dtype="int64"),
            keras.layers.Embedding(12, D, mask_zero=True),
            keras.layers.LSTM(H),
            keras.layers.Dense(3),
        ]
    )
    twin.set_weights(
        keras_weights(
            model.embedding.weight,
            layer.weight_ih_l0.T,
            layer.weight_hh_l0.T,
            layer.bias_ih_l0 + layer.bias_hh_l0,
            model.classifier.weight.T,
            model.classifier.bias,
        )
    )
    close(model(ids, attend), twin(ids))
    assert (model(ids) - twin(ids)).abs()[1:].max() > 1e-3  # without attend the state runs on


def test_keras_takes_one_state_for_a_whole_batch_and_we_do_not():
    cell, x = build(LSTMCell)
    layer = keras.layers.LSTM(H)
    one = [torch.randn(1, H) for _ in range(2)]
    close(layer(x, initial_state=one), layer(x, initial_state=[s.expand(B, H) for s in one]))
    with pytest.raises(ValueError, match=r"got \[\(1, 4\), \(1, 4\)\]"):
        unroll(cell, x, state=tuple(one))
    with pytest.raises(RuntimeError, match="Expected hidden"):
        nn.LSTM(D, H, batch_first=True)(x, tuple(s[None] for s in one))


def test_a_carried_state_needs_to_be_detached():
    cell, x = build(LSTMCell)
    _, state = unroll(cell, x)
    state[0].sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        unroll(cell, x, state=state)[0].sum().backward()
    unroll(cell, x, state=tuple(s.detach() for s in state))[0].sum().backward()
