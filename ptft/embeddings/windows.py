"""Words and the words around them, as batches for matrix products.

word2vec.c walks over single pairs. Here a batch is a few chunks of consecutive words: all pairs of
a chunk are one matrix product, and a mask says which of them lie in a window.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary

CHUNK = 16  # centres in a chunk: longer ones waste products outside the windows
_TABLE_SIZE = 1 << 20  # entries of the noise table


class WindowBatch(NamedTuple):
    """`C` chunks of `L` consecutive words, and their neighbours at most `w` words away.

    Column `j` of `contexts` stands `j - w - i` words to the right of row `i` of `centres`.
    """

    centres: Tensor  # (C, L) int64
    contexts: Tensor  # (C, L + 2w) int64, the chunk with w words more on each side
    inside: Tensor  # (C, L, L + 2w) bool, True = this context is in the window of this centre
    noise: Tensor  # (C, K) int64, words drawn at random

    def pairs(self) -> Tensor:
        """Return all pairs of a centre and a word in its window, (N, 2), as papers have them."""
        chunk, row, column = self.inside.nonzero(as_tuple=True)  # (N,) each
        return torch.stack([self.centres[chunk, row], self.contexts[chunk, column]], dim=1)


def keep_probabilities(vocabulary: Vocabulary, threshold: float) -> Tensor:
    r"""Return the probability that an occurrence of each word is kept, (V,).

    $$p(w) = \min(1, \sqrt{t / f(w)} + t / f(w))$$

    with the share $f(w)$ of the corpus and the threshold $t$. This is what word2vec.c and gensim
    do; the paper's formula (Mikolov et al. 2013b, sec. 2.3) lacks the second term.

    Args:
        vocabulary: Gives the counts.
        threshold: In (0, 1]; 1 keeps all.

    Raises:
        ValueError: If `threshold` is outside.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the subsampling threshold must be in (0, 1], got {threshold}")
    counts = torch.tensor(vocabulary.counts, dtype=torch.float64)
    ratio = threshold * counts.sum() / counts  # t / f, (V,)
    return (ratio.sqrt() + ratio).clamp(max=1).float()


def noise_probabilities(vocabulary: Vocabulary, power: float = 0.75) -> Tensor:
    """Return the distribution of negative samples, (V,) float64: counts to the power 3/4.

    Source:
        Mikolov et al. 2013b, sec. 2.2.
    """
    weights = torch.tensor(vocabulary.counts, dtype=torch.float64) ** power
    return weights / weights.sum()


class Windows:
    """Makes the batch of any step: the corpus in order, thinned out, with windows drawn anew.

    Only the slice of the corpus that a batch needs is read, so the corpus may lie on disk.

    Args:
        corpus: Word ids.
        vocabulary: That of the corpus.
        window: Largest distance; the distance of each centre is drawn from 1 to `window`, so that
            near words count more (Mikolov et al. 2013a, sec. 3.2).
        threshold: Of subsampling; thinning comes before the windows, which so reach further.
        batch_words: Words of the corpus per batch, before thinning. Windows end at its edges.
        noise_samples: Words K drawn as noise for each chunk.

    Raises:
        ValueError: If a setting is below 1, or `corpus` has an id outside the vocabulary.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        vocabulary: Vocabulary,
        window: int = 5,
        threshold: float = 1e-3,
        batch_words: int = 1024,
        noise_samples: int = 2 * CHUNK,
    ):
        for name, value in (
            ("window", window),
            ("batch_words", batch_words),
            ("noise_samples", noise_samples),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        low, high = corpus.tokens.min(), corpus.tokens.max()
        if low < 0 or high >= len(vocabulary):
            raise ValueError(
                f"ids must be in [0, {len(vocabulary)}), got {low} to {high}: is this the "
                "vocabulary of the corpus?"
            )
        self.corpus, self.window = corpus, window
        self.batch_words, self.noise_samples = batch_words, noise_samples
        self.keep = keep_probabilities(vocabulary, threshold)  # (V,)
        # Each word fills its share of a table, rounded, so that a noise word is one random place.
        places = (torch.arange(_TABLE_SIZE, dtype=torch.float64) + 0.5) / _TABLE_SIZE
        self.noise_table = torch.searchsorted(noise_probabilities(vocabulary).cumsum(0), places)
        row, column = torch.arange(CHUNK)[:, None], torch.arange(CHUNK + 2 * window) - window
        self.distance = (row - column).abs()  # (L, L + 2w)
        self.distance[self.distance == 0] = window + 1  # a word is not in its own window

    @property
    def steps_per_epoch(self) -> int:
        """Batches that cover the corpus once."""
        return -(-len(self.corpus) // self.batch_words)

    def __call__(self, step: int, generator: torch.Generator) -> WindowBatch:
        """Return the batch of a step; after the last of an epoch the corpus begins again."""
        start = step % self.steps_per_epoch * self.batch_words
        part = slice(start, start + self.batch_words)
        ids = torch.from_numpy(self.corpus.tokens[part].astype(np.int64))
        sentence = torch.from_numpy(np.array(self.corpus.sentence[part]))
        kept = torch.rand(len(ids), generator=generator) < self.keep[ids]
        ids, sentence = ids[kept], sentence[kept]  # (T,)

        chunks, w = max(1, -(-len(ids) // CHUNK)), self.window
        right = chunks * CHUNK - len(ids) + w
        ids = torch.nn.functional.pad(ids, (w, right))  # (w + C L + w,)
        sentence = torch.nn.functional.pad(sentence, (w, right), value=-1)
        contexts = ids.unfold(0, CHUNK + 2 * w, CHUNK)  # (C, L + 2w)
        of_context = sentence.unfold(0, CHUNK + 2 * w, CHUNK)
        of_centre = of_context[:, w:-w]  # (C, L)
        reach = torch.randint(1, w + 1, (chunks, CHUNK, 1), generator=generator)
        reach.masked_fill_(of_centre[..., None] < 0, 0)  # padding has no window
        inside = (self.distance <= reach) & (of_centre[..., None] == of_context[:, None])
        drawn = torch.randint(_TABLE_SIZE, (chunks, self.noise_samples), generator=generator)
        return WindowBatch(contexts[:, w:-w], contexts, inside, self.noise_table[drawn])
