from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from ptft.evaluation.predictions import predict_classes
from ptft.models.recurrent import ElmanCell, GRUCell, LSTMCell, unroll
from ptft.models.recurrent_classifier import (
    RecurrentClassifier,
    RecurrentClassifierConfig,
    packed,
)
from ptft.text.batches import LabelledBatch, pad
from ptft.training.finetuning import fine_tune
from ptft.training.fitting import FitConfig
from ptft.training.losses import class_loss

CONFIG = RecurrentClassifierConfig(vocab_size=12, n_classes=3, d_model=4, d_hidden=5)
TEXTS = [[1, 2, 3, 4, 5, 6], [7], [8, 0], [0, 0, 0]]
CELLS = {"elman": ElmanCell, "lstm": LSTMCell, "gru": GRUCell}
VARIANTS = list(product(CELLS, (False, True), ("last", "mean")))
variants = pytest.mark.parametrize(("kind", "bidirectional", "pooling"), VARIANTS)


def build(**changes):
    torch.manual_seed(0)
    model = RecurrentClassifier(replace(CONFIG, **changes))
    nn.init.normal_(model.classifier.weight)  # it starts at zero, which would hide everything
    return model.eval()


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_it_equals_the_cell_by_hand(kind, pooling):
    model = build(kind=kind, pooling=pooling)
    cell = CELLS[kind](4, 5)
    cell.load_torch(model.layer)
    ids, attend = pad(TEXTS)
    lengths = attend.sum(dim=1)
    outputs, state = unroll(cell, model.embedding(ids), lengths)
    pooled = state[0] if pooling == "last" else outputs.sum(dim=1) / lengths[:, None]
    torch.testing.assert_close(model(ids, attend), model.classifier(pooled), atol=1e-6, rtol=0)


@variants
def test_padding_changes_nothing(kind, bidirectional, pooling):
    model = build(kind=kind, bidirectional=bidirectional, pooling=pooling)
    ids, attend = pad(TEXTS)
    logits = model(ids, attend)
    assert torch.equal(model(ids.where(attend, 11), attend), logits)
    longer, more = (torch.cat((t, t.new_zeros(4, 5)), dim=1) for t in (ids, attend))
    assert torch.equal(model(longer, more), logits)
    for text, row in zip(TEXTS, logits, strict=True):
        torch.testing.assert_close(model(torch.tensor([text]))[0], row, atol=1e-6, rtol=0)


def test_without_attend_the_state_runs_on_over_the_padding():
    model = build()
    ids, attend = pad(TEXTS)
    difference = (model(ids) - model(ids, attend)).abs().amax(dim=1)
    assert difference[0] < 1e-6 and (difference[1:] > 1e-3).all()


def test_padding_gets_no_gradient():
    model = build()
    ids, attend = pad([[1, 2, 3, 4], [5]])
    class_loss(model, LabelledBatch(ids, attend, torch.tensor([0, 1])))[0].backward()
    gradient = model.embedding.weight.grad
    assert gradient[0].abs().sum() == 0  # id 0 is in padded slots only
    assert gradient[5].abs().sum() > 0


def test_two_directions_are_two_networks():
    one, two = build(), build(bidirectional=True)
    size = [sum(p.numel() for p in model.layer.parameters()) for model in (one, two)]
    assert size[1] == 2 * size[0]
    text = torch.tensor([[1, 2, 3, 4]])
    state = two.layer(two.embedding(text))[1][0]  # (2, 1, H)
    cell = LSTMCell(4, 5)
    cell.load_torch(one.layer)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    reverse = {name: getattr(two.layer, f"{name}_l0_reverse") for name in names}
    cell.U.data, cell.W.data = reverse["weight_ih"].data, reverse["weight_hh"].data
    cell.b.data = (reverse["bias_ih"] + reverse["bias_hh"]).data
    backwards = unroll(cell, two.embedding(text.flip(1)))[1][0]
    torch.testing.assert_close(state[1], backwards, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", CELLS)
def test_it_learns_an_order_that_no_bag_can_see(kind):
    pairs = [[a, b] for a in range(1, 6) for b in range(6, 11)]
    texts = pairs + [pair[::-1] for pair in pairs]
    labels = [0] * len(pairs) + [1] * len(pairs)
    torch.manual_seed(0)
    model = RecurrentClassifier(replace(CONFIG, n_classes=2, kind=kind))
    fine_tune(model, texts, labels, FitConfig(lr=0.03, steps=60))
    assert (predict_classes(model, texts) == torch.tensor(labels)).all()


def test_dropout_is_for_training_only():
    model = build(dropout=0.5)
    ids, attend = pad(TEXTS)
    assert torch.equal(model(ids, attend), model(ids, attend))
    model.train()
    assert not torch.equal(model(ids, attend), model(ids, attend))


def test_the_forget_bias_reaches_the_layer():
    H = CONFIG.d_hidden
    assert (build(forget_bias=3.0).layer.bias_ih_l0[H : 2 * H] == 3).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"d_model": -1}, "d_model must be at least 1, got -1"),
        ({"d_hidden": 0}, "d_hidden must be at least 1, got 0"),
        ({"n_classes": 1}, "at least 2 classes, got 1"),
        ({"kind": "rnn"}, "kind must be one of elman, lstm, gru, got 'rnn'"),
        ({"pooling": "max"}, "pooling must be one of last, mean, got 'max'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_a_bad_config_says_so(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)


ONES = torch.ones(2, 4, dtype=torch.long)
REAL = torch.ones(2, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("ids", "attend", "message"),
    [
        (ONES[0], None, r"ids must be \(B, T\) with at least one token, got \(4,\)"),
        (ONES, REAL[:, :3], r"bool of shape \(2, 4\), got torch.bool \(2, 3\)"),
        (ONES, torch.zeros_like(REAL), "a text is empty or padded elsewhere"),
        (ONES * 12, REAL, r"ids must be in \[0, 12\), got 12 to 12"),
    ],
)
def test_it_asks_for_ids_and_a_mask(ids, attend, message):
    with pytest.raises(ValueError, match=message):
        build()(ids, attend)


def test_what_cannot_be_packed_says_so():
    with pytest.raises(ValueError, match=r"expected x \(B, T, D\)"):
        packed(torch.ones(2, 4), REAL)


def test_an_unknown_label_and_an_empty_text_say_so():
    model, config = build(), FitConfig(lr=0.1, steps=1)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 3\), got 3 to 3"):
        fine_tune(model, [[1, 2]], [3], config)
    with pytest.raises(ValueError, match="non-empty"):
        fine_tune(model, [[]], [0], config)
