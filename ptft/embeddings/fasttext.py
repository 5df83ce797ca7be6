"""fastText: word2vec over character n-grams, and a linear classifier over words and bigrams."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ptft.embeddings.subwords import SubwordTable, check_ngram_lengths
from ptft.embeddings.word2vec import TrainedWords, Word2VecConfig, train_predictor
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary


@dataclass(frozen=True)
class FastTextConfig(Word2VecConfig):
    """Settings of fastText: those of word2vec, and three for the n-grams, as gensim has them.

    Attributes:
        min_n: Characters of the shortest n-gram, boundary marks included.
        max_n: Characters of the longest.
        buckets: Rows that n-grams are hashed into; only those that are met take memory. With
            few, all words share rows and move together: a thousand need a lower learning rate.
    """

    min_n: int = 3
    max_n: int = 6
    buckets: int = 2_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ngram_lengths(self.min_n, self.max_n)
        if self.buckets < 1:
            raise ValueError(f"buckets must be at least 1, got {self.buckets}")


@dataclass(frozen=True, eq=False)
class TrainedSubwords(TrainedWords):
    """Trained words and n-grams: it has a vector for words that were never seen, too."""

    @property
    def table(self) -> SubwordTable:
        """The rows of words and n-grams."""
        assert isinstance(self.model.inputs, SubwordTable)
        return self.model.inputs

    def vector(self, word: str) -> Tensor:
        """Return the vector of any word, (D,): of an unseen one the mean of its n-grams.

        Raises:
            TypeError: If `word` is not a string.
            KeyError: If the word is unseen, and all its n-grams are.
        """
        if word not in self.vocabulary:
            return self.table.from_ngrams(word)
        with torch.no_grad():
            return self.model(torch.tensor(self.vocabulary.ids[word]))

    def neighbours(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the n words of the vocabulary nearest to any word by cosine, without itself.

        Raises:
            KeyError: As `vector`.
            ValueError: If `n` is below 1.
        """
        vectors = self.vectors
        return vectors.neighbours(word if word in vectors else self.vector(word), n)


def train_fasttext(
    corpus: EncodedCorpus,
    vocabulary: Vocabulary,
    config: FastTextConfig,
    checkpoint: str | Path | None = None,
) -> TrainedSubwords:
    """Train fastText's word vectors; only the input layer differs from word2vec.

    With `cbow` the window's vector is the mean of its words' vectors; fastText takes the mean of
    all their n-grams instead, so that long words count more.

    Args:
        corpus: Word ids, in memory or on disk.
        vocabulary: That of the corpus, two words or more.
        config: See `FastTextConfig`.
        checkpoint: As in `train_word2vec`; it holds the n-grams, which a file of vectors does not.

    Raises:
        ValueError: If the vocabulary has one word only.

    Source:
        Bojanowski et al. 2017, sec. 3.
    """
    torch.manual_seed(config.seed)
    table = SubwordTable(
        vocabulary.words, config.d_model, config.min_n, config.max_n, config.buckets
    )
    trained = train_predictor(table, corpus, vocabulary, config, checkpoint)
    return TrainedSubwords(trained.model, trained.vocabulary, trained.history)
