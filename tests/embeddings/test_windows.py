import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec

from ptft.core.compute import generator
from ptft.embeddings.windows import (
    CHUNK,
    Windows,
    keep_probabilities,
    noise_probabilities,
)
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary


def vocabulary(counts):
    return Vocabulary(tuple(f"w{i}" for i in range(len(counts))), tuple(counts))


def corpus_of(sentences):
    """Return a corpus of lists of ids, short ones too."""
    tokens = np.concatenate(sentences).astype(np.int32)
    lengths = [len(sentence) for sentence in sentences]
    return EncodedCorpus(tokens, np.repeat(np.arange(len(lengths)), lengths).astype(np.int32))


def random_sentences(words=150, vocab_size=12, seed=0):
    rng, sentences = np.random.default_rng(seed), []
    while words > 0:
        sentences.append(rng.integers(0, vocab_size, min(words, rng.integers(1, 15))))
        words -= len(sentences[-1])
    return sentences


def counted(sentences, vocab_size=12):
    counts = np.bincount(np.concatenate(sentences), minlength=vocab_size)
    return vocabulary(np.maximum(counts, 1).tolist())


def pair_counts(batch):
    return Counter(map(tuple, batch.pairs().tolist()))


def naive_pairs(corpus, windows, part, draws):
    """Walk over the words of a part of the corpus as word2vec.c does, with the same draws."""
    tokens, sentence = corpus.tokens[part].tolist(), corpus.sentence[part].tolist()
    chance = torch.rand(len(tokens), generator=draws).tolist()
    kept = [i for i, word in enumerate(tokens) if chance[i] < windows.keep[word].item()]
    reaches = torch.randint(1, windows.window + 1, (len(kept) + CHUNK,), generator=draws)
    pairs = Counter()
    for place, i in enumerate(kept):
        reach = reaches[place].item()
        for other in range(max(0, place - reach), min(len(kept), place + reach + 1)):
            if other != place and sentence[kept[other]] == sentence[i]:
                pairs[tokens[i], tokens[kept[other]]] += 1
    return pairs


@pytest.mark.parametrize(("window", "threshold"), [(1, 1.0), (5, 1.0), (5, 0.02), (20, 1.0)])
@pytest.mark.parametrize("batch_words", [37, 1000])
def test_pairs_are_those_of_the_naive_walk(window, threshold, batch_words):
    sentences = random_sentences()
    corpus = corpus_of(sentences)
    windows = Windows(corpus, counted(sentences), window, threshold, batch_words)
    assert windows.steps_per_epoch == -(-150 // batch_words)
    total = 0
    for step in range(windows.steps_per_epoch + 1):  # the first batch comes again
        start = step % windows.steps_per_epoch * batch_words
        batch = windows(step, generator(step))
        naive = naive_pairs(corpus, windows, slice(start, start + batch_words), generator(step))
        assert pair_counts(batch) == naive
        total += naive.total()
    assert total > 50


def test_the_layout_is_as_documented():
    sentences = random_sentences()
    w = 3
    batch = Windows(corpus_of(sentences), counted(sentences), w, 1.0)(0, generator(0))
    chunks = -(-150 // CHUNK)
    assert batch.centres.shape == (chunks, CHUNK)
    assert batch.contexts.shape == (chunks, CHUNK + 2 * w)
    assert batch.inside.shape == (chunks, CHUNK, CHUNK + 2 * w)
    assert torch.equal(batch.contexts[:, w:-w], batch.centres)
    tokens = np.concatenate(sentences)
    for chunk, row, column in batch.inside.nonzero().tolist():
        centre = chunk * CHUNK + row
        assert batch.contexts[chunk, column] == tokens[centre + column - w - row]
    assert not batch.inside.diagonal(w, 1, 2).any()  # a word is not in its own window


def test_no_pair_crosses_a_sentence_or_the_edge_of_a_batch():
    """Each sentence repeats a word of its own; none has word 0, which batches are padded with."""
    rng = np.random.default_rng(0)
    sentences = [np.full(rng.integers(1, 9), i) for i in range(1, 60)]
    corpus, words = corpus_of(sentences), vocabulary([1] * 60)
    whole = Windows(corpus, words, 8, 1.0)(0, generator(0)).pairs()
    assert len(whole) > 300
    assert torch.equal(whole[:, 0], whole[:, 1])
    assert whole.min() >= 1
    halves = Windows(corpus_of([np.arange(20)]), vocabulary([1] * 20), 3, 1.0, batch_words=10)
    for step in (0, 1):
        assert set((halves(step, generator(0)).pairs() // 10).flatten().tolist()) == {step}


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_distance_has_its_probability_and_a_word_w_plus_1_pairs(window):
    """Word i stands at place i, so pairs show distances. Bounds are 5 standard deviations."""
    n = 20_000
    windows = Windows(corpus_of([np.arange(n)]), vocabulary([1] * n), window, 1.0, batch_words=n)
    pairs = windows(0, generator(0)).pairs()
    spread = 2 * ((window**2 - 1) / 12 / n) ** 0.5  # of twice a uniform reach
    edge = window * (window + 1) / n
    assert len(pairs) / n == pytest.approx(window + 1, abs=5 * spread + edge)
    step = pairs[:, 1] - pairs[:, 0]
    for distance in range(1, window + 1):
        p = (window + 1 - distance) / window
        for side in (distance, -distance):
            found = (step == side).sum().item() / (n - distance)
            assert found == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5 + 1e-9)
    assert step.abs().min() == 1
    assert step.abs().max() == window


def test_thinning_keeps_the_share_it_says_and_lets_windows_reach_further():
    n, w = 20_000, 2
    tokens = np.where(np.arange(n) % 3 == 0, np.arange(n) // 3 + 1, 0)  # two of three are word 0
    words = vocabulary([n - n // 3 - 1] + [1] * (n // 3 + 1))
    windows = Windows(corpus_of([tokens]), words, w, 1e-3, batch_words=n)
    p = windows.keep[0].item()
    assert p < 0.1
    assert windows.keep[1] == 1
    batch = windows(0, generator(0))
    kept = batch.inside.any(2) & (batch.centres == 0)
    frequent = n * 2 / 3
    assert kept.sum() / frequent == pytest.approx(p, abs=5 * (p * (1 - p) / frequent) ** 0.5)
    pairs = batch.pairs()
    rare = pairs[(pairs > 0).all(1)]
    assert (rare[:, 0] - rare[:, 1]).abs().max() == w  # six words apart before the thinning


def test_reversed_text_has_the_same_pairs():
    """Windows do not see the order of words: a bigram count does."""
    sentences = random_sentences()
    backwards = [sentence[::-1] for sentence in sentences]
    words = counted(sentences)

    def one(text):
        return pair_counts(Windows(corpus_of(text), words, 1, 1.0)(0, generator(0)))

    def bigrams(text):
        return Counter(pair for s in text for pair in zip(s[:-1].tolist(), s[1:].tolist()))  # noqa: B905

    assert one(sentences) == one(backwards)
    assert bigrams(sentences) != bigrams(backwards)

    def means(text, seed, draws=200):
        windows, counts = Windows(corpus_of(text), words, 4, 0.1), []
        for i in range(draws):
            pairs = windows(0, generator(seed + i)).pairs()
            counts.append((pairs[:, 0] * 12 + pairs[:, 1]).bincount(minlength=144).double())
        stacked = torch.stack(counts)
        return stacked.mean(0), stacked.var(0) / draws

    (mean, variance), (reverse, its_variance) = means(sentences, 0), means(backwards, 10_000)
    z = (mean - reverse) / (variance + its_variance + 1e-12).sqrt()
    assert (variance > 0).sum() > 100
    assert z.abs().max() < 5  # false alarm: once in 10,000 seeds


def test_a_batch_may_be_empty():
    sentences = random_sentences()
    windows = Windows(corpus_of(sentences), counted(sentences), 2)
    windows.keep.zero_()
    batch = windows(0, generator(0))
    assert batch.pairs().shape == (0, 2)
    assert batch.centres.shape == (1, CHUNK)


def test_keep_probabilities_by_hand():
    keep = keep_probabilities(vocabulary([80, 20]), 0.01)
    assert keep.tolist() == pytest.approx([0.0125**0.5 + 0.0125, 0.05**0.5 + 0.05])
    assert keep_probabilities(vocabulary([80, 20]), 1.0).tolist() == [1, 1]


def test_keep_probabilities_are_gensims():
    sentences = [[f"w{i}" for i in sentence] for sentence in random_sentences(2000)]
    theirs = Word2Vec(min_count=1, sample=0.02)
    theirs.build_vocab(sentences)
    words = Vocabulary.build(sentences, min_count=1)
    expected = [theirs.wv.get_vecattr(word, "sample_int") / (2**32 - 1) for word in words.words]
    assert keep_probabilities(words, 0.02).tolist() == pytest.approx(expected, abs=1e-6)
    assert max(expected) < 1


def test_noise_is_drawn_by_count_to_the_power_three_quarters():
    words = vocabulary([625, 81, 16, 1])
    assert noise_probabilities(words).tolist() == pytest.approx([w / 161 for w in (125, 27, 8, 1)])
    assert noise_probabilities(words, power=0).tolist() == [0.25] * 4
    windows = Windows(corpus_of([np.arange(4)]), words, 2, noise_samples=20_000)
    p = noise_probabilities(words)
    size = len(windows.noise_table)
    share = windows.noise_table.bincount(minlength=4) / size
    assert (share - p).abs().max() <= 1 / size
    noise = windows(0, generator(0)).noise
    assert noise.shape == (1, 20_000)
    found = noise.flatten().bincount(minlength=4) / 20_000
    assert ((found - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()


def test_every_word_of_a_large_vocabulary_can_be_noise():
    size = 20_000
    words = vocabulary([max(1, size // (i + 1)) for i in range(size)])
    table = Windows(corpus_of([np.arange(2)]), words).noise_table
    entries = table.bincount(minlength=size)
    assert ((entries - noise_probabilities(words) * len(table)).abs() <= 1).all()


class Recorder(np.ndarray):
    """An array that remembers which of its slices were read."""

    def __getitem__(self, key):
        self.read.append(key)
        return np.asarray(super().__getitem__(key))


def test_only_the_slice_of_a_batch_is_read():
    sentences = random_sentences()
    corpus = corpus_of(sentences)
    columns = [column.view(Recorder) for column in (corpus.tokens, corpus.sentence)]
    for column in columns:
        column.read = []
    windows = Windows(EncodedCorpus(*columns), counted(sentences), 2, batch_words=50)
    windows(4, generator(0))
    assert [column.read for column in columns] == [[slice(50, 100)]] * 2


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    n = 1_000_000  # 4 MB a column
    rows = np.stack([np.arange(n) % 12, np.arange(n) // 10], axis=1).astype(np.int32)
    np.save(tmp_path / "corpus.npy", rows)
    del rows
    tracemalloc.start()
    corpus = EncodedCorpus.open(tmp_path / "corpus.npy")
    windows = Windows(corpus, vocabulary([1] * 12))
    for step in range(0, windows.steps_per_epoch, 20):
        windows(step, generator(step))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("setting", ["window", "batch_words", "noise_samples"])
def test_a_setting_must_be_positive(setting):
    with pytest.raises(ValueError, match=f"{setting} must be at least 1, got 0"):
        Windows(corpus_of([np.arange(3)]), vocabulary([1] * 3), **{setting: 0})


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_a_threshold_is_a_share(threshold):
    with pytest.raises(ValueError, match=r"threshold must be in \(0, 1\]"):
        Windows(corpus_of([np.arange(3)]), vocabulary([1] * 3), threshold=threshold)


@pytest.mark.parametrize("ids", [[0, 3], [0, -1]])
def test_the_corpus_must_be_of_the_vocabulary(ids):
    with pytest.raises(ValueError, match=r"ids must be in \[0, 3\).*vocabulary of the corpus"):
        Windows(corpus_of([np.array(ids)]), vocabulary([1] * 3))
