"""What models of token ids ask of their input, in one place and in the same words."""

import torch
from torch import Tensor


def check_ids(
    ids: Tensor, vocab_size: int, attend: Tensor | None = None, name: str = "ids"
) -> None:
    """Refuse what is not token ids.

    Args:
        ids: Should be `(B, T)` integers, at least one token.
        vocab_size: Ids should be in `[0, vocab_size)`.
        attend: `(B, T)` bool: ids matter where it is True only; or None.
        name: What the message calls them.

    Raises:
        TypeError: If the ids are not integers.
        ValueError: If the shape is another one, or an id is outside the vocabulary.
    """
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise TypeError(f"{name} must be integers, got {ids.dtype}")
    if ids.ndim != 2 or 0 in ids.shape:
        raise ValueError(f"{name} must be (B, T) with at least one token, got {tuple(ids.shape)}")
    low, high = (int(bound) for bound in (ids if attend is None else ids[attend]).aminmax())
    if low < 0 or high >= vocab_size:
        raise ValueError(f"{name} must be in [0, {vocab_size}), got {low} to {high}")


def check_attend(ids: Tensor, attend: Tensor) -> None:
    """Refuse a mask that does not say where each text ends.

    Args:
        ids: `(B, T)`, or vectors `(B, T, D)` of them.
        attend: Should be `(B, T)` bool, True on the tokens of a text, then False on its padding.

    Raises:
        ValueError: If the shape or type is another one, a text is empty, or padding stands before
            a token.
    """
    shape = tuple(ids.shape[:2])
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"ids must be (B, T) with at least one token, got {shape}")
    if attend.dtype != torch.bool or attend.shape != shape:
        raise ValueError(
            f"attend must be bool of shape {shape}, got {attend.dtype} {tuple(attend.shape)}"
        )
    if not attend[:, 0].all() or (attend[:, 1:] & ~attend[:, :-1]).any():
        raise ValueError(
            "expected tokens first and padding at the end: a text is empty or padded elsewhere"
        )
