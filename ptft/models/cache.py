"""Keys and values of what a decoder has read, kept so that each token is computed once."""

import torch
from torch import Tensor

from ptft.models.config import TransformerConfig


class LayerCache:
    """Keys and values of one layer, in tensors that are allocated once.

    Args:
        keys: `(B, G, T, K)` with room for `T` positions of `G` heads; its content does not matter.
        values: The same for the values.
    """

    def __init__(self, keys: Tensor, values: Tensor):
        self.keys, self.values, self.length = keys, values, 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append `(B, G, n, K)` keys and values; return all so far, as views.

        Raises:
            ValueError: If there is no room, or for another number of rows.
        """
        rows, _, room, _ = self.keys.shape
        end = self.length + keys.shape[2]
        if end > room or len(keys) != rows:
            raise ValueError(
                f"the cache has room for {rows} rows of {room} positions, "
                f"got {len(keys)} rows that end at {end}"
            )
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KeyValueCache:
    """One `LayerCache` for each layer of a decoder.

    Args:
        config: The decoder's.
        batch_size: Rows `B`.
        room: Positions to allocate; `config.max_len` by default.
        like: A tensor whose device and dtype the cache gets, such as a weight.

    Raises:
        ValueError: If the config is not causal: what an encoder computes changes with each token.
    """

    def __init__(
        self,
        config: TransformerConfig,
        batch_size: int,
        room: int | None = None,
        like: Tensor | None = None,
    ):
        if not config.causal:
            raise ValueError("only a causal model can keep keys and values: causal must be True")
        like = torch.empty(0) if like is None else like
        shape = (batch_size, config.kv_heads, room or config.max_len, config.head_dim)
        self.layers = [
            LayerCache(like.new_empty(shape), like.new_empty(shape)) for _ in range(config.n_layers)
        ]

    @property
    def length(self) -> int:
        """Number of positions that have been read."""
        return self.layers[0].length
