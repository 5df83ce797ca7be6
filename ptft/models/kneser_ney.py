"""Counting as a language model: interpolated modified Kneser-Ney."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Ids = Tensor | NDArray[Any]
Whole = NDArray[np.int64]
Segment = tuple[int, int]  # of a text: its first token, and the one after its last


@dataclass(frozen=True, eq=False)
class Level:
    """The `G` distinct n-grams of one length `n` and the `C` distinct contexts before them.

    An n-gram is the pair of its context's number at the level below and its last token, so a key
    stays small however many tokens there are: it is below `C * vocab_size`.

    Attributes:
        keys: (G,) `context * vocab_size + token`, ascending; the index is the n-gram's number.
        discounted: (G,) probability of the token after the context, less the discount.
        left_over: (C,) probability that the discounts leave to the level below; 1 if a context was
            never continued.
    """

    keys: Whole = field(repr=False)
    discounted: NDArray[np.float64] = field(repr=False)
    left_over: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, eq=False)
class KneserNey:
    r"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999, sec. 3, eq. 15 to 17).

    $$p_n(w \mid c) = \frac{\max(0, a(c, w) - D(a(c, w)))}{\sum_v a(c, v)}
    + \gamma(c) \, p_{n-1}(w \mid c'), \qquad p_0 = 1 / V$$

    where $c'$ is $c$ without its first token, $\gamma(c)$ makes the sum one, and $D$ has a value of
    its own for counts of one, two, and more. $a$ is the count of the n-gram at the highest order;
    below, it is the number of different tokens seen to the left of the n-gram, and each start of a
    document is one more.

    Attributes:
        vocab_size: Number of token ids `V`.
        levels: One for each length of n-gram, from 1 to the order.
    """

    vocab_size: int
    levels: tuple[Level, ...]

    @classmethod
    def fit(cls, documents: Sequence[Ids], order: int, vocab_size: int) -> "KneserNey":
        """Count the n-grams of the documents; none crosses from one to the next.

        Args:
            documents: Integer ids of shape `(N,)` each.
            order: Tokens in the longest n-gram: a token sees at most `order - 1` before it.
            vocab_size: Number of token ids.

        Raises:
            TypeError: If ids are not integers.
            ValueError: If `order` or `vocab_size` is below 1, a document is not one-dimensional, an
                id is outside the vocabulary, or there is no token at all.
        """
        _check_sizes(order, vocab_size)
        texts = [_as_array(ids, vocab_size) for ids in documents]
        bounds = np.cumsum([0, *map(len, texts)]).tolist()
        segments = list(pairwise(bounds))
        if not bounds[-1]:
            raise ValueError("cannot count n-grams: there is no token")
        return _NGrams(np.concatenate(texts), segments, order, vocab_size).smoothed(segments)

    def log_probs(self, ids: Ids) -> NDArray[np.float64]:
        """Return `(N,)`, the log probability in nats of each token given those before it.

        Raises:
            TypeError, ValueError: If `ids` are not `(N,)` integers of the vocabulary.
        """
        text = _as_array(ids, self.vocab_size)
        p = np.full(len(text), 1 / self.vocab_size)
        context = np.zeros(len(text), np.int64)  # the number of the context before each token
        for level in self.levels:
            seen = np.flatnonzero(context >= 0)
            gram = np.full(len(text), -1)
            gram[seen] = _find(level.keys, context[seen] * self.vocab_size + text[seen])
            p[seen] *= level.left_over[context[seen]]
            known = np.flatnonzero(gram >= 0)
            p[known] += level.discounted[gram[known]]
            context = np.concatenate(([-1], gram[:-1]))  # it ends one token earlier
        return np.log(p)

    def distributions(self, ids: Ids, start: int, stop: int) -> NDArray[np.float32]:
        """Return `(stop - start, V)`, the probability of every token at positions of a text.

        Args:
            ids: (N,) integers. Row `t - start` is given the tokens before `t`.
            start: First position, in [0, N].
            stop: The position after the last, in [start, N]; N itself is the next token.

        Raises:
            TypeError, ValueError: If `ids` are not `(N,)` integers of the vocabulary, or a position
                is out of range.
        """
        V = self.vocab_size
        text = _as_array(ids, V)
        if not 0 <= start <= stop <= len(text) + 1:
            raise ValueError(f"positions must lie in [0, {len(text)}], got {start} to {stop}")
        first = max(0, start - len(self.levels))  # tokens further left are not looked at
        text, n = text[first : stop - 1], stop - start
        out = np.empty((n, V), np.float32)
        context = np.zeros(len(text) + 1, np.int64)  # what precedes each token, and the next one
        table, row = np.full((1, V), 1 / V, np.float32), np.zeros(n, np.int64)
        for level in self.levels:
            wanted = context[len(context) - n :]  # (n,)
            seen = np.flatnonzero(wanted >= 0)
            if not len(seen):
                break
            # Equal contexts have equal rows, so each distinct one is computed once.
            distinct, again = np.unique(wanted[seen], return_inverse=True)  # (C',), (n',)
            parent = np.empty(len(distinct), np.int64)
            parent[again] = row[seen]
            table = table[parent] * level.left_over[distinct, None].astype(np.float32)  # (C', V)
            low, high = np.searchsorted(level.keys, (distinct * V, (distinct + 1) * V))
            which = np.repeat(np.arange(len(distinct)), high - low)
            grams = np.arange(len(which)) + (low - np.cumsum(high - low) + high - low)[which]
            table[which, level.keys[grams] % V] += level.discounted[grams].astype(np.float32)
            row[seen] = again
            out[seen] = table[again]  # a longer context, if it was seen, overwrites it
            known = np.flatnonzero(context[:-1] >= 0)
            gram = np.full(len(text), -1)
            gram[known] = _find(level.keys, context[known] * V + text[known])
            context = np.concatenate(([-1], gram))
        return out


def cross_fitted(ids: Ids, order: int, vocab_size: int, folds: int = 8) -> NDArray[np.float16]:
    """Return `(N, V)` log probabilities of a text, each part from a model of the other parts.

    What a model says about the text that it was counted on gives the next token away, and is of no
    use to a network that is to learn how far to trust it.

    Args:
        ids: (N,) integers.
        order: As in `KneserNey.fit`.
        vocab_size: As in `KneserNey.fit`.
        folds: Number of parts.

    Raises:
        TypeError, ValueError: As `KneserNey.fit`, or if `folds` is not in [2, N].
    """
    _check_sizes(order, vocab_size)
    text = _as_array(ids, vocab_size)
    if not 2 <= folds <= len(text):
        raise ValueError(f"folds must be in [2, {len(text)}], got {folds}")
    grams = _NGrams(text, [(0, len(text))], order, vocab_size)  # sorted once for all folds
    out = np.empty((len(text), vocab_size), np.float16)
    bounds = np.linspace(0, len(text), folds + 1).astype(int).tolist()
    for low, high in pairwise(bounds):
        others = [(a, b) for a, b in ((0, low), (high, len(text))) if a < b]
        out[low:high] = np.log(grams.smoothed(others).distributions(text, low, high))
    return out


class _NGrams:
    """The distinct n-grams of a text, found by one sort for each length."""

    def __init__(self, text: Whole, segments: list[Segment], order: int, vocab_size: int):
        self.vocab_size = vocab_size
        self.keys: list[Whole] = []  # of each length, see `Level`
        self.at: list[Whole] = []  # the number of the n-gram that ends at each token, or -1
        before = np.zeros(len(text), np.int64)
        for n in range(1, order + 1):
            ends = _ends(segments, n)
            keys, found = np.unique(before[ends] * vocab_size + text[ends], return_inverse=True)
            at = np.full(len(text), -1)
            at[ends] = found
            self.keys.append(keys)
            self.at.append(at)
            before = np.concatenate(([-1], at[:-1]))

    def smoothed(self, segments: list[Segment]) -> KneserNey:
        """Count in these segments only, each within one that was indexed, and discount."""
        V = self.vocab_size
        levels: list[Level] = []
        longer: Whole | None = None  # where each n-gram that is longer by one ends, once
        for n in range(len(self.keys), 0, -1):
            keys, at = self.keys[n - 1], self.at[n - 1]
            ends = _ends(segments, n)
            if longer is None:
                counts = np.bincount(at[ends], minlength=len(keys))
            else:
                starts = [a + n - 1 for a, b in segments if a + n <= b]
                counts = np.bincount(at[np.append(longer, starts).astype(int)], minlength=len(keys))
            once = np.full(len(keys), -1)
            once[at[ends]] = ends
            longer = once[once >= 0]
            contexts = keys // V
            size = len(self.keys[n - 2]) if n > 1 else 1
            total = np.bincount(contexts, counts, size)  # (C,)
            discount = _discounts(counts)[np.minimum(counts, 3)]  # (G,)
            share = np.maximum(total, 1)
            left_over = np.where(total > 0, np.bincount(contexts, discount, size) / share, 1.0)
            levels.append(Level(keys, (counts - discount) / share[contexts], left_over))
        return KneserNey(V, tuple(reversed(levels)))


def _ends(segments: list[Segment], n: int) -> Whole:
    """Return the positions at which an n-gram ends that lies within its segment."""
    return np.concatenate([np.arange(a + n - 1, max(b, a + n - 1)) for a, b in segments])


def _discounts(counts: Whole) -> NDArray[np.float64]:
    """Return what is taken off counts of 0, 1, 2, and more (Chen & Goodman 1999, eq. 17).

    Few n-grams make the estimates useless; limits keep each between nearly nothing and the count.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)
    y = n[1] / max(n[1] + 2 * n[2], 1)
    raw = [k - (k + 1) * y * n[k + 1] / max(n[k], 1) for k in (1, 2, 3)]
    return np.array([0.0, *(min(max(d, 0.05), k) for k, d in enumerate(raw, 1))])


def _find(keys: Whole, wanted: Whole) -> Whole:
    """Return where each wanted key is, or -1."""
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    return np.where(keys[at] == wanted, at, -1)


def _check_sizes(order: int, vocab_size: int) -> None:
    if order < 1 or vocab_size < 1:
        raise ValueError(
            f"order and vocab_size must be at least 1, got order {order}, vocab_size {vocab_size}"
        )


def _as_array(ids: Ids, vocab_size: int) -> Whole:
    array = ids.numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"ids must have shape (N,), got {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < vocab_size):
        raise ValueError(
            f"ids must be in [0, {vocab_size}), got values from {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)
