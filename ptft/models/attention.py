"""Multi-head self-attention, and how positions enter it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.cache import LayerCache


def sinusoids(length: int, d_model: int) -> Tensor:
    r"""Return one vector per position, to be added to the embeddings.

    $p_{t,2i} = \sin(t \cdot 10000^{-2i/D})$, $p_{t,2i+1} = \cos(t \cdot 10000^{-2i/D})$
    (Vaswani et al. 2017, sec. 3.5).

    Args:
        length: Number of positions `T`.
        d_model: Width `D`, even.

    Returns:
        `(T, D)`.

    Raises:
        ValueError: If `d_model` is odd.
    """
    angles = rotary_angles(length, d_model)  # (T, D/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


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
        raise ValueError(f"positions in pairs of coordinates need an even width, got {head_dim}")
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

    Vaswani et al. 2017, sec. 3.2, eq. 1.

    Args:
        d_model: Width `D` of the sequence.
        n_heads: Number of heads `H` of the queries; each has width `K = D / H`.
        dropout: Probability of dropping an attention weight while training.
        causal: If true, position `t` attends only to positions up to `t`.
        n_kv_heads: Number of heads `G` of the keys and values, a divisor of `H`; `H` by default.
        bias: If true, both projections have a bias.
        qk_norm: If true, queries and keys are divided by their root mean square.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        dropout: float = 0.0,
        causal: bool = False,
        n_kv_heads: int | None = None,
        bias: bool = False,
        qk_norm: bool = False,
    ):
        super().__init__()
        self.n_heads, self.dropout, self.causal = n_heads, dropout, causal
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.head_dim, self.qk_norm = d_model // n_heads, qk_norm
        projections = (n_heads + 2 * self.n_kv_heads) * self.head_dim
        self.qkv = nn.Linear(d_model, projections, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self,
        x: Tensor,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
        attend: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Mix each position with those it may attend to.

        Args:
            x: `(B, T, D)`.
            cos: `(T, K/2)`, see `rotate`; None leaves queries and keys as they are.
            sin: `(T, K/2)`.
            attend: `(B, T)` bool, True where a position is real and may be attended to.
            cache: Keys and values of earlier positions, which are attended to as well; those of `x`
                are added to it.

        Returns:
            `(B, T, D)`.
        """
        B, T, D = x.shape
        heads = [self.n_heads, self.n_kv_heads, self.n_kv_heads]
        qkv = self.qkv(x).view(B, T, sum(heads), self.head_dim).transpose(1, 2)
        q, k, v = qkv.split(heads, dim=1)  # (B, H, T, K), (B, G, T, K), (B, G, T, K)
        if self.qk_norm:
            q, k = F.rms_norm(q, (self.head_dim,)), F.rms_norm(k, (self.head_dim,))
        if cos is not None and sin is not None:
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        past = 0
        if cache is not None:
            past = cache.length
            k, v = cache.extend(k, v)  # (B, G, past + T, K)
        mask = None if attend is None else attend[:, None, None, :]  # (B, 1, 1, T)
        if self.causal and T > 1 and (mask is not None or past):
            earlier = torch.ones(T, past + T, dtype=torch.bool, device=x.device).tril(past)
            mask = earlier if mask is None else mask & earlier  # (T, past + T) or (B, 1, T, T)
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal and mask is None and T > 1,
            enable_gqa=self.n_kv_heads != self.n_heads,
        )  # (B, H, T, K)
        return self.out(mixed.transpose(1, 2).reshape(B, T, D))
