"""A convolutional network over words: filters that look for n-grams, and their maximum."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.heads import TextClassifier
from ptft.models.inputs import check_attend, check_ids

Channels = Literal["random", "frozen", "tuned", "both"]


@dataclass(frozen=True)
class TextCNNConfig:
    """Shape of a `TextCNN`; the widths, filters and dropout of Kim 2014 (sec. 3.1) by default.

    Attributes:
        vocab_size: Words `V`.
        n_classes: Classes `C`, at least 2.
        d_model: Length `D` of a word's vector.
        widths: Words that a filter sees, each width once.
        filters: Filters of each width.
        dropout: Share of the `len(widths) * filters` features that training drops.
        channels: Where the word vectors come from (Kim 2014, sec. 3.3): `"random"` starts from
            noise and is trained; `"frozen"` (there: static) and `"tuned"` (non-static) start from
            given vectors; `"both"` (multichannel) has a frozen and a tuned copy.
    """

    vocab_size: int
    n_classes: int
    d_model: int = 300
    widths: tuple[int, ...] = (3, 4, 5)
    filters: int = 100
    dropout: float = 0.5
    channels: Channels = "random"

    def __post_init__(self) -> None:
        sizes = {"vocab_size": self.vocab_size, "d_model": self.d_model, "filters": self.filters}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if self.n_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {self.n_classes}")
        if not self.widths or min(self.widths) < 1 or len(set(self.widths)) < len(self.widths):
            raise ValueError(f"widths must be distinct and at least 1, got {self.widths}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.channels not in get_args(Channels):
            names = ", ".join(get_args(Channels))
            raise ValueError(f"channels must be one of {names}, got {self.channels!r}")


class TextCNN(TextClassifier):
    r"""Classifies a text by the strongest match of each filter anywhere in it.

    $$c_t = \max(0, \; w \cdot x_{t:t+h} + b), \qquad z = \max_t c_t$$

    One $z$ per filter; a linear layer maps them to logits. Kim 2014, sec. 2.

    A window lies inside the text: padding is never part of one. A text shorter than `h` words has
    one window, in which zeros stand for the missing words. (Kim pads both ends of every text.)
    Of two channels, each filter has weights of its own, as of the colours of an image.

    Args:
        config: The shape.
        vectors: `(V, D)`, where the words start, for all `channels` but `"random"`; copied.

    Attributes:
        embeddings: One table `(V, D)` per channel, the frozen one first.
        convolutions: One layer per width.

    Raises:
        ValueError: If vectors are missing, not wanted, not finite or of another shape.
    """

    def __init__(self, config: TextCNNConfig, vectors: Tensor | None = None):
        super().__init__()
        self.config = config
        shape = (config.vocab_size, config.d_model)
        if (vectors is None) != (config.channels == "random"):
            want = "no vectors" if config.channels == "random" else f"vectors of shape {shape}"
            got = "none" if vectors is None else "some"
            raise ValueError(f"channels={config.channels!r} needs {want}, got {got}")
        if vectors is None:
            vectors = torch.empty(shape).uniform_(-0.25, 0.25)
        if vectors.shape != shape or not vectors.isfinite().all():
            raise ValueError(
                f"expected finite vectors of shape {shape}, got {tuple(vectors.shape)}"
            )
        frozen = {"both": (True, False), "frozen": (True,)}.get(config.channels, (False,))
        self.embeddings = nn.ModuleList(
            nn.Embedding.from_pretrained(vectors.detach().float().clone(), freeze=still)
            for still in frozen
        )
        width_in = config.d_model * len(frozen)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width_in, config.filters, width) for width in config.widths
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.filters * len(config.widths), config.n_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def activations(self, ids: Tensor, attend: Tensor | None = None) -> list[Tensor]:
        """Return how well each filter matches at each place; 0 where no window is.

        Args:
            ids: `(B, T)` word ids.
            attend: `(B, T)` bool, True on words, padding at the end; or None.

        Returns:
            For each width `h` of the config `(B, filters, T')`, with `T'` of at least 1; place `t`
            is the window of the words `t` to `t + h - 1`.

        Raises:
            ValueError: If a text is empty, padded elsewhere, or a shape or an id is wrong.
        """
        attend = torch.ones_like(ids, dtype=torch.bool) if attend is None else attend
        check_attend(ids, attend)
        check_ids(ids, self.config.vocab_size, attend)
        ids = ids.where(attend, 0)  # whatever stands in a padded slot
        x = torch.cat([table(ids) for table in self.embeddings], dim=-1)  # (B, T, D)
        x = (x * attend[..., None]).transpose(1, 2)  # (B, D, T)
        missing = max(max(self.config.widths) - ids.shape[1], 0)
        x = F.pad(x, (0, missing))
        attend = F.pad(attend, (0, missing))
        found = []
        for width, convolution in zip(self.config.widths, self.convolutions, strict=True):
            inside = attend[:, width - 1 :].clone()  # (B, T'), by the last word of the window
            inside[:, 0] = True  # the one window of a short text
            found.append(F.relu(convolution(x)) * inside[:, None])  # (B, filters, T')
        return found

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Score the classes; arguments and errors as those of `activations`.

        Returns:
            `(B, C)` logits.
        """
        matches = self.activations(ids, attend)
        z = torch.cat([c.amax(dim=-1) for c in matches], dim=-1)  # (B, len(widths) * filters)
        return self.classifier(self.dropout(z))
