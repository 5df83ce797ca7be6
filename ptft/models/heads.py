"""What turns contextual vectors into predictions: masked tokens, next tokens, classes."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.transformer import Transformer, TransformerConfig


class PredictionHead(nn.Module):
    """Dense layer, GELU, layer norm: the transform before an output layer (Devlin 2019, app. A)."""

    def __init__(self, d_model: int):
        super().__init__()
        self.dense = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.LayerNorm(d_model, bias=False)
        nn.init.normal_(self.dense.weight, std=d_model**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., D)` to `(..., D)`."""
        return self.norm(F.gelu(self.dense(x)))


class LanguageModel(nn.Module):
    """A trunk and an output layer that shares the embedding matrix (Press & Wolf 2017)."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.trunk = Transformer(config)
        self.head = PredictionHead(config.d_model)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(self.head(x), self.trunk.embedding.weight, self.bias)  # (..., V)


class MaskedLanguageModel(LanguageModel):
    """Predicts the original tokens at selected positions from both sides (Devlin et al. 2019).

    Raises:
        ValueError: If the config is causal.
    """

    def __init__(self, config: TransformerConfig):
        if config.causal:
            raise ValueError("a masked language model reads both sides: causal must be False")
        super().__init__(config)

    def forward(self, ids: Tensor, attend: Tensor | None, selected: Tensor) -> Tensor:
        """Score every word at the selected positions only, which is where the loss is.

        Args:
            ids: `(B, T)` corrupted token ids.
            attend: `(B, T)` bool, True on real tokens, or None.
            selected: `(B, T)` bool, True where the original token is to be predicted.

        Returns:
            `(N, V)` logits for the `N = selected.sum()` positions, row by row.
        """
        return self._logits(self.trunk(ids, attend)[selected])


class CausalLanguageModel(LanguageModel):
    """Predicts each token from those before it (Radford et al. 2018, sec. 3.1).

    Raises:
        ValueError: If the config is not causal.
    """

    def __init__(self, config: TransformerConfig):
        if not config.causal:
            raise ValueError("a causal language model reads left to right: causal must be True")
        super().__init__(config)

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Score every word as the successor of each prefix.

        Args:
            ids: `(B, T)` token ids.
            attend: `(B, T)` bool, True on real tokens, or None.

        Returns:
            `(B, T, V)` logits; those at position `t` are for token `t + 1`.
        """
        return self._logits(self.trunk(ids, attend))


class SequenceClassifier(nn.Module):
    """Classifies a text by the mean of its contextual vectors.

    Args:
        trunk: The encoder or decoder, from scratch or pretrained; it is used, not copied.
        n_classes: Number of classes `C`.
        head: A pretrained prediction head, likewise, or None for a new one.

    Raises:
        ValueError: If there are fewer than two classes.
    """

    def __init__(self, trunk: Transformer, n_classes: int, head: PredictionHead | None = None):
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {n_classes}")
        self.trunk = trunk
        self.head = PredictionHead(trunk.config.d_model) if head is None else head
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
