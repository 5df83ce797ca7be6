"""Words with their vectors: the one result of every method, and the files that others read."""

import math
from array import array
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptft.core import DataError, atomic_write


class WordVectors:
    """One vector per word, with cosine neighbours and analogies: a result, not to be changed.

    Args:
        words: V distinct words, usually by falling count.
        matrix: (V, D), finite; it is copied to the CPU as float32.

    Attributes:
        words: As given, a tuple.
        matrix: (V, D), float32.
        ids: The row of each word.

    Raises:
        TypeError: If `matrix` is not a tensor.
        ValueError: If the shapes differ, a word occurs twice, or a number is not finite.
    """

    def __init__(self, words: Sequence[str], matrix: Tensor):
        if not isinstance(matrix, Tensor):
            raise TypeError(f"matrix must be a torch.Tensor, got {type(matrix).__name__}")
        self.words = tuple(words)
        self.ids = {word: i for i, word in enumerate(self.words)}
        self.matrix = matrix.detach().to("cpu", torch.float32, copy=True)
        if self.matrix.ndim != 2 or self.matrix.shape[0] != len(self.words) or not self.words:
            raise ValueError(
                f"matrix must have shape (V, D) with V = {len(self.words)} words and V > 0, "
                f"got {tuple(self.matrix.shape)}"
            )
        if len(self.ids) != len(self.words):
            raise ValueError("words must be distinct, got one twice")
        if not self.matrix.isfinite().all():
            raise ValueError("vectors must be finite, got nan or inf among them")

    def __len__(self) -> int:
        """Return V."""
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def __getitem__(self, word: str) -> Tensor:
        """Return the vector of a word, (D,).

        Raises:
            KeyError: If the word has none.
        """
        return self.matrix[self._id(word)]

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words, {self.matrix.shape[1]} dimensions)"

    @cached_property
    def _unit(self) -> Tensor:
        return torch.nn.functional.normalize(self.matrix, dim=1)  # (V, D)

    def unit(self) -> Tensor:
        """Return the rows divided by their norm, (V, D); rows of zeros stay zero."""
        return self._unit

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine between the vectors of two words; 0 if one is zero.

        Raises:
            KeyError: If a word has no vector.
        """
        return float(self._unit[self._id(a)] @ self._unit[self._id(b)])

    def neighbours(self, word_or_vector: str | Tensor, n: int = 10) -> list[tuple[str, float]]:
        """Return the n nearest words by cosine, nearest first; a word is not its own neighbour.

        Args:
            word_or_vector: A word, or any vector of shape (D,).
            n: At least 1; there are fewer results if there are fewer words.

        Raises:
            KeyError: If the word has no vector.
            ValueError: If `n` is below 1, or the vector has another shape.
        """
        if isinstance(word_or_vector, str):
            i = self._id(word_or_vector)
            return self._nearest(self._unit[i], n, without=[i])
        return self._nearest(word_or_vector, n, without=[])

    def analogy(self, a: str, b: str, c: str, n: int = 1) -> list[tuple[str, float]]:
        r"""Answer "a is to b as c is to ?" by 3CosAdd; the three words are no answers.

        $$\arg\max_w \cos(w, b - a + c)$$

        The vectors are divided by their norm first.

        Raises:
            KeyError: If a word has no vector.
            ValueError: If `n` is below 1.

        Source:
            Mikolov, Yih and Zweig, "Linguistic regularities in continuous space word
            representations" (2013), section 4.
        """
        ids = [self._id(word) for word in (a, b, c)]
        unit_a, unit_b, unit_c = self._unit[ids]  # (D,) each
        return self._nearest(unit_b - unit_a + unit_c, n, without=ids)

    def _id(self, word: str) -> int:
        if word in self.ids:
            return self.ids[word]
        lower = isinstance(word, str) and word.lower() in self.ids
        hint = f"try {word.lower()!r}" if lower else "too rare in the corpus, or not in it"
        raise KeyError(f"no vector for {word!r}: {hint}")

    def _nearest(self, vector: Tensor, n: int, without: list[int]) -> list[tuple[str, float]]:
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        if vector.shape != self.matrix.shape[1:]:
            shape = tuple(self.matrix.shape[1:])
            raise ValueError(f"the vector must have shape {shape}, got {tuple(vector.shape)}")
        query = torch.nn.functional.normalize(vector.detach().to("cpu", torch.float32), dim=0)
        cosines = self._unit @ query  # (V,)
        cosines[without] = -torch.inf
        order = cosines.argsort(descending=True, stable=True)[
            : min(n, len(self) - len(set(without)))
        ]
        return [(self.words[i], float(cosines[i])) for i in order.tolist()]

    def save(self, path: str | Path) -> None:
        """Write the text format of word2vec: "V D", then a word and its D numbers per line.

        Nine digits are written, so `load` returns exactly these float32.

        Raises:
            ValueError: If a word is empty or has white space, which separates the numbers.
            OSError: If the file cannot be written; no half file is left.
        """
        odd = next((w for w in self.words if w.encode().split() != [w.encode()]), None)
        if odd is not None:
            raise ValueError(f"the format has no words that are empty or have spaces, got {odd!r}")
        row_format = " %.9g" * self.matrix.shape[1] + "\n"
        with atomic_write(path, "w") as file:
            file.write(f"{len(self)} {self.matrix.shape[1]}\n")
            for word, row in zip(self.words, self.matrix.tolist(), strict=True):
                file.write(word + row_format % tuple(row))

    @classmethod
    def load(cls, path: str | Path) -> "WordVectors":
        """Read the text format of word2vec, or that of GloVe, which has no header "V D".

        Fields are counted from the right, since published files have words with spaces. Of a word
        that occurs twice the first vector stays, as in gensim.

        Raises:
            DataError: If the file is missing or corrupt, with the number of the line.
        """
        try:
            return cls(*_read(Path(path)))
        except FileNotFoundError:
            raise DataError(f"{path} is missing") from None


def _read(path: Path) -> tuple[list[str], Tensor]:
    rows: dict[str, None] = {}  # words in order
    values = array("f")
    count: int | None = None  # V, of the header
    size = 0  # D
    number = 0
    with path.open("rb") as file:  # lines end at \n alone: some words have other separators
        for number, line in enumerate(file, 1):
            where = f"{path}, line {number}"
            fields = line.rstrip(b" \r\n").split(b" ")
            if number == 1:
                has_header = len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit()
                count, size = map(int, fields) if has_header else (None, len(fields) - 1)
                if size < 1:
                    raise DataError(f"{where}: expected a word and its numbers, got {line[:40]!r}")
                if has_header:
                    continue
            word, row = _parse(fields, size, where)
            if word not in rows:
                rows[word] = None
                values.extend(row)
    if count is not None and number - 1 != count:
        raise DataError(f"{path}: the header says {count} words, got {number - 1}")
    if not rows:
        raise DataError(f"{path} has no vectors")
    matrix = np.frombuffer(values, dtype=np.float32).reshape(len(rows), size)  # (V, D)
    return list(rows), torch.from_numpy(matrix)


def _parse(fields: list[bytes], size: int, where: str) -> tuple[str, "array[float]"]:
    """Return the word and its `size` numbers."""
    if len(fields) < size + 1:
        raise DataError(f"{where}: expected a word and {size} numbers, got {len(fields)} fields")
    try:
        word = b" ".join(fields[:-size]).decode("utf-8")
        row = array("f", map(float, fields[-size:]))
    except UnicodeDecodeError:
        raise DataError(f"{where} is not UTF-8: is this the binary format?") from None
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    if not all(map(math.isfinite, row)):
        raise DataError(f"{where} has a number that is not finite")
    if len(fields) > size + 1 and _is_number(fields[-size - 1]):
        raise DataError(f"{where}: expected a word and {size} numbers, got more numbers")
    return word, row


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
