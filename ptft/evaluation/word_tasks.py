"""Word vectors against people: similarity of words, and analogies."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata

from ptft.data.bundled import Analogies, WordSimilarity
from ptft.evaluation.metrics import Interval
from ptft.text.word_vectors import WordVectors

_BLOCK = 256  # questions that are scored at a time: (256, 30,000) float32 are 31 MB


@dataclass(frozen=True)
class SimilarityScore:
    """Spearman's correlation of cosines with human judgements.

    Attributes:
        rho: From -1 to 1.
        used: Number of pairs of which both words are known; the others are left out.
        total: Number of pairs of the task.
    """

    rho: float
    used: int
    total: int

    @property
    def interval(self) -> Interval:
        r"""About 95 % over the choice of word pairs, not over seeds.

        $$\tanh(\operatorname{artanh} \rho \pm 1.96 \cdot 1.03 / \sqrt{n - 3})$$

        Source:
            Fieller, Hartley and Pearson (1957), "Tests for rank correlation coefficients. I".
        """
        if self.used == 3:  # the interval has no bounds of its own
            return Interval(self.rho, -1.0, 1.0, self.used)
        z = np.arctanh(np.clip(self.rho, -1 + 1e-15, 1 - 1e-15))
        half = 1.96 * 1.03 / np.sqrt(self.used - 3)
        low, high = float(np.tanh(z - half)), float(np.tanh(z + half))
        return Interval(self.rho, min(low, self.rho), max(high, self.rho), self.used)


@dataclass(frozen=True)
class AnalogyScore:
    """How many analogies are answered right, of those whose four words are known.

    Attributes:
        sections: (right, used, total) of each section of the task.
    """

    sections: dict[str, tuple[int, int, int]] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of right answers among all known questions."""
        return self._accuracy(self.sections)

    @property
    def semantic(self) -> float:
        """Accuracy of the sections about the world; nan if none of their questions is known."""
        return self._accuracy(name for name in self.sections if not name.startswith("gram"))

    @property
    def syntactic(self) -> float:
        """Accuracy of the sections "gram..."; nan if none of their questions is known."""
        return self._accuracy(name for name in self.sections if name.startswith("gram"))

    @property
    def used(self) -> int:
        """Number of questions whose four words are known."""
        return sum(used for _, used, _ in self.sections.values())

    @property
    def total(self) -> int:
        """Number of questions of the task."""
        return sum(total for _, _, total in self.sections.values())

    def _accuracy(self, names: Iterable[str]) -> float:
        counts = [self.sections[name] for name in names]
        used = sum(used for _, used, _ in counts)
        return sum(right for right, _, _ in counts) / used if used else float("nan")


def similarity_score(vectors: WordVectors, task: WordSimilarity) -> SimilarityScore:
    """Correlate the ranks of cosines with those of human judgements (Spearman's rho).

    Upper and lower case are one; of the words that differ in case alone the first one counts.

    Raises:
        ValueError: If fewer than 3 pairs are known, or all cosines or judgements are equal.

    Source:
        Equal to `KeyedVectors.evaluate_word_pairs` of gensim.
    """
    groups, firsts = _groups(vectors.words)
    known = [
        (firsts[groups[a.lower()]], firsts[groups[b.lower()]], judgement)
        for a, b, judgement in task.pairs
        if a.lower() in groups and b.lower() in groups
    ]
    if len(known) < 3:
        raise ValueError(
            f"{task.name} needs at least 3 pairs with both words known, got {len(known)} "
            f"of {len(task.pairs)}"
        )
    first, second, judgements = (np.array(column) for column in zip(*known, strict=True))  # (n,)
    unit = vectors.unit()  # (V, D)
    cosines = (unit[first].double() * unit[second]).sum(dim=1).numpy()  # (n,)
    if np.ptp(cosines) == 0 or np.ptp(judgements) == 0:
        raise ValueError("cosines and judgements must differ to have ranks, got equal ones")
    rho = np.corrcoef(rankdata(cosines), rankdata(judgements))[0, 1]
    return SimilarityScore(float(rho), len(known), len(task.pairs))


def analogy_score(vectors: WordVectors, task: Analogies, restrict: int = 30_000) -> AnalogyScore:
    r"""Answer "a is to b as c is to ?" by 3CosAdd, and count the answers that are right.

    $$\arg\max_w \cos(w, b - a + c)$$

    The vectors are divided by their norm first, and a, b and c are no answers. Upper and lower
    case are one.

    Args:
        vectors: Words by falling count.
        task: A question with an unknown word is left out.
        restrict: Only the first words are known, and only they are answers.

    Raises:
        ValueError: If `restrict` is below 1, or no question has four known words.

    Source:
        Mikolov et al. (2013), "Efficient estimation", section 4.1; equal to
        `KeyedVectors.evaluate_word_analogies` of gensim.
    """
    if restrict < 1:
        raise ValueError(f"restrict must be at least 1, got {restrict}")
    known_words = vectors.words[:restrict]
    groups, firsts = _groups(known_words)
    group_of_row = np.array([groups[word.lower()] for word in known_words])  # (R,)
    unit = vectors.unit()[:restrict].numpy()  # (R, D)
    sections = {}
    for name, rows in task.sections.items():
        lowered = [[word.lower() for word in row] for row in rows]
        known = [[groups[w] for w in row] for row in lowered if all(w in groups for w in row)]
        right = sum(
            _right_answers(unit, group_of_row, firsts, np.array(known[i : i + _BLOCK]))
            for i in range(0, len(known), _BLOCK)
        )
        sections[name] = (right, len(known), len(rows))
    score = AnalogyScore(sections)
    if score.used == 0:
        raise ValueError(f"none of the {score.total} questions has four known words")
    return score


def _groups(words: tuple[str, ...]) -> tuple[dict[str, int], np.ndarray]:
    """Number the words without their case; return these numbers, and the first row of each."""
    groups: dict[str, int] = {}
    firsts = []
    for i, word in enumerate(words):
        if word.lower() not in groups:
            groups[word.lower()] = len(groups)
            firsts.append(i)
    return groups, np.array(firsts)


def _right_answers(
    unit: np.ndarray, group_of_row: np.ndarray, firsts: np.ndarray, questions: np.ndarray
) -> int:
    """Count right answers; questions are (B, 4) groups."""
    a, b, c = unit[firsts[questions[:, :3].T]]  # (B, D) each
    cosines = (b - a + c) @ unit.T  # (B, R), up to the norm of the query
    for column in questions[:, :3].T:
        cosines[group_of_row == column[:, None]] = -np.inf
    return int((group_of_row[cosines.argmax(axis=1)] == questions[:, 3]).sum())
