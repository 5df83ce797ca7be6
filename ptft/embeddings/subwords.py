"""Words as bags of character n-grams, hashed into buckets: the input layer of fastText."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def character_ngrams(word: str, min_n: int = 3, max_n: int = 6) -> list[str]:
    """Return the n-grams of a word between boundary marks, from left to right, short ones first.

    The marks tell a prefix from the same letters inside a word. A short word is among its own
    n-grams, with marks. A mark alone is none.

    Raises:
        TypeError: If `word` is not a string.
        ValueError: If not 1 <= min_n <= max_n.

    Source:
        Bojanowski et al. 2017, sec. 3.2; equal to fastText and to gensim.

    Example:
        >>> character_ngrams("as", 3, 4)
        ['<as', '<as>', 'as>']
    """
    if not isinstance(word, str):
        raise TypeError(f"word must be a string, got {type(word).__name__}")
    check_ngram_lengths(min_n, max_n)
    marked = f"<{word}>"
    ngrams = (
        marked[start : start + n]
        for start in range(len(marked))
        for n in range(min_n, min(max_n, len(marked) - start) + 1)
    )
    return [ngram for ngram in ngrams if ngram not in ("<", ">")]


def check_ngram_lengths(min_n: int, max_n: int) -> None:
    """Refuse lengths that no n-gram has.

    Raises:
        ValueError: If not 1 <= min_n <= max_n.
    """
    if not 1 <= min_n <= max_n:
        raise ValueError(f"expected 1 <= min_n <= max_n, got min_n = {min_n} and max_n = {max_n}")


def fasttext_hash(text: str) -> int:
    r"""Return fastText's 32-bit hash of the UTF-8 bytes: FNV-1a, but for bytes above 127.

    $$h \leftarrow 16777619 \, (h \oplus b) \bmod 2^{32}$$

    fastText extends the sign of a byte to 32 bits. This is not FNV-1a, but everybody's files
    depend on it.
    """
    h = 2166136261
    for byte in text.encode():
        h = (h ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619 & 0xFFFFFFFF
    return h


def table_bytes(vocab_size: int, buckets: int, d_model: int) -> int:
    r"""Return the bytes of a float32 table with a row for each word and each bucket.

    $$4 \, D \, (V + B)$$
    """
    return 4 * d_model * (vocab_size + buckets)


class SubwordTable(nn.Module):
    r"""Makes a word's vector from its own row and the rows of its n-grams.

    $$v_w = \frac{1}{1 + \lvert G_w \rvert} \Big( z_w + \sum_{g \in G_w} z_{h(g) \bmod B} \Big)$$

    The paper takes the sum; fastText's program takes this mean, and so do we. Its step is not the
    gradient of the mean either: each row moves by the whole gradient at $v_w$, as if there were no
    divisor, so that $v_w$ learns as fast as a vector of word2vec.

    Only buckets that the vocabulary meets get a row, as all others would keep their first random
    values: with the customary two million buckets most never meet an n-gram.

    Args:
        words: V distinct words.
        d_model: D.
        min_n: Characters of the shortest n-gram, boundary marks included.
        max_n: Characters of the longest.
        buckets: B; n-grams with the same hash modulo B share a row.

    Raises:
        TypeError: If `words` is a string.
        ValueError: If there is no word, or a number is not in its range.

    Source:
        Bojanowski et al. 2017, sec. 3.2; `Model::update` and `computeHidden` of fastText.
    """

    starts: Tensor  # (V + 1,) where the rows of each word begin
    rows: Tensor  # (N,) rows of the first word, then of the second, ...
    used: Tensor  # (R,) buckets that have a row, rising

    def __init__(
        self,
        words: Sequence[str],
        d_model: int,
        min_n: int = 3,
        max_n: int = 6,
        buckets: int = 2_000_000,
    ):
        super().__init__()
        if isinstance(words, str):
            raise TypeError("words must be a list of words, got a string")
        for name, value in (("words", len(words)), ("d_model", d_model), ("buckets", buckets)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.min_n, self.max_n, self.buckets = min_n, max_n, buckets
        hashed = [self.buckets_of(word) for word in words]
        flat = torch.tensor([bucket for bag in hashed for bucket in bag], dtype=torch.int64)
        used, row = flat.unique(return_inverse=True)  # (R,), (number of n-grams,)
        sizes = [len(bag) for bag in hashed]
        own = torch.arange(len(words)).split(1)
        bags = zip(own, (row + len(words)).split(sizes), strict=True)
        starts = torch.tensor([0, *(size + 1 for size in sizes)]).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("rows", torch.cat([torch.cat(bag) for bag in bags]), persistent=False)
        self.register_buffer("used", used, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(words) + len(used), d_model))  # (V + R, D)
        nn.init.uniform_(self.weight, -1 / d_model, 1 / d_model)  # as fastText does

    def buckets_of(self, word: str) -> list[int]:
        """Return the bucket of each n-gram of any word; of an n-gram that comes twice, twice."""
        ngrams = character_ngrams(word, self.min_n, self.max_n)
        return [fasttext_hash(ngram) % self.buckets for ngram in ngrams]

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors of ids (...), shape (..., D)."""
        unique, place = ids.unique(return_inverse=True)  # (U,), (...)
        start = self.starts[unique]
        size = self.starts[unique + 1] - start  # (U,)
        offsets = size.cumsum(0) - size
        steps = torch.arange(int(size.sum()), device=ids.device)
        rows = self.rows[steps + (start - offsets).repeat_interleave(size)]
        sums = F.embedding_bag(rows, self.weight, offsets, mode="sum", sparse=True)  # (U, D)
        vectors: Tensor = sums / size[:, None]
        if vectors.requires_grad:
            vectors.register_hook(lambda gradient: gradient * size[:, None])  # see the class
        return vectors[place]

    @torch.no_grad()
    def from_ngrams(self, word: str) -> Tensor:
        """Return the mean of the n-gram rows alone, which is all that an unseen word has, (D,).

        An n-gram whose bucket was never met counts as a vector of zeros.

        Raises:
            TypeError: If `word` is not a string.
            KeyError: If no n-gram falls into a bucket that was met.
        """
        buckets = torch.tensor(self.buckets_of(word), dtype=torch.int64, device=self.used.device)
        known = buckets[torch.isin(buckets, self.used)]
        if len(known) == 0:
            raise KeyError(f"no vector for {word!r}: the vocabulary has none of its n-grams")
        first = len(self.weight) - len(self.used)  # rows of words come before
        rows = first + torch.searchsorted(self.used, known)
        return self.weight[rows].sum(dim=0) / len(buckets)
