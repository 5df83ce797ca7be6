"""A corpus as word ids, in memory or on disk: one pass to write, and slices to read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from ptft.core import DataError, atomic_write
from ptft.text.words import Vocabulary

_BLOCK = 1 << 16  # tokens that are held while writing or checking: 64 k


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class EncodedCorpus:
    """Word ids, one sentence after the other, and the sentence that each belongs to.

    On disk it is one NumPy file of (N, 2) int32. The arrays are then read-only columns of a memory
    map: `tokens[a:b]` reads that part of the file alone, and `numpy.array(tokens[a:b])` copies it.

    Attributes:
        tokens: (N,), int32, ids in the vocabulary.
        sentence: (N,), int32, running number of the token's sentence, from 0.

    Raises:
        ValueError: If the arrays are not int32, one-dimensional and equally long, or are empty.
    """

    tokens: np.ndarray = field(repr=False)
    sentence: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        for name, column in (("tokens", self.tokens), ("sentence", self.sentence)):
            if column.ndim != 1 or column.dtype != np.int32 or len(column) == 0:
                raise ValueError(
                    f"{name} must be int32 of shape (N,), N > 0, got {column.dtype} {column.shape}"
                )
        if len(self.tokens) != len(self.sentence):
            raise ValueError(
                f"got {len(self.tokens)} tokens, but {len(self.sentence)} sentence numbers"
            )

    def __len__(self) -> int:
        """Return N, the number of tokens."""
        return len(self.tokens)

    @classmethod
    def build(
        cls,
        sentences: Iterable[Sequence[str]],
        vocabulary: Vocabulary,
        path: str | Path | None = None,
    ) -> "EncodedCorpus":
        """Encode sentences in one pass; those with fewer than two known words are dropped.

        Args:
            sentences: Lists of words; any iterable, a generator too.
            vocabulary: Gives the ids; other words are left out.
            path: The file to write; it appears only once it is complete, and memory stays bounded
                however long the corpus is. Without it the corpus stays in memory.

        Raises:
            TypeError: If `sentences` or one of them is a string.
            ValueError: If no sentence has two known words.
            OSError: If the file cannot be written; no half file is left.
        """
        if isinstance(sentences, str):
            raise TypeError("sentences must be lists of words, got a string")
        blocks = _blocks(sentences, vocabulary)
        if path is None:
            rows = np.concatenate(list(blocks))  # (N, 2)
            return cls(rows[:, 0].copy(), rows[:, 1].copy())
        with atomic_write(path) as file:
            _write_header(file, 0)
            n = 0
            for block in blocks:
                file.write(block.tobytes())
                n += len(block)
            file.seek(0)
            _write_header(file, n)  # NumPy pads it, so that a larger N takes no more room
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> "EncodedCorpus":
        """Map a file that `build` wrote into memory, and check it in one pass.

        It does not hold the words: open it with the vocabulary that it was built with.

        Raises:
            DataError: If the file is missing, truncated, or not such a file.
        """
        try:
            rows = np.lib.format.open_memmap(path, mode="r")
        except FileNotFoundError:
            raise DataError(f"{path} is missing: build the corpus first") from None
        except (ValueError, OSError) as error:
            raise DataError(f"{path} is truncated or no encoded corpus: {error}") from None
        if rows.dtype != np.int32 or rows.shape[1:] != (2,) or len(rows) == 0:
            raise DataError(f"{path} is no encoded corpus: expected int32 of shape (N, 2), N > 0")
        if Path(path).stat().st_size != rows.offset + rows.nbytes:
            raise DataError(f"{path} has bytes after its {len(rows)} tokens: build it again")
        last = -1
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            steps = np.diff(block[:, 1], prepend=np.int32(last))  # 1 where a sentence starts
            if block.min() < 0 or steps.min() < 0 or steps.max() > 1:
                raise DataError(f"{path} is corrupt near token {start}: build it again")
            last = block[-1, 1]
        return cls(rows[:, 0], rows[:, 1])


def _write_header(file: IO[bytes], n: int) -> None:
    header = {"descr": "<i4", "fortran_order": False, "shape": (n, 2)}
    np.lib.format.write_array_header_1_0(file, header)


def _blocks(sentences: Iterable[Sequence[str]], vocabulary: Vocabulary) -> Iterator[np.ndarray]:
    """Yield (n, 2) int32: token and number of its sentence, about `_BLOCK` rows at a time."""
    tokens: list[int] = []
    lengths: list[int] = []
    first = 0  # number of the first sentence of the block

    def block() -> np.ndarray:
        numbers = np.repeat(np.arange(first, first + len(lengths)), lengths)
        return np.column_stack([tokens, numbers]).astype("<i4")  # (n, 2)

    for sentence in sentences:
        ids = vocabulary.encode(sentence)
        if len(ids) < 2:
            continue
        tokens += ids
        lengths.append(len(ids))
        if len(tokens) >= _BLOCK:
            yield block()
            first += len(lengths)
            tokens, lengths = [], []
    if first == 0 and not lengths:
        raise ValueError("no sentence has two known words (an iterator can be read only once)")
    if lengths:
        yield block()
