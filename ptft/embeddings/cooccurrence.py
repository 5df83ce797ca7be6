"""How often words stand near each other: counted once, in one pass over the corpus."""

from typing import Literal, get_args

import numpy as np
from scipy.sparse import coo_array, csr_array

from ptft.text.encoded import EncodedCorpus

Weighting = Literal["harmonic", "linear", "flat"]
_CHUNK = 1 << 17  # tokens counted at a time: 128 k, so at most 32 MB of pairs for a window of 15


def distance_weights(window: int, weighting: Weighting) -> np.ndarray:
    """Return what a pair at distance 1, 2, ..., `window` counts, (window,) float64.

    "harmonic" is 1/d (GloVe, Pennington et al. 2014, sec. 4.2). "linear" is (window + 1 - d) /
    window, the probability that word2vec's random window reaches d. "flat" is 1.

    Raises:
        ValueError: If `window` is below 1 or `weighting` is none of these.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if weighting not in get_args(Weighting):
        raise ValueError(
            f"weighting must be one of {', '.join(get_args(Weighting))}, got {weighting!r}"
        )
    d = np.arange(1, window + 1)
    return {"harmonic": 1 / d, "linear": (window + 1 - d) / window, "flat": np.ones(window)}[
        weighting
    ]


def count_cooccurrences(
    corpus: EncodedCorpus,
    vocab_size: int,
    window: int = 10,
    weighting: Weighting = "harmonic",
) -> csr_array:
    r"""Count each pair of words that stand at most `window` words apart in one sentence.

    $$X_{ij} = \sum_{s \ne t} [x_s = i] \, [x_t = j] \, [\lvert s - t \rvert \le w] \;
      g(\lvert s - t \rvert)$$

    with the weight $g$ of a distance, 1/d by default. Chunks of the corpus are read one after the
    other, so memory grows with the number of distinct pairs, not with the corpus.

    Args:
        corpus: Word ids, in memory or on disk.
        vocab_size: V, at least 2.
        window: Largest distance, on both sides.
        weighting: See `distance_weights`.

    Returns:
        (V, V), symmetric, float32, columns sorted within each row.

    Raises:
        ValueError: If a setting is wrong, `corpus` has an id outside the vocabulary, or no two
            words share a sentence.

    Source:
        Pennington et al. 2014, sec. 3 and 4.2.
    """
    weights = distance_weights(window, weighting)
    if vocab_size < 2:
        raise ValueError(f"pairs need a vocabulary of at least 2 words, got {vocab_size}")
    parts: list[csr_array] = []
    for start in range(0, len(corpus), _CHUNK):
        parts.append(count_chunk(corpus, start, weights, vocab_size))
        # Adding up parts of like size only keeps the work in proportion to n log n.
        while len(parts) > 1 and 2 * parts[-1].nnz > parts[-2].nnz:
            parts[-2:] = [parts[-2] + parts[-1]]
    upper = sum(parts[-2::-1], start=parts[-1])  # the small ones first
    if upper.nnz == 0:
        raise ValueError("no two words share a sentence: there is nothing to count")
    counts = (upper + upper.T).tocsr().astype(np.float32)  # a pair of equal words counts twice
    counts.sort_indices()
    return counts


def count_chunk(
    corpus: EncodedCorpus, start: int, weights: np.ndarray, vocab_size: int
) -> csr_array:
    """Count the pairs whose left word is in the chunk at `start`: the upper triangle of X.

    Args:
        corpus: Word ids.
        start: First token of the chunk.
        weights: (window,), what a pair counts at each distance.
        vocab_size: V.

    Returns:
        (V, V), float64, each pair stored once, at (smaller id, larger id).

    Raises:
        ValueError: If an id is not in the vocabulary.
    """
    reach = slice(start, start + _CHUNK + len(weights))
    tokens = np.array(corpus.tokens[reach])  # (T,)
    sentence = np.array(corpus.sentence[reach])  # (T,)
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        raise ValueError(
            f"ids must be in [0, {vocab_size}), got {tokens.min()} to {tokens.max()}: is this the "
            "vocabulary of the corpus?"
        )
    rows, columns, values = [], [], []
    for distance, weight in enumerate(weights, 1):
        n = max(0, min(_CHUNK, len(tokens) - distance))  # left words that have a right one
        together = sentence[:n] == sentence[distance : distance + n]
        left, right = tokens[:n][together], tokens[distance : distance + n][together]
        rows.append(np.minimum(left, right))
        columns.append(np.maximum(left, right))
        values.append(np.full(len(left), weight))
    triples = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_array(triples, shape=(vocab_size, vocab_size)).tocsr()  # adds up what is equal
