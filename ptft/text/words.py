"""Words and their numbers: the vocabulary that all word vectors of the course share."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ptft.data.words import words

__all__ = ["Vocabulary", "words"]


@dataclass(frozen=True)
class Vocabulary:
    """Words by falling count, those of one count in alphabetical order; the place is the id.

    Attributes:
        words: V distinct words.
        counts: V positive counts, parallel to `words`.

    Raises:
        ValueError: If lengths differ, a word occurs twice, or a count is not positive.
    """

    words: tuple[str, ...] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.counts):
            raise ValueError(f"got {len(self.words)} words, but {len(self.counts)} counts")
        if len(self.ids) != len(self.words):
            raise ValueError("words must be distinct, got one twice")
        if min(self.counts, default=1) < 1:
            raise ValueError(f"counts must be at least 1, got {min(self.counts)}")

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_count: int = 5) -> "Vocabulary":
        """Count words, and keep those that occur `min_count` times or more.

        Args:
            sentences: Each a list of words; a text goes through `words` first.
            min_count: At least 1.

        Raises:
            TypeError: If `sentences` or one of them is a string, or a word is not.
            ValueError: If `min_count` is below 1, there are no words, or none occurs often enough.

        Example:
            >>> Vocabulary.build([["a", "rose"], ["is", "a", "rose"]], min_count=2).words
            ('a', 'rose')
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        if isinstance(sentences, str):
            raise TypeError("sentences must be lists of words, got a string")
        counter: Counter[str] = Counter()
        for sentence in sentences:
            counter.update(_checked(sentence))
        odd = next((word for word in counter if not isinstance(word, str)), None)
        if odd is not None:
            raise TypeError(f"a word must be a string, got {odd!r}")
        if not counter:
            raise ValueError("the corpus has no words (an iterator can be read only once)")
        frequent = [(word, count) for word, count in counter.items() if count >= min_count]
        if not frequent:
            most = max(counter.values())
            raise ValueError(f"no word occurs {min_count} times; the most frequent one has {most}")
        frequent.sort(key=lambda item: (-item[1], item[0]))
        return cls(tuple(word for word, _ in frequent), tuple(count for _, count in frequent))

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word, from 0 for the most frequent."""
        return {word: i for i, word in enumerate(self.words)}

    @property
    def total(self) -> int:
        """Number of tokens that were counted, without those of words left out."""
        return sum(self.counts)

    def __len__(self) -> int:
        """Return V."""
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def encode(self, sentence: Sequence[str]) -> list[int]:
        """Return the ids of the known words; unknown words are left out, as word2vec does.

        Raises:
            TypeError: If `sentence` is a string, not a list of words.
        """
        ids = self.ids
        return [ids[word] for word in _checked(sentence) if word in ids]


def _checked(sentence: Sequence[str]) -> Sequence[str]:
    if isinstance(sentence, str):
        raise TypeError(f"a sentence must be a list of words, got the string {sentence[:40]!r}")
    return sentence
