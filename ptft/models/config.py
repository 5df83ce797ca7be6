"""The sizes of a Transformer, and the choices in which published families differ."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

Positions = Literal["rotary", "learned", "sinusoidal", "none"]
Norm = Literal["layer", "rms"]
Activation = Literal["relu", "gelu", "gelu_tanh", "relu2", "geglu", "swiglu"]


@dataclass(frozen=True)
class Style:
    """What a Transformer is built of. The defaults are ModernBERT's.

    Attributes:
        positions: How the order of the tokens enters: queries and keys are turned (`"rotary"`, Su
            et al. 2021), vectors are added (`"learned"`, or `"sinusoidal"`, Vaswani et al. 2017,
            sec. 3.5), or not at all (`"none"`).
        norm: Layer norm (Ba et al. 2016) or root-mean-square norm (Zhang & Sennrich 2019).
        norm_first: True normalises the input of each sublayer and the trunk's output (pre-norm,
            Xiong et al. 2020), False what stands after each residual sum (post-norm).
        norm_eps: Added to the variance in every norm.
        embedding_norm: True normalises the sum of the embeddings. The first block of a pre-norm
            trunk then has no norm of its own before attention.
        feed_forward: Activation of the feed-forward layer; `"relu2"` is the square of ReLU (So et
            al. 2021), `"geglu"` and `"swiglu"` multiply with a second projection (Shazeer 2020).
        bias: True gives linear layers and layer norms a bias.
        qk_norm: True normalises the queries and keys of each head, without a gain.
        n_segments: Number of segment embeddings, BERT's sentence A and B; 0 for none.
        prediction_head: True puts a dense layer, GELU and a norm before the output layer.
        output_bias: True gives the output layer a bias.
        tied: True shares the output matrix with the embedding (Press & Wolf 2017).
        init_std: Standard deviation of all initial matrices. None: one over the root of the input
            width, and zeros in projections into the residual stream and in an untied output layer.
        embedding_std: Standard deviation of the initial embeddings.
        rope_base: Base of the rotary wavelengths.
    """

    positions: Positions = "rotary"
    norm: Norm = "layer"
    norm_first: bool = True
    norm_eps: float = 1e-5
    embedding_norm: bool = True
    feed_forward: Activation = "geglu"
    bias: bool = False
    qk_norm: bool = False
    n_segments: int = 0
    prediction_head: bool = True
    output_bias: bool = True
    tied: bool = True
    init_std: float | None = None
    embedding_std: float = 0.02
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        for name, choices in (
            ("positions", get_args(Positions)),
            ("norm", get_args(Norm)),
            ("feed_forward", get_args(Activation)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        if self.n_segments < 0:
            raise ValueError(f"n_segments must not be negative, got {self.n_segments}")
        for name in ("norm_eps", "embedding_std", "rope_base"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    @property
    def gated(self) -> bool:
        """Whether the feed-forward layer has a second input projection."""
        return self.feed_forward in ("geglu", "swiglu")


VASWANI = Style(  # Vaswani et al. 2017, sec. 3
    positions="sinusoidal", norm_first=False, embedding_norm=False, feed_forward="relu", bias=True,
    prediction_head=False, output_bias=False, init_std=0.02,
)  # fmt: skip
MODERNBERT = Style()  # Warner et al. 2024, sec. 2.1
BERT = Style(  # Devlin et al. 2019, app. A.2
    positions="learned", norm_first=False, norm_eps=1e-12, feed_forward="gelu", bias=True,
    n_segments=2, init_std=0.02,
)  # fmt: skip
ROBERTA = replace(BERT, n_segments=1, norm_eps=1e-5)  # Liu et al. 2019
GPT2 = Style(  # Radford et al. 2019, sec. 2.3
    positions="learned", embedding_norm=False, feed_forward="gelu_tanh", bias=True,
    prediction_head=False, output_bias=False, init_std=0.02,
)  # fmt: skip
LLAMA = Style(  # Touvron et al. 2023, sec. 2.2
    norm="rms", norm_eps=1e-6, embedding_norm=False, feed_forward="swiglu", prediction_head=False,
    output_bias=False, tied=False, init_std=0.02,
)  # fmt: skip
SPEEDRUN = Style(  # what modded-nanogpt's first records are made of (Jordan et al. 2024)
    norm="rms", feed_forward="relu2", qk_norm=True, prediction_head=False, output_bias=False,
    tied=False, embedding_std=1.0,
)  # fmt: skip


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Transformer, in the papers' names.

    Attributes:
        vocab_size: Number of token ids `V`.
        d_model: Width `D` of the residual stream.
        n_heads: Attention heads `H`; `K = D / H` must be whole, and even with rotary positions.
        n_layers: Blocks `L`.
        d_ff: Inner width of the feed-forward layer.
        max_len: Longest sequence in tokens.
        dropout: Dropout probability in attention and feed-forward layers.
        causal: True for a decoder (left to right), False for an encoder (both sides).
        n_kv_heads: Heads of the keys and values, a divisor of `n_heads`; queries share them in
            groups (Ainslie et al. 2023). None means `n_heads`.
        style: What it is built of.
    """

    vocab_size: int
    d_model: int = 128
    n_heads: int = 4
    n_layers: int = 4
    d_ff: int = 256
    max_len: int = 128
    dropout: float = 0.0
    causal: bool = False
    n_kv_heads: int | None = None
    style: Style = MODERNBERT

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "n_heads", "n_layers", "d_ff", "max_len", "kv_heads"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        rotary = self.style.positions == "rotary"
        if self.d_model % self.n_heads or (rotary and self.head_dim % 2):
            raise ValueError(
                f"d_model / n_heads must be a whole{', even' if rotary else ''} number, "
                f"got {self.d_model} / {self.n_heads}"
            )
        if self.style.positions == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"sinusoidal positions need an even d_model, got {self.d_model}")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_kv_heads must divide {self.n_heads} heads, got {self.kv_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    @property
    def head_dim(self) -> int:
        """Width `K` of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Number of heads of the keys and values."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads
