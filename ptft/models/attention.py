"""Multi-head self-attention with rotary positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary_angles(length: int, head_dim: int, base: float = 10_000.0) -> Tensor:
    r"""Return the angle by which each pair of coordinates is turned at each position.

    $\theta_{t,i} = t \cdot \text{base}^{-2i/K}$ for position $t$ and pair $i$
    (Su et al. 2021, RoFormer, eq. 15).

    Args:
        length: Number of positions `T`.
        head_dim: Width `K` of one head, even.
        base: Controls the longest wavelength.

    Returns:
        `(T, K/2)` angles in radians.

    Raises:
        ValueError: If `head_dim` is odd.
    """
    if head_dim % 2:
        raise ValueError(f"rotary positions need an even head width, got {head_dim}")
    frequencies = base ** (-torch.arange(0, head_dim, 2).float() / head_dim)  # (K/2,)
    return torch.outer(torch.arange(length).float(), frequencies)  # (T, K/2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pair `(x_i, x_{i+K/2})` of every head by its position's angle.

    Args:
        x: `(B, H, T, K)` queries or keys.
        cos: `(T, K/2)` cosines of `rotary_angles`.
        sin: `(T, K/2)` sines of `rotary_angles`.

    Returns:
        `(B, H, T, K)`. Scalar products of rotated vectors depend on positions only through their
        difference.
    """
    first, second = x.chunk(2, dim=-1)  # (B, H, T, K/2) each
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class SelfAttention(nn.Module):
    r"""Scaled dot-product self-attention, $\mathrm{softmax}(QK^\top/\sqrt{K})V$, in several heads.

    Vaswani et al. 2017, sec. 3.2, eq. 1, with rotary positions and without biases.

    Args:
        d_model: Width `D` of the sequence.
        n_heads: Number of heads `H`; each has width `K = D / H`.
        dropout: Probability of dropping an attention weight while training.
        causal: If true, position `t` attends only to positions up to `t`.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, causal: bool = False):
        super().__init__()
        self.n_heads, self.dropout, self.causal = n_heads, dropout, causal
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Tensor | None = None) -> Tensor:
        """Mix each position with those it may attend to.

        Args:
            x: `(B, T, D)`.
            cos: `(T, K/2)`, see `rotate`.
            sin: `(T, K/2)`.
            attend: `(B, T)` bool, True where a position is real and may be attended to.

        Returns:
            `(B, T, D)`.
        """
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.n_heads, D // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mask = None if attend is None else attend[:, None, None, :]  # (B, 1, 1, T)
        if mask is not None and self.causal:
            mask = mask & torch.ones(T, T, dtype=torch.bool, device=x.device).tril()  # (B, 1, T, T)
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal and mask is None,
        )  # (B, H, T, K)
        return self.out(mixed.transpose(1, 2).reshape(B, T, D))
