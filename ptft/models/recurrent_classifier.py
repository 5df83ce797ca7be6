"""A recurrent network that reads a text word by word and names its class."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ptft.models.heads import TextClassifier
from ptft.models.inputs import check_attend, check_ids
from ptft.models.recurrent import LAYERS, Kind, set_forget_bias

Pooling = Literal["last", "mean"]


@dataclass(frozen=True)
class RecurrentClassifierConfig:
    """Shape of a `RecurrentClassifier`.

    Attributes:
        vocab_size: Words `V`.
        n_classes: Classes `C`, at least 2.
        d_model: Length `D` of a word's vector.
        d_hidden: Length `H` of the state of one direction.
        kind: "elman", "lstm" or "gru".
        bidirectional: True has a second network that reads the text from its end.
        pooling: "last" classifies the last state of each direction, "mean" the mean of all states.
        dropout: Share of the numbers that training drops, of the words' vectors and of what is
            classified.
        forget_bias: Where the forget gates of an LSTM start, see `LSTMCell`.
    """

    vocab_size: int
    n_classes: int
    d_model: int = 64
    d_hidden: int = 64
    kind: Kind = "lstm"
    bidirectional: bool = False
    pooling: Pooling = "last"
    dropout: float = 0.0
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "d_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.n_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {self.n_classes}")
        for name, known in (("kind", get_args(Kind)), ("pooling", get_args(Pooling))):
            if getattr(self, name) not in known:
                names = ", ".join(known)
                raise ValueError(f"{name} must be one of {names}, got {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


def packed(x: Tensor, attend: Tensor) -> PackedSequence:
    """Leave the padding out, so that each row's state stops at its own last word.

    Args:
        x: `(B, T, D)`.
        attend: `(B, T)` bool, True on words, padding at the end.

    Returns:
        What `nn.RNN`, `nn.LSTM` and `nn.GRU` take instead of a tensor.

    Raises:
        ValueError: If the shapes do not match, or a row is empty or padded elsewhere.
    """
    if x.ndim != 3:
        raise ValueError(f"expected x (B, T, D), got {tuple(x.shape)}")
    check_attend(x, attend)
    lengths = attend.sum(dim=1).cpu()  # (B,), torch wants them on the CPU
    return pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)


class RecurrentClassifier(TextClassifier):
    """Classifies a text by the states of a recurrent network; padding changes nothing.

    Args:
        config: The shape.

    Attributes:
        embedding: `(V, D)`.
        layer: `nn.RNN`, `nn.LSTM` or `nn.GRU`.
        classifier: From `H`, or `2 H` if bidirectional, to `C`; zero at first.
    """

    def __init__(self, config: RecurrentClassifierConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layer = LAYERS[config.kind](
            config.d_model, config.d_hidden, batch_first=True, bidirectional=config.bidirectional
        )
        if isinstance(self.layer, nn.LSTM):
            set_forget_bias(self.layer, config.forget_bias)
        self.dropout = nn.Dropout(config.dropout)
        directions = 2 if config.bidirectional else 1
        self.classifier = nn.Linear(directions * config.d_hidden, config.n_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Score the classes.

        Args:
            ids: `(B, T)` word ids.
            attend: `(B, T)` bool, True on words, padding at the end; None means words everywhere.

        Returns:
            `(B, C)` logits.

        Raises:
            ValueError: If a text is empty or padded elsewhere, or a shape or an id is wrong.
        """
        check_ids(ids, self.config.vocab_size)
        attend = torch.ones_like(ids, dtype=torch.bool) if attend is None else attend
        x = self.dropout(self.embedding(ids))  # (B, T, D)
        outputs, state = self.layer(packed(x, attend))
        if self.config.pooling == "mean":
            # (B, T, H), zero after the end of a text
            states, lengths = pad_packed_sequence(outputs, batch_first=True)
            pooled = states.sum(dim=1) / lengths[:, None].to(states.device)
        else:
            h = state[0] if isinstance(state, tuple) else state  # (directions, B, H)
            pooled = torch.cat(tuple(h), dim=-1)  # (B, directions H)
        return self.classifier(self.dropout(pooled))
