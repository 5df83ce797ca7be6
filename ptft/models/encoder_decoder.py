"""Encoder and decoder in one model: the Transformer as it was first published."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from ptft.models.config import TransformerConfig
from ptft.models.heads import LanguageModel
from ptft.models.norms import make_norm
from ptft.models.transformer import Block, Transformer


class CrossAttention(nn.Module):
    r"""Attention whose queries are from one sequence, its keys and values from another.

    $\mathrm{softmax}(QK^\top/\sqrt K)V$ with $Q = xW^Q$, $K = mW^K$, $V = mW^V$ (Vaswani et al.
    2017, sec. 3.2.3, "encoder-decoder attention"). Positions of two texts have no difference that
    means anything, so nothing is rotated.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        D, self.head_dim, bias = config.d_model, config.head_dim, config.style.bias
        self.n_heads, self.n_kv_heads = config.n_heads, config.kv_heads
        self.qk_norm, self.dropout = config.style.qk_norm, config.dropout
        self.q = nn.Linear(D, D, bias=bias)
        self.kv = nn.Linear(D, 2 * self.n_kv_heads * self.head_dim, bias=bias)
        self.out = nn.Linear(D, D, bias=bias)

    def forward(self, x: Tensor, memory: Tensor, attend: Tensor | None = None) -> Tensor:
        """Let each position of `x` `(B, T, D)` read the memory `(B, S, D)`.

        Args:
            x: `(B, T, D)`, what asks.
            memory: `(B, S, D)`, what is read.
            attend: `(B, S)` bool, True where a position of the memory is real.

        Returns:
            `(B, T, D)`.
        """
        B, T, D = x.shape
        q = self.q(x).view(B, T, self.n_heads, self.head_dim).transpose(1, 2)  # (B, H, T, K)
        kv = self.kv(memory).view(B, -1, 2 * self.n_kv_heads, self.head_dim).transpose(1, 2)
        k, v = kv.chunk(2, dim=1)  # (B, G, S, K) each
        if self.qk_norm:
            q, k = F.rms_norm(q, (self.head_dim,)), F.rms_norm(k, (self.head_dim,))
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if attend is None else attend[:, None, None, :],  # (B, 1, 1, S)
            dropout_p=self.dropout if self.training else 0.0,
            enable_gqa=self.n_kv_heads != self.n_heads,
        )  # (B, H, T, K)
        return self.out(mixed.transpose(1, 2).reshape(B, T, D))


class DecoderBlock(Block):
    """Self-attention, cross attention, feed-forward (Vaswani et al. 2017, sec. 3.1)."""

    def __init__(self, config: TransformerConfig, first: bool = False):
        super().__init__(config, first)
        self.cross_norm = make_norm(config.style, config.d_model)
        self.cross = CrossAttention(config)

    def reset_parameters(self, init_std: float | None) -> None:
        """Draw new weights; with None, an untrained block is the identity."""
        for layer in (self.cross.q, self.cross.kv):
            nn.init.normal_(layer.weight, std=init_std or layer.in_features**-0.5)
        nn.init.normal_(self.cross.out.weight, std=init_std or 0.0)
        super().reset_parameters(init_std)  # and the biases of all

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        cos: Tensor | None,
        sin: Tensor | None,
        memory: Tensor,
        memory_attend: Tensor | None,
    ) -> Tensor:
        """Map `(B, T, D)` and a memory `(B, S, D)` to `(B, T, D)`."""
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x), cos, sin)
            x = x + self.cross(self.cross_norm(x), memory, memory_attend)
            return x + self.feed_forward(self.feed_forward_norm(x))
        x = self.attention_norm(x + self.attention(x, cos, sin))
        x = self.cross_norm(x + self.cross(x, memory, memory_attend))
        return self.feed_forward_norm(x + self.feed_forward(x))


class Decoder(Transformer):
    """A causal trunk whose blocks also read a memory."""

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        blocks = [DecoderBlock(config, first=i == 0) for i in range(config.n_layers)]
        for block in blocks:
            block.reset_parameters(config.style.init_std)
        self.blocks = nn.ModuleList(blocks)

    def forward(  # type: ignore[override]
        self, ids: Tensor, memory: Tensor, memory_attend: Tensor | None = None
    ) -> Tensor:
        """Encode `(B, T)` ids, each with those before it and all of the memory, as `(B, T, D)`."""
        self._check(ids, None, None, 0)
        if len(memory) != len(ids):
            raise ValueError(f"expected one source per target, got {len(memory)} and {len(ids)}")
        here = slice(ids.shape[1])
        cos = None if self.cos is None else self.cos[here]  # (T, K/2)
        sin = None if self.sin is None else self.sin[here]
        x = self.embedding_norm(self._embed(ids, None, here))  # (B, T, D)
        for block in self.blocks:
            x = block(x, cos, sin, memory, memory_attend)
        return self.final_norm(x)


class EncoderDecoder(LanguageModel):
    r"""Predicts each token of a target text from a source text and the target tokens before it.

    $p(y|x) = \prod_t p(y_t | y_{<t}, x)$ (Vaswani et al. 2017, sec. 3). With a tied style, source,
    target and output share one matrix (sec. 3.4), so both texts have one vocabulary.

    Args:
        config: Of the decoder, hence causal; the encoder differs in reading both sides.

    Raises:
        ValueError: If the config is not causal.
    """

    trunk: Decoder

    def __init__(self, config: TransformerConfig):
        if not config.causal:
            raise ValueError("the decoder reads left to right: causal must be True")
        super().__init__(config)
        self.trunk = Decoder(config)
        self.encoder = Transformer(replace(config, causal=False))
        if config.style.tied:
            self.encoder.embedding = self.trunk.embedding

    def forward(self, source: Tensor, source_attend: Tensor | None, target: Tensor) -> Tensor:
        """Score every word as the successor of each prefix of the target.

        Args:
            source: `(B, S)` token ids.
            source_attend: `(B, S)` bool, True on real tokens, or None.
            target: `(B, T)` token ids that start with a start token. Padding at the end needs no
                mask, since no earlier position sees it.

        Returns:
            `(B, T, V)` logits; those at position `t` are for target token `t + 1`.

        Raises:
            TypeError, ValueError: As `Transformer.forward`, or if the numbers of rows differ.
        """
        memory = self.encoder(source, source_attend)  # (B, S, D)
        return self._logits(self.trunk(target, memory, source_attend))
