"""A corpus as one long row of token ids on disk, so that it need not fit in memory."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ptft.core import DataError, atomic_write

_BLOCK = 1 << 16  # tokens that are held while writing or checking: 64 k


def write_tokens(path: str | Path, documents: Iterable[Sequence[int]], vocab_size: int) -> int:
    """Write token ids, document after document, as one NumPy file of (N,) int32.

    One pass; memory stays bounded by a document and a block, however long the corpus is.

    Args:
        path: The file; it appears only once it is complete.
        documents: Their token ids, separators included: nothing is put between documents.
        vocab_size: Ids must be below this.

    Returns:
        N, the number of tokens.

    Raises:
        TypeError: If a document is not a sequence of whole numbers.
        ValueError: If an id is out of range, or there is no token.
        OSError: If the file cannot be written; no half file is left.
    """
    with atomic_write(path) as file:
        _write_header(file, 0)
        n = 0
        for block in _blocks(documents):
            low, high = int(block.min()), int(block.max())
            if low < 0 or high >= vocab_size:
                raise ValueError(f"token ids must be in [0, {vocab_size}), got {low} to {high}")
            file.write(block.astype("<i4").tobytes())
            n += len(block)
        if n == 0:
            raise ValueError("no token to write (an iterator can be read only once)")
        file.seek(0)
        _write_header(file, n)  # NumPy pads it, so that a larger N takes no more room
    return n


def open_tokens(path: str | Path, vocab_size: int) -> Tensor:
    """Map a file of `write_tokens` into memory, and check it in one pass.

    Returns:
        `(N,)` int32 token ids. A slice reads that part of the file alone. What is written into the
        tensor stays in memory and never reaches the file.

    Raises:
        DataError: If the file is missing, truncated, of another kind, or holds other ids.
    """
    try:
        tokens = np.lib.format.open_memmap(path, mode="c")  # (N,), copied where written to
    except FileNotFoundError:
        raise DataError(f"{path} is missing: write the token file first") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is truncated or no token file: {error}") from None
    if tokens.dtype != np.dtype("<i4") or tokens.ndim != 1 or len(tokens) == 0:
        raise DataError(
            f"{path} is no token file: expected int32 of shape (N,), N > 0, "
            f"got {tokens.dtype} of shape {tokens.shape}"
        )
    if Path(path).stat().st_size != tokens.offset + tokens.nbytes:
        raise DataError(f"{path} has bytes after its {len(tokens)} tokens: write it again")
    for start in range(0, len(tokens), _BLOCK):
        block = tokens[start : start + _BLOCK]
        low, high = int(block.min()), int(block.max())
        if low < 0 or high >= vocab_size:
            raise DataError(
                f"{path} holds ids from {low} to {high} after token {start}, but the vocabulary "
                f"has {vocab_size}: it is damaged or of another tokenizer"
            )
    return torch.from_numpy(tokens)


def overlapping_windows(tokens: Tensor, length: int) -> Tensor:
    """Cut a row of tokens into windows that share one token with their neighbours.

    A causal model reads `length` tokens of a window and predicts the `length` after its first. So
    each token but the very first is a target once; those that fill no window at the end are left.

    Args:
        tokens: `(N,)` ids.
        length: Targets per window.

    Returns:
        `(n, length + 1)`, a view of `tokens`, n = (N - 1) // length.

    Raises:
        ValueError: If `tokens` has another shape, or is too short for one window.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    if tokens.ndim != 1 or len(tokens) <= length:
        raise ValueError(
            f"one window needs {length + 1} tokens in one row, got shape {tuple(tokens.shape)}"
        )
    return tokens.unfold(0, length + 1, length)


def _write_header(file: IO[bytes], n: int) -> None:
    header = {"descr": "<i4", "fortran_order": False, "shape": (n,)}
    np.lib.format.write_array_header_1_0(file, header)


def _blocks(documents: Iterable[Sequence[int]]) -> Iterator[np.ndarray]:
    """Yield the documents' ids as int64, joined to blocks of at least `_BLOCK` tokens."""
    held: list[np.ndarray] = []
    n = 0
    for document in documents:
        ids = np.asarray(document)
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise TypeError(f"a document must be a sequence of token ids, got {document!r:.60}")
        held.append(ids.astype(np.int64))
        n += len(ids)
        if n >= _BLOCK:
            yield np.concatenate(held)
            held, n = [], 0
    if n:
        yield np.concatenate(held)
