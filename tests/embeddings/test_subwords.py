"""n-grams and hashes are fastText's; the table is the mean that its docstring states."""

import pytest
import torch
from gensim.models.fasttext import ft_ngram_hashes
from gensim.models.fasttext_inner import compute_ngrams, compute_ngrams_bytes, ft_hash_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from ptft.embeddings.subwords import (
    SubwordTable,
    character_ngrams,
    fasttext_hash,
    table_bytes,
)

WORDS = ["where", "her", "a", "", "don't", "naïve", "größe", "日本語", "😀x", "banana"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 3), (3, 6), (2, 9)])
def test_ngrams_equal_fasttexts(word: str, low: int, high: int) -> None:
    theirs = [ngram.decode() for ngram in compute_ngrams_bytes(word, low, high)]
    assert character_ngrams(word, low, high) == theirs
    if low > 1:  # the other function of gensim keeps a mark alone
        assert sorted(theirs) == sorted(compute_ngrams(word, low, high))


def test_the_papers_example() -> None:
    assert character_ngrams("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>"]  # section 3.2
    assert "<her>" in character_ngrams("her")
    assert "<her>" not in character_ngrams("where")


@settings(deadline=None)
@given(st.text())
def test_hash_equals_fasttexts(text: str) -> None:
    assert fasttext_hash(text) == ft_hash_bytes(text.encode())


def test_hash_of_bytes_above_127_is_not_fnv1a() -> None:
    h = 2166136261
    for byte in "é".encode():
        h = (h ^ byte) * 16777619 % 2**32
    assert fasttext_hash("é") == ft_hash_bytes("é".encode()) != h


@pytest.mark.parametrize("buckets", [1, 7, 2_000_000])
def test_vectors_are_means_of_rows(buckets: int) -> None:
    words = ["banana", "band", "größe", "a"]
    table = SubwordTable(words, 5, buckets=buckets)
    vectors = table(torch.tensor([[1, 0], [3, 2]]))  # (2, 2, D)
    assert vectors.shape == (2, 2, 5)
    row_of = {int(bucket): len(words) + i for i, bucket in enumerate(table.used)}
    for word, vector in zip(["band", "banana", "a", "größe"], vectors.flatten(0, 1), strict=True):
        hashed = ft_ngram_hashes(word, 3, 6, buckets)
        rows = [words.index(word), *(row_of[h] for h in hashed)]
        torch.testing.assert_close(vector, table.weight[rows].mean(dim=0))


def test_each_row_moves_by_the_whole_gradient() -> None:
    table = SubwordTable(["ab", "abc"], 2, buckets=1000)
    table(torch.tensor([0, 0, 1])).backward(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert table.weight.grad is not None
    assert table.weight.grad.is_sparse
    moved = table.weight.grad.to_dense()
    torch.testing.assert_close(moved[:2], torch.tensor([[4.0, 6.0], [5.0, 6.0]]))
    shared = 2 + int(torch.searchsorted(table.used, fasttext_hash("<ab") % 1000))
    torch.testing.assert_close(moved[shared], torch.tensor([9.0, 12.0]))


def test_an_unseen_word_is_the_mean_of_its_ngrams() -> None:
    table = SubwordTable(["walk", "talking"], 3)
    rows = {int(bucket): table.weight[2 + i] for i, bucket in enumerate(table.used)}
    hashed = ft_ngram_hashes("walking", 3, 6, 2_000_000)
    expected = sum(rows.get(h, torch.zeros(3)) for h in hashed) / len(hashed)
    torch.testing.assert_close(table.from_ngrams("walking"), expected)


@pytest.mark.parametrize("word", ["", "日本語"])
def test_a_word_without_a_known_ngram_is_refused(word: str) -> None:
    with pytest.raises(KeyError, match="no vector"):
        SubwordTable(["walk"], 3).from_ngrams(word)


def test_only_buckets_that_are_met_have_rows() -> None:
    words = ["walk", "walking"]
    exact = {ngram for word in words for ngram in character_ngrams(word)}
    assert len(SubwordTable(words, 3, buckets=2**32).weight) == 2 + len(exact)
    assert len(SubwordTable(words, 3, buckets=4).weight) == 2 + 4
    assert table_bytes(0, 2_000_000, 100) == 800_000_000


def test_words_shorter_than_the_shortest_ngram_keep_their_own_row() -> None:
    table = SubwordTable(["a", "b"], 3, min_n=4, max_n=4)
    torch.testing.assert_close(table(torch.tensor([0, 1])), table.weight)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="buckets must be at least 1, got 0"):
        SubwordTable(["a"], 3, buckets=0)
    with pytest.raises(ValueError, match="words must be at least 1"):
        SubwordTable([], 3)
    with pytest.raises(ValueError, match="min_n = 4 and max_n = 3"):
        SubwordTable(["a"], 3, min_n=4, max_n=3)
    with pytest.raises(ValueError, match="min_n = 0"):
        character_ngrams("a", 0, 3)
    with pytest.raises(TypeError, match="got a string"):
        SubwordTable("word", 3)
    with pytest.raises(TypeError, match="got int"):
        character_ngrams(3)  # type: ignore[arg-type]
