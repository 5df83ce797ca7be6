"""A recurrent encoder and decoder, with one fixed vector between them or with attention."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ptft.models.inputs import check_attend, check_ids
from ptft.text.tokenizer import PAD


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Sizes of a recurrent encoder-decoder.

    Attributes:
        source_size: Vocabulary of the source.
        target_size: Vocabulary of the target, `V`.
        d_model: Width `D` of the embeddings, of the decoder's state, and of the encoder's state in
            each direction.
        attention: True looks at all of the source at every step (Bahdanau et al. 2015); False
            gives every step the same vector (Cho et al. 2014).
        dropout: Of embeddings and of what the output layer reads.
    """

    source_size: int
    target_size: int
    d_model: int = 64
    attention: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("source_size", "target_size", "d_model"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


class Memory(NamedTuple):
    """What the decoder reads of a source: its states, their share of the energies, and a mask."""

    states: Tensor  # (B, S, 2D), one annotation per source token; (B, 1, 2D) without attention
    keys: Tensor  # (B, S, D), the part of the energies that does not depend on the decoder
    attend: Tensor  # (B, S) bool, True on real tokens


class AdditiveAttention(nn.Module):
    r"""Weights of the source tokens, and the mean of their states with these weights.

    $$e_{ij} = v_a^\top \tanh(W_a s_{i-1} + U_a h_j), \qquad
    \alpha_{ij} = \frac{\exp e_{ij}}{\sum_k \exp e_{ik}}, \qquad c_i = \sum_j \alpha_{ij} h_j$$

    Source: Bahdanau et al. 2015, eq. 5 and 6, app. A.1.2.

    Args:
        d_state: Width of the decoder's state `s`.
        d_memory: Width of the encoder's states `h`.
        d_hidden: Width of the tanh layer.
    """

    def __init__(self, d_state: int, d_memory: int, d_hidden: int):
        super().__init__()
        self.w = nn.Linear(d_state, d_hidden, bias=False)
        self.u = nn.Linear(d_memory, d_hidden)
        self.v = nn.Linear(d_hidden, 1, bias=False)

    def forward(self, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return the context `(B, 2D)` and the weights `(B, S)` for a state `(B, D)`."""
        energies = self.v(torch.tanh(self.w(state)[:, None] + memory.keys))[..., 0]  # (B, S)
        weights = energies.masked_fill(~memory.attend, -torch.inf).softmax(-1)  # (B, S)
        return torch.bmm(weights[:, None], memory.states)[:, 0], weights


class SequenceToSequence(nn.Module):
    r"""Predicts each token of a target from a source and the target tokens before it.

    The encoder is a bidirectional GRU with states $h_j$. The decoder is a GRU:

    $$s_i = \mathrm{GRU}(s_{i-1}, [E y_{i-1}; c_i]), \qquad
    p(y_i | y_{<i}, x) = \mathrm{softmax}(W_o \tanh(W_t [s_i; E y_{i-1}; c_i]))$$

    With attention, $c_i$ is as in `AdditiveAttention`; without, it is the same at every step: the
    last state of each direction. Either starts at $s_0 = \tanh(W_s c)$ with that vector $c$.

    Sources: Cho et al. 2014, sec. 2.2 (fixed vector) and 2.3 (GRU); Bahdanau et al. 2015, eq. 4 to
    6. Unlike theirs, the layer before the output has a tanh, not a maxout, and $s_0$ reads both
    directions.
    """

    def __init__(self, config: Seq2SeqConfig):
        super().__init__()
        self.config = config
        D = config.d_model
        self.source_embedding = nn.Embedding(config.source_size, D, padding_idx=PAD)
        self.target_embedding = nn.Embedding(config.target_size, D, padding_idx=PAD)
        self.encoder = nn.GRU(D, D, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * D, D)
        self.attention = AdditiveAttention(D, 2 * D, D) if config.attention else None
        self.cell = nn.GRUCell(3 * D, D)
        self.readout = nn.Linear(4 * D, D)
        self.output = nn.Linear(D, config.target_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, source: Tensor, source_attend: Tensor | None, target: Tensor) -> Tensor:
        """Score every word as the successor of each prefix of the target (teacher forcing).

        Args:
            source: `(B, S)` token ids.
            source_attend: `(B, S)` bool, True on real tokens, or None. Padding is on the right.
            target: `(B, T)` token ids that start with a start token. Padding at the end needs no
                mask, since no earlier position sees it.

        Returns:
            `(B, T, V)` logits; those at position `t` are for target token `t + 1`.

        Raises:
            ValueError: If shapes or rows differ from this, a source is empty, or an id is not in
                its vocabulary.
        """
        return self._decode(source, source_attend, target)[0]

    def alignment(self, source: Tensor, source_attend: Tensor | None, target: Tensor) -> Tensor:
        """Return the attention weights `(B, T, S)` that `forward` uses; each row sums to one.

        Those at position `t` were used to predict target token `t + 1`.

        Raises:
            ValueError: As `forward`, or if the model has no attention.
        """
        if self.attention is None:
            raise ValueError("a model without attention has no alignment: set attention=True")
        return self._decode(source, source_attend, target)[1]

    def begin(self, source: Tensor, source_attend: Tensor | None) -> tuple[Memory, Tensor]:
        """Read the sources; return what the decoder looks at, and its first state `(B, D)`.

        Raises:
            ValueError: As `forward`.
        """
        if source_attend is None:
            source_attend = torch.ones_like(source, dtype=torch.bool)
        check_ids(source, self.config.source_size, name="source ids")
        check_attend(source, source_attend)
        x = self.dropout(self.source_embedding(source))  # (B, S, D)
        packed = pack_padded_sequence(
            x, source_attend.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        out, last = self.encoder(packed)
        ends = torch.cat((last[0], last[1]), dim=-1)  # (B, 2D), after the last and first token
        state = torch.tanh(self.bridge(ends))  # (B, D)
        if self.attention is None:
            return Memory(ends[:, None], state[:, None], source_attend[:, :1]), state
        states, _ = pad_packed_sequence(out, batch_first=True, total_length=source.shape[1])
        return Memory(states, self.attention.u(states), source_attend), state

    def step(
        self, tokens: Tensor, state: Tensor, memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """Read one token `(B,)`; return logits `(B, V)` of the next, and the new state `(B, D)`."""
        y = self.target_embedding(tokens)  # (B, D)
        state, context, _ = self._move(y, state, Memory(*memory))
        return self._logits(state, y, context), state

    def _decode(
        self, source: Tensor, source_attend: Tensor | None, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        check_ids(target, self.config.target_size, name="target ids")
        if len(target) != len(source):
            raise ValueError(f"expected a target per source, got {len(target)} and {len(source)}")
        memory, state = self.begin(source, source_attend)
        y = self.dropout(self.target_embedding(target))  # (B, T, D)
        states, contexts, weights = [], [], []
        for t in range(target.shape[1]):
            state, context, weight = self._move(y[:, t], state, memory)
            states.append(state)
            contexts.append(context)
            weights.append(weight)
        logits = self._logits(torch.stack(states, 1), y, torch.stack(contexts, 1))  # (B, T, V)
        return logits, torch.stack(weights, 1)  # (B, T, S)

    def _move(self, y: Tensor, state: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Look at the source, then take one step of the decoder."""
        if self.attention is None:
            context, weights = memory.states[:, 0], memory.attend.float()
        else:
            context, weights = self.attention(state, memory)  # (B, 2D), (B, S)
        return self.cell(torch.cat((y, context), dim=-1), state), context, weights

    def _logits(self, state: Tensor, y: Tensor, context: Tensor) -> Tensor:
        hidden = torch.tanh(self.readout(torch.cat((state, y, context), dim=-1)))  # (..., D)
        return self.output(self.dropout(hidden))  # (..., V)
