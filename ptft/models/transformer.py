"""The Transformer trunk: one architecture, an encoder or (with `causal`) a decoder."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.attention import SelfAttention, rotary_angles


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Transformer, in the papers' names.

    Attributes:
        vocab_size: Number of token ids `V`.
        d_model: Width `D` of the residual stream.
        n_heads: Attention heads `H`; `D / H` must be a whole, even number.
        n_layers: Blocks `L`.
        d_ff: Inner width of the gated feed-forward layer.
        max_len: Longest sequence in tokens.
        dropout: Dropout probability in attention and feed-forward layers.
        causal: True for a decoder (left to right), False for an encoder (both sides).
    """

    vocab_size: int
    d_model: int = 128
    n_heads: int = 4
    n_layers: int = 4
    d_ff: int = 256
    max_len: int = 128
    dropout: float = 0.0
    causal: bool = False

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "n_heads", "n_layers", "d_ff", "max_len"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        if self.d_model % self.n_heads or (self.d_model // self.n_heads) % 2:
            raise ValueError(
                "d_model / n_heads must be a whole, even number, "
                f"got {self.d_model} / {self.n_heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


class FeedForward(nn.Module):
    r"""Gated feed-forward layer $W_o(\mathrm{GELU}(W_a x) \odot W_b x)$, the same everywhere.

    GEGLU of Shazeer 2020, "GLU Variants Improve Transformer", eq. 6.
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0):
        super().__init__()
        self.inner = nn.Linear(d_model, 2 * d_ff, bias=False)
        self.out = nn.Linear(d_ff, d_model, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, T, D)` to `(B, T, D)`."""
        value, gate = self.inner(x).chunk(2, dim=-1)  # (B, T, d_ff) each
        return self.out(F.dropout(F.gelu(value) * gate, self.dropout, self.training))


class Block(nn.Module):
    """Attention, then feed-forward, each added to the residual stream after a layer norm.

    Pre-norm (Xiong et al. 2020). The first block's attention sees the embedding's own norm, as in
    ModernBERT (Warner et al. 2024, sec. 2.1), so `first=True` leaves out that norm. Both
    projections back into the residual stream start at zero: an untrained block is the identity.
    """

    def __init__(self, config: TransformerConfig, first: bool = False):
        super().__init__()
        self.attention_norm = nn.Identity() if first else _norm(config.d_model)
        self.attention = SelfAttention(
            config.d_model, config.n_heads, config.dropout, config.causal
        )
        self.feed_forward_norm = _norm(config.d_model)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, config.dropout)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        nn.init.normal_(self.attention.qkv.weight, std=self.attention.qkv.in_features**-0.5)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.normal_(
            self.feed_forward.inner.weight, std=self.feed_forward.inner.in_features**-0.5
        )
        nn.init.zeros_(self.feed_forward.out.weight)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Tensor | None = None) -> Tensor:
        """Map `(B, T, D)` to `(B, T, D)`; arguments as in `SelfAttention.forward`."""
        x = x + self.attention(self.attention_norm(x), cos, sin, attend)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(nn.Module):
    """Token ids to contextual vectors.

    The architecture is ModernBERT's (Warner et al. 2024) with full attention in every layer:
    pre-norm, rotary positions, gated feed-forward layers, no biases. `ptft.pretrained` exchanges
    its weights with `transformers`.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.embedding_norm = _norm(config.d_model)
        blocks = [Block(config, first=i == 0) for i in range(config.n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = _norm(config.d_model)
        angles = rotary_angles(config.max_len, config.d_model // config.n_heads)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        for block in blocks:
            block.reset_parameters()

    def forward(self, ids: Tensor, attend: Tensor | None = None) -> Tensor:
        """Encode token ids in context.

        Args:
            ids: `(B, T)` integer token ids.
            attend: `(B, T)` bool, True where the token is real (False on padding). None means all.

        Returns:
            `(B, T, D)` vectors. What stands at padded positions is not meaningful.

        Raises:
            TypeError: If `ids` is not an integer tensor or `attend` not a bool tensor.
            ValueError: If a shape or an id is out of range, or a row is all padding.
        """
        self._check(ids, attend)
        T = ids.shape[1]
        cos, sin = self.cos[:T], self.sin[:T]  # (T, K/2)
        x = self.embedding_norm(self.embedding(ids))  # (B, T, D)
        for block in self.blocks:
            x = block(x, cos, sin, attend)
        return self.final_norm(x)

    def _check(self, ids: Tensor, attend: Tensor | None) -> None:
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"ids must be int64 or int32, got {ids.dtype}")
        if ids.ndim != 2 or ids.numel() == 0:
            raise ValueError(f"ids must have shape (B, T) and not be empty, got {tuple(ids.shape)}")
        if ids.shape[1] > self.config.max_len:
            raise ValueError(f"at most {self.config.max_len} tokens, got {ids.shape[1]}")
        low, high = (int(bound) for bound in ids.aminmax())
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"ids must be in [0, {self.config.vocab_size}), got values from {low} to {high}"
            )
        if attend is None:
            return
        if attend.dtype != torch.bool:
            raise TypeError(f"attend must be bool, got {attend.dtype}")
        if attend.shape != ids.shape:
            raise ValueError(
                f"attend must have the shape of ids, {tuple(ids.shape)}, got {tuple(attend.shape)}"
            )
        if not attend.any(dim=1).all():
            raise ValueError("every row needs at least one real token, got a row of padding")


def _norm(d_model: int) -> nn.LayerNorm:
    return nn.LayerNorm(d_model, bias=False)
