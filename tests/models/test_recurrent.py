import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ptft.models.recurrent import ElmanCell, GRUCell, LSTMCell, set_forget_bias, unroll

KINDS = {
    "elman": (ElmanCell, nn.RNNCell, nn.RNN),
    "lstm": (LSTMCell, nn.LSTMCell, nn.LSTM),
    "gru": (GRUCell, nn.GRUCell, nn.GRU),
}
kinds = pytest.mark.parametrize("kind", KINDS)
sizes = st.integers(1, 7)
few = settings(max_examples=12, deadline=None)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


@kinds
@few
@given(batch=sizes, d_input=sizes, d_hidden=sizes, seed=st.integers(0, 99))
def test_a_step_is_that_of_torch(kind, batch, d_input, d_hidden, seed):
    torch.manual_seed(seed)
    ours, theirs = (build(d_input, d_hidden) for build in KINDS[kind][:2])
    ours.load_torch(theirs)
    x = torch.randn(batch, d_input)
    state = tuple(torch.randn(batch, d_hidden) for _ in range(ours.n_states))
    expected = theirs(x, state if kind == "lstm" else state[0])
    for new, other in zip(ours(x, state), as_tuple(expected), strict=True):
        close(new, other)


@kinds
@few
@given(batch=sizes, steps=sizes, d_input=sizes, d_hidden=sizes, seed=st.integers(0, 99))
def test_unroll_is_torch_on_packed_sequences(kind, batch, steps, d_input, d_hidden, seed):
    torch.manual_seed(seed)
    cell, layer = KINDS[kind][0](d_input, d_hidden), KINDS[kind][2](d_input, d_hidden)
    cell.load_torch(layer)
    x = torch.randn(steps, batch, d_input)
    lengths = torch.randint(1, steps + 1, (batch,))
    outputs, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    outputs, _ = pad_packed_sequence(outputs, total_length=steps)
    ours, state = unroll(cell, x.transpose(0, 1), lengths)
    close(ours, outputs.transpose(0, 1))
    for h, other in zip(state, as_tuple(last), strict=True):
        close(h, other[0])


@kinds
def test_padding_changes_neither_outputs_nor_state_nor_gradient(kind):
    torch.manual_seed(0)
    cell = KINDS[kind][0](2, 3)
    x, lengths = torch.randn(2, 5, 2, requires_grad=True), torch.tensor([5, 2])
    outputs, state = unroll(cell, x, lengths)
    sum(s.sum() for s in state).backward()
    assert (x.grad[1, 2:] == 0).all() and (x.grad[1, :2] != 0).any()
    assert (outputs[1, 2:] == 0).all()
    other = x.detach().clone()
    other[1, 2:] = 9.0
    assert torch.equal(unroll(cell, other, lengths)[1][0], state[0])
    close(unroll(cell, x[1:, :2])[1][0][0], state[0][1])


@kinds
def test_a_run_can_be_continued(kind):
    torch.manual_seed(0)
    cell, x = KINDS[kind][0](2, 3), torch.randn(4, 6, 2)
    whole, last = unroll(cell, x)
    first, state = unroll(cell, x[:, :2])
    rest, end = unroll(cell, x[:, 2:], state=state)
    close(torch.cat((first, rest), dim=1), whole)
    close(end[0], last[0])


def test_one_bias_where_torch_has_two():
    for build, theirs, gates in ((ElmanCell, nn.RNNCell, 1), (LSTMCell, nn.LSTMCell, 4)):
        ours, other = (sum(p.numel() for p in b(5, 7).parameters()) for b in (build, theirs))
        assert ours == gates * (7 * 5 + 7 * 7 + 7)
        assert other - ours == gates * 7
    assert sum(p.numel() for p in GRUCell(5, 7).parameters()) == 3 * (7 * 5 + 7 * 7 + 7) + 7


def test_the_gru_of_the_paper_resets_before_the_product():
    torch.manual_seed(0)
    cell = GRUCell(2, 3, reset_after=False).double()
    nn.init.normal_(cell.b)
    x, h = torch.randn(1, 2).double(), torch.randn(1, 3).double()
    (ours,) = cell(x, (h,))
    (Ur, Uz, Un), (Wr, Wz, Wn), (br, bz, bn) = (t.detach().chunk(3) for t in cell.parameters())
    r = torch.sigmoid(Ur @ x[0] + Wr @ h[0] + br)
    z = torch.sigmoid(Uz @ x[0] + Wz @ h[0] + bz)
    n = torch.tanh(Un @ x[0] + Wn @ (r * h[0]) + bn)
    close(ours[0], z * h[0] + (1 - z) * n)
    after = GRUCell(2, 3).double()
    after.load_state_dict(cell.state_dict(), strict=False)
    assert (after(x, (h,))[0] - ours).abs().max() > 1e-3


def test_the_forget_bias_is_where_it_is_said_to_be():
    cell = LSTMCell(2, 3, forget_bias=4.0)
    assert cell.b.tolist() == [0] * 3 + [4] * 3 + [0] * 6
    layer = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    before = {name: p.clone() for name, p in layer.named_parameters()}
    set_forget_bias(layer, 4.0)
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            assert parameter[3:6].tolist() == [4.0 if "_ih" in name else 0.0] * 3
            assert torch.equal(parameter[:3], before[name][:3])
            assert torch.equal(parameter[6:], before[name][6:])
        else:
            assert torch.equal(parameter, before[name])
    cell.load_torch(layer)
    assert cell.b[3:6].tolist() == [4.0] * 3
    one = nn.LSTMCell(2, 3)
    set_forget_bias(one, -1.0)
    assert (one.bias_ih + one.bias_hh)[3:6].tolist() == [-1.0] * 3


def test_weights_without_bias_are_read_with_a_bias_of_zero():
    cell = LSTMCell(2, 3, forget_bias=1.0)
    cell.load_torch(nn.LSTM(2, 3, bias=False))
    assert (cell.b == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ElmanCell(0, 3), "sizes must be at least 1, got 0 and 3"),
        (lambda: LSTMCell(2, -1), "sizes must be at least 1, got 2 and -1"),
        (lambda: GRUCell(2, 3).load_torch(nn.GRU(3, 3)), r"expected weights of \(9, 2\)"),
        (
            lambda: GRUCell(2, 3, reset_after=False).load_torch(nn.GRU(2, 3)),
            "torch's GRU resets after the product",
        ),
        (lambda: ElmanCell(2, 3)(torch.ones(4, 3), (torch.ones(4, 3),)), r"x must be \(B, 2\)"),
        (lambda: ElmanCell(2, 3)(torch.ones(2), (torch.ones(4, 3),)), r"x must be \(B, 2\)"),
        # One row of state for a batch of four: Keras broadcasts it without a word.
        (
            lambda: LSTMCell(2, 3)(torch.ones(4, 2), (torch.ones(1, 3),) * 2),
            r"shapes \[\(4, 3\), \(4, 3\)\], got \[\(1, 3\), \(1, 3\)\]",
        ),
        (
            lambda: LSTMCell(2, 3)(torch.ones(4, 2), (torch.ones(4, 3),)),
            r"\[\(4, 3\), \(4, 3\)\], got \[\(4, 3\)\]",
        ),
        (lambda: unroll(ElmanCell(2, 3), torch.ones(4, 2)), r"inputs must be \(B, T, D\)"),
        (lambda: unroll(ElmanCell(2, 3), torch.ones(4, 0, 2)), "nothing empty"),
        (
            lambda: unroll(ElmanCell(2, 3), torch.ones(2, 4, 2), torch.tensor([4])),
            r"2 numbers from 1 to 4, got \[4\]",
        ),
        (
            lambda: unroll(ElmanCell(2, 3), torch.ones(2, 4, 2), torch.tensor([4, 5])),
            r"2 numbers from 1 to 4, got \[4, 5\]",
        ),
        (
            lambda: unroll(ElmanCell(2, 3), torch.ones(2, 4, 2), torch.tensor([4, 0])),
            r"2 numbers from 1 to 4, got \[4, 0\]",
        ),
    ],
)
def test_bad_input_says_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()
