"""The Transformer trunk: one class, an encoder or (with `causal`) a decoder, in every style."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.attention import SelfAttention, rotary_angles, sinusoids
from ptft.models.cache import KeyValueCache, LayerCache
from ptft.models.config import Activation, TransformerConfig
from ptft.models.norms import make_norm


def activate(name: Activation, x: Tensor) -> Tensor:
    """Apply an activation; the gated ones halve the last axis, `act(first half) * second half`."""
    match name:
        case "relu":
            return F.relu(x)
        case "relu2":
            return F.relu(x).square()
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "geglu":
            value, gate = x.chunk(2, dim=-1)
            return F.gelu(value) * gate
        case "swiglu":
            value, gate = x.chunk(2, dim=-1)
            return F.silu(value) * gate


class FeedForward(nn.Module):
    r"""Two linear layers with an activation between, $W_o\, f(W_i x)$, the same at every position.

    Vaswani et al. 2017, sec. 3.3; gated as in Shazeer 2020, "GLU Variants Improve Transformer",
    eq. 6.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        style = config.style
        inner = config.d_ff * (2 if style.gated else 1)
        self.inner = nn.Linear(config.d_model, inner, bias=style.bias)
        self.out = nn.Linear(config.d_ff, config.d_model, bias=style.bias)
        self.activation, self.dropout = style.feed_forward, config.dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, T, D)` to `(B, T, D)`."""
        hidden = activate(self.activation, self.inner(x))  # (B, T, d_ff)
        return self.out(F.dropout(hidden, self.dropout, self.training))


class Block(nn.Module):
    """Attention, then feed-forward, each added to the residual stream.

    Pre-norm (Xiong et al. 2020) normalises what a sublayer reads, post-norm (Vaswani et al. 2017)
    the sum. Behind a normalised embedding a pre-norm block needs no first norm (`first=True`), as
    in ModernBERT (Warner et al. 2024, sec. 2.1).
    """

    def __init__(self, config: TransformerConfig, first: bool = False):
        super().__init__()
        style = config.style
        self.norm_first = style.norm_first
        normalised = first and style.norm_first and style.embedding_norm
        self.attention_norm = nn.Identity() if normalised else make_norm(style, config.d_model)
        self.attention = SelfAttention(
            config.d_model, config.n_heads, config.dropout, config.causal, config.n_kv_heads,
            style.bias, style.qk_norm,
        )  # fmt: skip
        self.feed_forward_norm = make_norm(style, config.d_model)
        self.feed_forward = FeedForward(config)

    def reset_parameters(self, init_std: float | None) -> None:
        """Draw new weights; with None, an untrained block is the identity."""
        for layer in (self.attention.qkv, self.feed_forward.inner):
            nn.init.normal_(layer.weight, std=init_std or layer.in_features**-0.5)
        for layer in (self.attention.out, self.feed_forward.out):
            if init_std is None:
                nn.init.zeros_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=init_std)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self,
        x: Tensor,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
        attend: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Map `(B, T, D)` to `(B, T, D)`; arguments as in `SelfAttention.forward`."""
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x), cos, sin, attend, cache)
            return x + self.feed_forward(self.feed_forward_norm(x))
        x = self.attention_norm(x + self.attention(x, cos, sin, attend, cache))
        return self.feed_forward_norm(x + self.feed_forward(x))


class Transformer(nn.Module):
    """Token ids to contextual vectors.

    `ptft.pretrained` exchanges the weights of the styles MODERNBERT, BERT, ROBERTA, GPT2 and LLAMA
    with `transformers`.
    """

    cos: Tensor | None
    sin: Tensor | None
    sinusoids: Tensor | None

    def __init__(self, config: TransformerConfig):
        super().__init__()
        style = config.style
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = self.segments = None
        if style.positions == "learned":
            self.positions = nn.Embedding(config.max_len, config.d_model)
        if style.n_segments:
            self.segments = nn.Embedding(style.n_segments, config.d_model)
        normalised = style.embedding_norm
        self.embedding_norm = make_norm(style, config.d_model) if normalised else nn.Identity()
        blocks = [Block(config, first=i == 0) for i in range(config.n_layers)]
        self.blocks = nn.ModuleList(blocks)
        normalised = style.norm_first
        self.final_norm = make_norm(style, config.d_model) if normalised else nn.Identity()
        cos = sin = fixed = None
        if style.positions == "rotary":
            angles = rotary_angles(config.max_len, config.head_dim, style.rope_base)
            cos, sin = angles.cos(), angles.sin()  # (max_len, K/2)
        elif style.positions == "sinusoidal":
            fixed = sinusoids(config.max_len, config.d_model)  # (max_len, D)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("sinusoids", fixed, persistent=False)
        for table in (self.embedding, self.positions, self.segments):
            if table is not None:
                nn.init.normal_(table.weight, std=style.embedding_std)
        for block in blocks:
            block.reset_parameters(style.init_std)

    def forward(
        self,
        ids: Tensor,
        attend: Tensor | None = None,
        segments: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Encode token ids in context.

        Args:
            ids: `(B, T)` integer token ids.
            attend: `(B, T)` bool, True where the token is real (False on padding). None means all.
            segments: `(B, T)` integers, the segment of each token. None means segment 0.
            cache: What was read before `ids`, a decoder's; `ids` are added to it. Rows are then of
                one length, without padding.

        Returns:
            `(B, T, D)` vectors. What stands at padded positions is not meaningful.

        Raises:
            TypeError: If `ids` is not an integer tensor or `attend` not a bool tensor.
            ValueError: If a shape or an id is out of range, a row is all padding, or segments or
                padding are given where there can be none.
        """
        past = 0 if cache is None else cache.length
        self._check(ids, attend, segments, past)
        if cache is not None and attend is not None:
            raise ValueError("with a cache every token is real: attend must be None")
        here = slice(past, past + ids.shape[1])
        cos = None if self.cos is None else self.cos[here]  # (T, K/2)
        sin = None if self.sin is None else self.sin[here]
        x = self.embedding_norm(self._embed(ids, segments, here))  # (B, T, D)
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, attend, None if cache is None else cache.layers[i])
        return self.final_norm(x)

    def _embed(self, ids: Tensor, segments: Tensor | None, here: slice) -> Tensor:
        x = self.embedding(ids)  # (B, T, D)
        if self.positions is not None:
            x = x + self.positions.weight[here]
        if self.sinusoids is not None:
            x = x + self.sinusoids[here]
        if self.segments is not None:
            x = x + (self.segments.weight[0] if segments is None else self.segments(segments))
        return x

    def _check(
        self, ids: Tensor, attend: Tensor | None, segments: Tensor | None, past: int
    ) -> None:
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"ids must be int64 or int32, got {ids.dtype}")
        if ids.ndim != 2 or ids.numel() == 0:
            raise ValueError(f"ids must have shape (B, T) and not be empty, got {tuple(ids.shape)}")
        if past + ids.shape[1] > self.config.max_len:
            raise ValueError(f"at most {self.config.max_len} tokens, got {past + ids.shape[1]}")
        _check_range("ids", ids, self.config.vocab_size)
        for name, other in (("attend", attend), ("segments", segments)):
            if other is not None and other.shape != ids.shape:
                raise ValueError(
                    f"{name} must have the shape of ids, {tuple(ids.shape)}, "
                    f"got {tuple(other.shape)}"
                )
        if segments is not None:
            if self.segments is None:
                raise ValueError("this model has no segments: n_segments is 0")
            _check_range("segments", segments, len(self.segments.weight))
        if attend is None:
            return
        if attend.dtype != torch.bool:
            raise TypeError(f"attend must be bool, got {attend.dtype}")
        if not attend.any(dim=1).all():
            raise ValueError("every row needs at least one real token, got a row of padding")


def _check_range(name: str, ids: Tensor, n: int) -> None:
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 or high >= n:
        raise ValueError(f"{name} must be in [0, {n}), got values from {low} to {high}")
