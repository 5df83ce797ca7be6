"""Texts of whole sentences of the exact language, and how well anyone can tell if B follows A."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ptft.data.hidden_markov import forward_pass
from ptft.data.language import LONGEST_SENTENCE, ExactLanguage


def exact_documents(
    language: ExactLanguage, n: int, sentences: int, generator: torch.Generator
) -> list[list[list[int]]]:
    """Draw `n` texts, each a list of so many sentences of word ids; topics mostly last a text.

    Raises:
        ValueError: If `n` or `sentences` is below 1.
    """
    if n < 1 or sentences < 1:
        raise ValueError(f"n and sentences must be at least 1, got {n} and {sentences}")
    length = sentences * LONGEST_SENTENCE
    ids, _ = language.sample(n, length, generator, language.sentence_start)  # (n, length)
    stop = language.words.index(".")
    texts = []
    for row in ids:
        ends = (row == stop).nonzero()[:sentences, 0] + 1  # (sentences,)
        texts.append([part.tolist() for part in row.tensor_split(ends)[:sentences]])
    return texts


def follows_log_odds(
    language: ExactLanguage, a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]
) -> Tensor:
    r"""Return the exact log odds that B follows A against that B is from another text.

    $$\log \frac{p(A B)}{p(A) \, p(B)}$$

    If both are as frequent, `F.softplus(-odds)` of true and `F.softplus(odds)` of random pairs is
    the least loss of next-sentence prediction. For single sentences the odds are symmetric in A and
    B: labels change from one sentence to the next as often in both directions, so that nobody can
    tell the order of two sentences.

    Args:
        language: The language.
        a: `n` spans of whole sentences, word ids.
        b: Likewise.

    Returns:
        `(n,)` float64.

    Raises:
        ValueError: If there are no spans, not as many of each, or an empty one.
    """
    if not a or len(a) != len(b) or not all(map(len, (*a, *b))):
        raise ValueError(f"expected as many spans of words A as B, got {len(a)} and {len(b)}")
    together = _log_p(language, [[*x, *y] for x, y in zip(a, b, strict=True)])
    return together - _log_p(language, a) - _log_p(language, b)


def _log_p(language: ExactLanguage, spans: Sequence[Sequence[int]]) -> Tensor:
    """Return the log probability of each span, which begins with a sentence, (n,)."""
    width = max(map(len, spans))
    likelihood = torch.ones(len(spans), width, len(language.initial), dtype=torch.float64)
    for row, span in zip(likelihood, spans, strict=True):
        row[: len(span)] = language.emission.T[list(span)]  # what comes after tells nothing
    _, scale = forward_pass(language, likelihood, language.sentence_start)
    return scale.log().sum(1)
