"""What turns contextual vectors into predictions: masked tokens, next tokens, classes."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.cache import KeyValueCache
from ptft.models.config import TransformerConfig
from ptft.models.norms import make_norm
from ptft.models.transformer import Transformer


class PredictionHead(nn.Module):
    """Dense layer, GELU, norm: the transform before an output layer, as in BERT."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        style, d_model = config.style, config.d_model
        self.dense = nn.Linear(d_model, d_model, bias=style.bias)
        self.norm = make_norm(style, d_model)
        nn.init.normal_(self.dense.weight, std=style.init_std or d_model**-0.5)
        if self.dense.bias is not None:
            nn.init.zeros_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., D)` to `(..., D)`."""
        return self.norm(F.gelu(self.dense(x)))


class LanguageModel(nn.Module):
    """A trunk and an output layer that scores every token of the vocabulary."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        style = config.style
        self.trunk = Transformer(config)
        self.head = PredictionHead(config) if style.prediction_head else nn.Identity()
        self.output = None
        if not style.tied:
            self.output = nn.Linear(config.d_model, config.vocab_size, bias=False)
            nn.init.normal_(self.output.weight, std=style.init_std or 0.0)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size)) if style.output_bias else None

    @property
    def config(self) -> TransformerConfig:
        """The trunk's config."""
        return self.trunk.config

    def _logits(self, x: Tensor) -> Tensor:
        layer = self.trunk.embedding if self.output is None else self.output
        return F.linear(self.head(x), layer.weight, self.bias)  # (..., V)


class MaskedLanguageModel(LanguageModel):
    """Predicts the original tokens at selected positions from both sides (Devlin et al. 2019).

    Raises:
        ValueError: If the config is causal.
    """

    def __init__(self, config: TransformerConfig):
        if config.causal:
            raise ValueError("a masked language model reads both sides: causal must be False")
        super().__init__(config)

    def forward(
        self,
        ids: Tensor,
        attend: Tensor | None,
        selected: Tensor,
        segments: Tensor | None = None,
    ) -> Tensor:
        """Score every word at the selected positions only, which is where the loss is.

        Args:
            ids: `(B, T)` corrupted token ids.
            attend: `(B, T)` bool, True on real tokens, or None.
            selected: `(B, T)` bool, True where the original token is to be predicted.
            segments: `(B, T)` segment of each token, or None.

        Returns:
            `(N, V)` logits for the `N = selected.sum()` positions, row by row.
        """
        return self._logits(self.trunk(ids, attend, segments)[selected])


class BertPretrainingModel(MaskedLanguageModel):
    """BERT with both of its objectives: masked tokens, and whether B follows A (Devlin 2019).

    Raises:
        ValueError: If the style has fewer than two segments.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        if config.style.n_segments < 2:
            raise ValueError(f"pairs need two segments, got n_segments={config.style.n_segments}")
        self.pooler = nn.Linear(config.d_model, config.d_model)
        self.next_sentence = nn.Linear(config.d_model, 2)
        for layer in (self.pooler, self.next_sentence):
            nn.init.normal_(layer.weight, std=config.style.init_std or config.d_model**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(  # type: ignore[override]
        self,
        ids: Tensor,
        attend: Tensor | None,
        selected: Tensor,
        segments: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Score the words at the selected positions, and the pair; arguments as in the base class.

        Returns:
            `(N, V)` logits, and `(B, 2)` logits of "B follows A" (0) and "B is from elsewhere" (1),
            read from the vector of the first token, `[CLS]`.
        """
        x = self.trunk(ids, attend, segments)  # (B, T, D)
        pooled = torch.tanh(self.pooler(x[:, 0]))  # (B, D)
        return self._logits(x[selected]), self.next_sentence(pooled)


class CausalLanguageModel(LanguageModel):
    """Predicts each token from those before it (Radford et al. 2018, sec. 3.1).

    Raises:
        ValueError: If the config is not causal.
    """

    def __init__(self, config: TransformerConfig):
        if not config.causal:
            raise ValueError("a causal language model reads left to right: causal must be True")
        super().__init__(config)

    def forward(
        self, ids: Tensor, attend: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        """Score every word as the successor of each prefix.

        Args:
            ids: `(B, T)` token ids.
            attend: `(B, T)` bool, True on real tokens, or None.
            cache: What was read before `ids`, see `Transformer.forward`.

        Returns:
            `(B, T, V)` logits; those at position `t` are for token `t + 1`.
        """
        return self._logits(self.trunk(ids, attend, cache=cache))


class TextClassifier(nn.Module):
    """What classifies token ids `(B, T)` with `attend` `(B, T)` by logits `(B, C)`.

    Attributes:
        max_len: The most tokens that it can read, or None if there is no such limit.
    """

    max_len: int | None = None


class SequenceClassifier(TextClassifier):
    """Classifies a text by the mean of its contextual vectors.

    Args:
        trunk: The encoder or decoder, from scratch or pretrained; it is used, not copied.
        n_classes: Number of classes `C`.
        head: A pretrained prediction head, likewise, or None for a new one.

    Raises:
        ValueError: If there are fewer than two classes.
    """

    def __init__(self, trunk: Transformer, n_classes: int, head: nn.Module | None = None):
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {n_classes}")
        self.trunk = trunk
        self.max_len = trunk.config.max_len
        self.head = PredictionHead(trunk.config) if head is None else head
        self.classifier = nn.Linear(trunk.config.d_model, n_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    @classmethod
    def from_pretrained(cls, model: "LanguageModel", n_classes: int) -> "SequenceClassifier":
        """Put a new output layer on a copy of a language model; only its word scores are left out.

        The prediction head comes along, as when `transformers` loads a masked ModernBERT into a
        sequence classifier.
        """
        return cls(copy.deepcopy(model.trunk), n_classes, copy.deepcopy(model.head))

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Score the classes.

        Args:
            ids: `(B, T)` token ids.
            attend: `(B, T)` bool, True on real tokens, or None.

        Returns:
            `(B, C)` logits.
        """
        x = self.trunk(ids, attend)  # (B, T, D)
        if attend is None:
            pooled = x.mean(dim=1)  # (B, D)
        else:
            weight = attend[..., None].to(x.dtype)  # (B, T, 1)
            pooled = (x * weight).sum(dim=1) / weight.sum(dim=1)
        return self.classifier(self.head(pooled))
