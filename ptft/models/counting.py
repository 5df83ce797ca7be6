"""What a Transformer costs, by formula: parameters, and floating-point operations."""

from typing import Literal

from ptft.models.config import TransformerConfig

Head = Literal["none", "words", "pairs"]


def parameter_count(config: TransformerConfig, head: Head = "words") -> int:
    r"""Return the number of parameters of a model that has not been built.

    A layer with $H$ heads of width $K$, $G$ of them for keys and values, has
    $D(H+2G)K + D^2 + g D F$ weights in its matrices, $F$ the inner width of the feed-forward layer,
    and $g$ = 3 if it is gated and 2 if not: $12D^2$ for $G=H$, $F=4D$, $g=2$ (Kaplan et al. 2020,
    table 1). Biases, norms, embeddings and heads are added exactly.

    Args:
        config: Of the model.
        head: `"none"` counts a `Transformer`, `"words"` a `MaskedLanguageModel` or
            `CausalLanguageModel`, `"pairs"` a `BertPretrainingModel`. A tied output matrix is
            counted once.

    Raises:
        ValueError: If `head` is not one of the three.
    """
    _check_head(head)
    style, D, V = config.style, config.d_model, config.vocab_size
    norm = D * (2 if style.norm == "layer" and style.bias else 1)
    n_norms = 2 * config.n_layers + style.norm_first + style.embedding_norm
    if style.norm_first and style.embedding_norm:
        n_norms -= 1  # the first block goes without
    total = V * D + style.n_segments * D + n_norms * norm
    if style.positions == "learned":
        total += config.max_len * D
    total += config.n_layers * _block_matrices(config)
    if style.bias:
        total += config.n_layers * (_qkv_width(config) + _ff_width(config) + 2 * D)
    if head == "none":
        return total
    if style.prediction_head:
        total += D * D + norm + (D if style.bias else 0)
    total += (V if style.output_bias else 0) + (0 if style.tied else V * D)
    if head == "pairs":
        total += (D + 1) * D + (D + 1) * 2  # the pooler, and two classes
    return total


def forward_flops(
    config: TransformerConfig,
    batch: int,
    length: int,
    head: Head = "words",
    n_outputs: int | None = None,
) -> int:
    r"""Return the floating-point operations of the matrix products of one forward pass.

    An $(m, k)$ by $(k, n)$ product takes $2mnk$. So each of the $BT$ tokens takes twice the weights
    of the matrices it passes, and attention $4BT^2D$ more per layer: $QK^\top$ and the weighted sum
    of $V$, both in full, since a mask saves nothing unless the kernel skips what it hides. Norms,
    activations, softmax and look-ups are not counted. A training step takes three times as much:
    each product has two more in the backward pass.

    Args:
        config: Of the model.
        batch: Rows `B`.
        length: Tokens `T` in a row.
        head: As in `parameter_count`.
        n_outputs: Positions at which words are scored, such as the masked ones; all by default.

    Raises:
        ValueError: If a number is out of range or `head` unknown.
    """
    _check_head(head)
    if batch < 1 or not 1 <= length <= config.max_len:
        raise ValueError(
            f"batch must be positive and length in [1, {config.max_len}], got {batch} and {length}"
        )
    tokens, D = batch * length, config.d_model
    n_outputs = tokens if n_outputs is None else n_outputs
    if not 0 <= n_outputs <= tokens:
        raise ValueError(f"n_outputs must be in [0, {tokens}], got {n_outputs}")
    per_layer = 2 * tokens * _block_matrices(config) + 4 * tokens * length * D
    total = config.n_layers * per_layer
    if head == "none":
        return total
    dense = D * D if config.style.prediction_head else 0
    total += 2 * n_outputs * (dense + D * config.vocab_size)
    if head == "pairs":
        total += 2 * batch * (D * D + 2 * D)
    return total


def _qkv_width(config: TransformerConfig) -> int:
    return (config.n_heads + 2 * config.kv_heads) * config.head_dim


def _ff_width(config: TransformerConfig) -> int:
    return config.d_ff * (2 if config.style.gated else 1)


def _block_matrices(config: TransformerConfig) -> int:
    """Return the weights of one layer's four matrices."""
    D = config.d_model
    attention = D * _qkv_width(config) + D * D
    return attention + D * _ff_width(config) + config.d_ff * D


def _check_head(head: Head) -> None:
    if head not in ("none", "words", "pairs"):
        raise ValueError(f"head must be 'none', 'words' or 'pairs', got {head!r}")
