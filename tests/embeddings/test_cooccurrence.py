import tracemalloc
from collections import defaultdict

import numpy as np
import pytest

from ptft.embeddings import cooccurrence
from ptft.embeddings.cooccurrence import count_cooccurrences, distance_weights
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary

V = 30


def random_corpus(n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    tokens = rng.zipf(1.5, n).clip(max=V).astype(np.int32) - 1
    starts = rng.random(n) < 0.1
    starts[0] = False
    return EncodedCorpus(tokens, np.cumsum(starts).astype(np.int32))


def by_hand(corpus, weights):
    counts = defaultdict(float)
    for s, (left, its_sentence) in enumerate(zip(corpus.tokens, corpus.sentence, strict=True)):
        for d, weight in enumerate(weights, 1):
            if s + d < len(corpus) and corpus.sentence[s + d] == its_sentence:
                counts[int(left), int(corpus.tokens[s + d])] += weight
                counts[int(corpus.tokens[s + d]), int(left)] += weight
    return counts


@pytest.mark.parametrize("chunk", [7, 64, 1 << 17])
@pytest.mark.parametrize("weighting", ["harmonic", "linear", "flat"])
def test_equals_a_loop_over_words_and_is_symmetric(monkeypatch, chunk, weighting):
    monkeypatch.setattr(cooccurrence, "_CHUNK", chunk)
    corpus = random_corpus(700)
    counts = count_cooccurrences(corpus, V, window=5, weighting=weighting)
    expected = by_hand(corpus, distance_weights(5, weighting))
    rows, columns = counts.nonzero()
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(expected)
    assert counts.data == pytest.approx([expected[pair] for pair in sorted(expected)], rel=1e-6)
    assert counts.dtype == np.float32
    assert counts.shape == (V, V)
    assert (counts != counts.T).nnz == 0
    # Two counts of 1/d for each pair of places: word and context, context and word.
    assert counts.sum() == pytest.approx(sum(expected.values()), rel=1e-6)


def test_a_sentence_by_hand():
    vocabulary = Vocabulary(("a", "b", "c"), (3, 2, 1))
    corpus = EncodedCorpus.build([["a", "b", "a"], ["c", "b"]], vocabulary)
    counts = count_cooccurrences(corpus, 3, window=2)
    assert counts.toarray().tolist() == [[1, 2, 0], [2, 0, 1], [0, 1, 0]]


def test_weights():
    assert distance_weights(4, "harmonic").tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert distance_weights(4, "linear").tolist() == [1, 3 / 4, 2 / 4, 1 / 4]
    assert distance_weights(3, "flat").tolist() == [1, 1, 1]


def test_the_corpus_may_lie_on_disk(tmp_path):
    sentences = [[f"w{i % 7}", f"w{i % 5}", f"w{i % 3}"] for i in range(50)]
    vocabulary = Vocabulary.build(sentences, 1)
    here = EncodedCorpus.build(sentences, vocabulary)
    there = EncodedCorpus.build(sentences, vocabulary, tmp_path / "corpus.npy")
    size = len(vocabulary)
    assert (count_cooccurrences(here, size) != count_cooccurrences(there, size)).nnz == 0


def test_ten_times_the_corpus_takes_no_more_memory(monkeypatch):
    monkeypatch.setattr(cooccurrence, "_CHUNK", 1_000)

    def peak(n):
        corpus = random_corpus(n)
        tracemalloc.start()
        try:
            count_cooccurrences(corpus, V, window=5)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5_000)  # what the first call imports does not count
    assert peak(50_000) < 1.3 * peak(5_000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"weighting": "1/d"}, "weighting must be one of harmonic, linear, flat, got '1/d'"),
        ({"vocab_size": 1}, "at least 2 words, got 1"),
        ({"vocab_size": 3}, r"ids must be in \[0, 3\), got 0 to"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        count_cooccurrences(random_corpus(), **{"vocab_size": V, **settings})


def test_nothing_to_count():
    single = EncodedCorpus(np.arange(4, dtype=np.int32), np.arange(4, dtype=np.int32))
    with pytest.raises(ValueError, match="no two words share a sentence"):
        count_cooccurrences(single, 4)
    negative = EncodedCorpus(np.array([0, -1], np.int32), np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="got -1 to 0"):
        count_cooccurrences(negative, 4)
