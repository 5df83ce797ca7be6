"""A recurrent language model: no future, steps equal the whole, a state that fits, its loss."""

import math

import pytest
import torch

from ptft.models.generation import Sampling
from ptft.models.recurrent_language_model import (
    RecurrentConfig,
    RecurrentLanguageModel,
    detach,
    write,
)
from ptft.text.batches import CausalBatch
from ptft.training.losses import causal_loss

KINDS = ("elman", "gru", "lstm")
V, D, H = 11, 6, 8


def model(kind="lstm", **changes):
    torch.manual_seed(0)
    settings = {"vocab_size": V, "d_model": D, "hidden": H, "kind": kind, **changes}
    return RecurrentLanguageModel(RecurrentConfig(**settings)).eval()


def ids(*shape, seed=1):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_steps_equal_the_whole(kind, n_layers):
    lm, x = model(kind, n_layers=n_layers), ids(3, 9)
    whole = lm(x)
    assert whole.shape == (3, 9, V)
    pieces, state = [], None
    for piece in x.split((1, 4, 1, 3), dim=1):
        logits, state = lm.step(piece, state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_changes_nothing(kind):
    lm, x = model(kind, n_layers=2), ids(4, 10)
    y = x.clone()
    y[:, 6:] = (y[:, 6:] + 1) % V
    assert torch.equal(lm(x)[:, :6], lm(y)[:, :6])
    assert not torch.equal(lm(x)[:, 6], lm(y)[:, 6])


def test_elman_is_the_equation():
    lm, x = model("elman"), ids(2, 5)
    a, r = lm.layers.weight_ih_l0, lm.layers.weight_hh_l0
    c = lm.layers.bias_ih_l0 + lm.layers.bias_hh_l0
    h, scores = torch.zeros(2, H), []
    for t in range(5):
        h = torch.tanh(lm.embedding.weight[x[:, t]] @ a.T + h @ r.T + c)
        scores.append(h @ lm.output.weight.T + lm.output.bias)
    torch.testing.assert_close(lm(x), torch.stack(scores, dim=1), rtol=0, atol=1e-6)


def test_loss_counts_real_targets_only():
    lm, x = model(), ids(2, 7)
    attend = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    total, n = causal_loss(lm, CausalBatch(x, attend))
    first, second = (causal_loss(lm, CausalBatch(row, None)) for row in (x[:1], x[1:, :4]))
    assert n == 6 + 3
    torch.testing.assert_close(total, first[0] + second[0])
    other = x.clone()
    other[1, 4:] = 0
    assert torch.equal(causal_loss(lm, CausalBatch(other, attend))[0], total)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_an_untrained_model_guesses_uniformly(kind, tied):
    lm = model(kind, vocab_size=200, d_model=32, hidden=32, tied=tied)
    x = torch.randint(200, (8, 40))
    total, n = causal_loss(lm, CausalBatch(x, None))
    assert total.item() / n == pytest.approx(math.log(200), rel=0.03)


def test_tied_weights_are_one_tensor():
    untied, tied = model(d_model=H), model(d_model=H, tied=True)
    assert tied.output.weight is tied.embedding.weight
    sizes = [sum(p.numel() for p in lm.parameters()) for lm in (untied, tied)]
    assert sizes[0] - sizes[1] == V * H


def test_lstm_starts_by_remembering():
    lm = model("lstm")
    bias = lm.layers.bias_ih_l0 + lm.layers.bias_hh_l0  # (4 H), gates i f g o
    assert bias.view(4, H).mean(1).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_detach_cuts_the_gradient(kind):
    lm = model(kind)
    before, after = torch.tensor([[0, 1, 2]]), torch.tensor([[3, 4, 5]])

    def gradient(cut):
        lm.zero_grad()
        _, state = lm.step(before)
        lm.step(after, detach(state) if cut else state)[0].sum().backward()
        return lm.embedding.weight.grad[before].abs().sum()

    assert gradient(cut=True) == 0
    assert gradient(cut=False) > 0


def test_greedy_writing_is_the_argmax_of_the_whole():
    lm, prompt = model(n_layers=2), ids(3, 2)
    text = write(lm, prompt, 5)
    assert text.shape == (3, 7)
    assert torch.equal(text[:, :2], prompt)
    for t in range(2, 7):
        assert torch.equal(lm(text[:, :t])[:, -1].argmax(-1), text[:, t])


def test_writing_follows_the_distribution():
    lm, draws = model(), torch.Generator().manual_seed(0)
    prompt = torch.zeros(4000, 1, dtype=torch.long)
    new = write(lm, prompt, 1, Sampling(temperature=0.5), draws)[:, 1]
    shares = new.bincount(minlength=V) / len(new)
    wanted = (lm(prompt[:1])[0, -1] / 0.5).softmax(-1)
    torch.testing.assert_close(shares, wanted, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"n_layers": 0}, "n_layers must be at least 1"),
        ({"kind": "rnn"}, "kind must be one of elman, lstm, gru, got 'rnn'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"tied": True}, "got d_model 6 and hidden 8"),
    ],
)
def test_bad_settings(changes, says):
    with pytest.raises(ValueError, match=says):
        model(**changes)


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (torch.zeros(2, 3), TypeError, "ids must be integers, got torch.float32"),
        (torch.zeros(3, dtype=torch.long), ValueError, r"at least one token, got \(3,\)"),
        (torch.zeros(2, 0, dtype=torch.long), ValueError, r"at least one token, got \(2, 0\)"),
        (torch.tensor([[0, V]]), ValueError, r"ids must be in \[0, 11\), got 0 to 11"),
        (torch.tensor([[-1, 0]]), ValueError, "got -1 to 0"),
    ],
)
def test_bad_ids(x, error, says):
    for call in (model(), lambda x: write(model(), x, 1)):
        with pytest.raises(error, match=says):
            call(x)


@pytest.mark.parametrize(
    ("attend", "error", "says"),
    [
        ([[1, 1, 1]], ValueError, "attend must be bool"),
        ([[True, True]], ValueError, r"bool of shape \(1, 3\), got torch.bool \(1, 2\)"),
        ([[False, True, True]], ValueError, "padding at the end"),
        ([[True, False, True]], ValueError, "padding at the end"),
        ([[False, False, False]], ValueError, "padding at the end"),
    ],
)
def test_bad_padding(attend, error, says):
    with pytest.raises(error, match=says):
        model()(ids(1, 3), torch.tensor(attend))


def test_a_state_must_fit():
    lstm, gru, x = model("lstm"), model("gru"), ids(2, 3)
    state = lstm.step(x)[1]
    with pytest.raises(ValueError, match=r"expected a state of 2 x \(1, 3, 8\)"):
        lstm.step(ids(3, 1), state)
    with pytest.raises(ValueError, match=r"expected a state of 1 x \(1, 2, 8\)"):
        gru.step(x, state)
    with pytest.raises(ValueError, match=r"expected a state of 2 x"):
        lstm.step(x, state[0])


def test_writing_nothing_is_an_error():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        write(model(), ids(1, 2), 0)
