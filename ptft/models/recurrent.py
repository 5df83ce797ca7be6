"""Recurrent cells by hand: Elman's, the LSTM and the GRU, and the loop that runs them over time.

Each has matrices `U` for the input and `W` for the state, stacked gate under gate, and one bias
`b`. torch has two biases, of which only the sum counts; the GRU's candidate is the exception.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["elman", "lstm", "gru"]
LAYERS: dict[Kind, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {
    "elman": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
State = tuple[Tensor, ...]  # (h,) or (h, c), each (B, H); the output of a step is h


class RecurrentCell(nn.Module):
    """One step in time: an input `(B, D)` and a state to the next state.

    Args:
        d_input: Length `D` of an input.
        d_hidden: Length `H` of the state.

    Attributes:
        U: `(G H, D)` for `G` gates.
        W: `(G H, H)`.
        b: `(G H,)`, zero at first. The matrices are uniform within `H ** -0.5`, as torch has it.

    Raises:
        ValueError: If a size is below one.
    """

    n_gates = 1
    n_states = 1

    def __init__(self, d_input: int, d_hidden: int):
        super().__init__()
        if d_input < 1 or d_hidden < 1:
            raise ValueError(f"sizes must be at least 1, got {d_input} and {d_hidden}")
        self.d_input, self.d_hidden = d_input, d_hidden
        rows, bound = self.n_gates * d_hidden, d_hidden**-0.5
        self.U = nn.Parameter(torch.empty(rows, d_input).uniform_(-bound, bound))
        self.W = nn.Parameter(torch.empty(rows, d_hidden).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(rows))

    def start(self, batch_size: int) -> State:
        """Return the state before the first input: zeros, a row for *each* text of the batch."""
        return (self.b.new_zeros(batch_size, self.d_hidden),) * self.n_states

    def forward(self, x: Tensor, state: State) -> State:
        """Return the next state.

        Args:
            x: `(B, D)`.
            state: The state before, as `start` makes it.

        Raises:
            ValueError: If a shape is wrong; nothing is broadcast.
        """
        if x.ndim != 2 or x.shape[1] != self.d_input:
            raise ValueError(f"x must be (B, {self.d_input}), got {tuple(x.shape)}")
        expected, got = [(len(x), self.d_hidden)] * self.n_states, [tuple(s.shape) for s in state]
        if got != expected:
            raise ValueError(f"the state must have the shapes {expected}, got {got}")
        return self._next(x, state)

    def _next(self, x: Tensor, state: State) -> State:
        raise NotImplementedError

    @torch.no_grad()
    def load_torch(self, module: nn.Module) -> None:
        """Copy the weights of the `nn.RNNCell`, `nn.LSTMCell` or `nn.GRUCell` of the same kind.

        An `nn.RNN`, `nn.LSTM` or `nn.GRU` does as well: its first layer is read.

        Raises:
            ValueError: If its weights have other shapes.
        """
        tensors = {name.removesuffix("_l0"): p for name, p in module.named_parameters()}
        shapes = [tuple(tensors[name].shape) for name in ("weight_ih", "weight_hh")]
        if shapes != [tuple(self.U.shape), tuple(self.W.shape)]:
            raise ValueError(
                f"expected weights of {tuple(self.U.shape)} and {tuple(self.W.shape)}, got {shapes}"
            )
        self.U.copy_(tensors["weight_ih"])
        self.W.copy_(tensors["weight_hh"])
        zero = torch.zeros_like(self.b)
        self._load_biases(tensors.get("bias_ih", zero), tensors.get("bias_hh", zero))

    def _load_biases(self, of_input: Tensor, of_state: Tensor) -> None:
        self.b.copy_(of_input + of_state)


class ElmanCell(RecurrentCell):
    r"""The simple recurrent network.

    $$h_t = \tanh(W h_{t-1} + U x_t + b)$$

    Products of a matrix and a vector. Elman 1990, fig. 2 (with logistic units); Goodfellow et al.
    2016, eq. 10.8 and 10.9.
    """

    def _next(self, x: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(h @ self.W.T + x @ self.U.T + self.b),)  # (B, H)


class LSTMCell(RecurrentCell):
    r"""Long short-term memory: a cell `c` that gates write to, erase and read.

    $$i, f, o = \sigma(W_{i,f,o} h_{t-1} + U_{i,f,o} x_t + b_{i,f,o}), \quad
    g = \tanh(W_g h_{t-1} + U_g x_t + b_g)$$

    $$c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh(c_t)$$

    Hochreiter and Schmidhuber 1997; the forget gate `f` is of Gers et al. 2000, sec. 3. The rows
    are stacked in torch's order `i, f, g, o`.

    Args:
        d_input: `D`.
        d_hidden: `H`.
        forget_bias: What `b_f` starts at. torch starts near 0, where half of the cell is forgotten
            at each step; 1 is advised (Jozefowicz et al. 2015).
    """

    n_gates = 4
    n_states = 2

    def __init__(self, d_input: int, d_hidden: int, forget_bias: float = 1.0):
        super().__init__(d_input, d_hidden)
        nn.init.constant_(self.b.data[d_hidden : 2 * d_hidden], forget_bias)

    def gates(self, x: Tensor, h: Tensor) -> State:
        """Return `i`, `f`, `g` and `o`, each `(B, H)`."""
        i, f, g, o = (h @ self.W.T + x @ self.U.T + self.b).chunk(4, dim=1)
        return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()

    def _next(self, x: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = self.gates(x, h)
        c = f * c + i * g
        return o * c.tanh(), c


class GRUCell(RecurrentCell):
    r"""Gated recurrent unit: like an LSTM with one state, whose two gates write and erase.

    $$r, z = \sigma(W_{r,z} h_{t-1} + U_{r,z} x_t + b_{r,z}), \quad
    h_t = z \odot h_{t-1} + (1 - z) \odot n$$

    $$n = \tanh(r \odot (W_n h_{t-1} + k) + U_n x_t + b_n)$$

    That is what torch and, by default, Keras compute. Cho et al. 2014 (eq. 5 to 8) reset the state
    before the product: $n = \tanh(W_n (r \odot h_{t-1}) + U_n x_t + b_n)$.

    Args:
        d_input: `D`.
        d_hidden: `H`.
        reset_after: False is the variant of the paper, without `k`.
    """

    n_gates = 3

    def __init__(self, d_input: int, d_hidden: int, reset_after: bool = True):
        super().__init__(d_input, d_hidden)
        self.k = nn.Parameter(torch.zeros(d_hidden)) if reset_after else None

    def _next(self, x: Tensor, state: State) -> State:
        (h,) = state
        H = self.d_hidden
        of_x = x @ self.U.T + self.b  # (B, 3H)
        r, z = (of_x[:, : 2 * H] + h @ self.W[: 2 * H].T).sigmoid().chunk(2, dim=1)
        W_n = self.W[2 * H :]  # (H, H)
        of_h = (r * h) @ W_n.T if self.k is None else r * (h @ W_n.T + self.k)  # (B, H)
        n = torch.tanh(of_x[:, 2 * H :] + of_h)
        return (z * h + (1 - z) * n,)

    def _load_biases(self, of_input: Tensor, of_state: Tensor) -> None:
        if self.k is None:
            raise ValueError(
                "torch's GRU resets after the product: this cell has reset_after=False"
            )
        rows = 2 * self.d_hidden
        self.b.copy_(torch.cat((of_input[:rows] + of_state[:rows], of_input[rows:])))
        self.k.copy_(of_state[rows:])


def unroll(
    cell: RecurrentCell, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
) -> tuple[Tensor, State]:
    """Run a cell over time, the same weights at each step.

    Equal to `nn.RNN`, `nn.LSTM` and `nn.GRU` on packed sequences.

    Args:
        cell: Any of the three.
        inputs: `(B, T, D)`.
        lengths: `(B,)` steps that each row has, from 1 to `T`; or None for `T`. What comes after
            is padding: the state stays as it is.
        state: The state before the first step; by default `cell.start(B)`.

    Returns:
        The outputs `h_1 ... h_T` `(B, T, H)`, zero on padding, and the state after each row's last
        step.

    Raises:
        ValueError: If a shape or a length is wrong.
    """
    if inputs.ndim != 3 or 0 in inputs.shape:
        raise ValueError(f"inputs must be (B, T, D), nothing empty, got {tuple(inputs.shape)}")
    batch, steps, _ = inputs.shape
    if lengths is None:
        lengths = torch.full((batch,), steps, device=inputs.device)
    if lengths.shape != (batch,) or lengths.min() < 1 or lengths.max() > steps:
        raise ValueError(
            f"lengths must be {batch} numbers from 1 to {steps}, got {lengths.tolist()}"
        )
    state = cell.start(batch) if state is None else state
    outputs = []
    for t in range(steps):
        real = (t < lengths)[:, None]  # (B, 1)
        after = cell(inputs[:, t], state)
        state = tuple(new.where(real, old) for new, old in zip(after, state, strict=True))
        outputs.append(state[0] * real)
    return torch.stack(outputs, dim=1), state  # (B, T, H)


@torch.no_grad()
def set_forget_bias(layer: nn.LSTM | nn.LSTMCell, value: float) -> None:
    """Start the forget gates of a torch LSTM at `sigmoid(value)`, in all layers and directions.

    Of torch's two biases one gets `value` and the other 0.
    """
    for name, parameter in layer.named_parameters():
        if name.startswith("bias"):
            H = layer.hidden_size
            parameter[H : 2 * H] = value if name.startswith("bias_ih") else 0.0
