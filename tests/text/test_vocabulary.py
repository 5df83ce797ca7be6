from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptft.text.words import Vocabulary, words

ROSE = [["a", "rose", "is", "a", "rose"], ["is", "a", "daisy"], []]


def test_words_by_count_then_alphabet():
    vocabulary = Vocabulary.build(ROSE, min_count=1)
    assert vocabulary.words == ("a", "is", "rose", "daisy")
    assert vocabulary.counts == (3, 2, 2, 1)
    assert (len(vocabulary), vocabulary.total) == (4, 8)
    assert vocabulary.ids == {"a": 0, "is": 1, "rose": 2, "daisy": 3}
    assert "rose" in vocabulary and "tulip" not in vocabulary


def test_rare_words_are_left_out_and_encode_skips_them():
    vocabulary = Vocabulary.build(iter(ROSE), min_count=2)
    assert vocabulary.words == ("a", "is", "rose")
    assert vocabulary.total == 7
    assert vocabulary.encode(["rose", "tulip", "a", "daisy", "a"]) == [2, 0, 0]
    assert vocabulary.encode([]) == []


def test_words_is_the_rule_of_the_data():
    assert words("A rose.") == ["a", "rose"]


@given(st.lists(st.lists(st.sampled_from("abcdef"))), st.integers(1, 3))
def test_equal_to_a_counter(sentences, min_count):
    counter = Counter(word for sentence in sentences for word in sentence)
    expected = {word: count for word, count in counter.items() if count >= min_count}
    if not expected:
        with pytest.raises(ValueError, match="no word"):
            Vocabulary.build(sentences, min_count)
        return
    vocabulary = Vocabulary.build(sentences, min_count)
    assert dict(zip(vocabulary.words, vocabulary.counts, strict=True)) == expected
    keys = [(-count, word) for word, count in expected.items()]
    assert [expected[word] for word in vocabulary.words] == [-count for count, _ in sorted(keys)]
    assert vocabulary.encode(vocabulary.words) == list(range(len(vocabulary)))


@pytest.mark.parametrize(
    ("sentences", "min_count", "error", "message"),
    [
        ("a rose", 1, TypeError, "sentences must be lists of words, got a string"),
        (["a rose is"], 1, TypeError, "a sentence must be a list of words, got the string 'a rose"),
        ([[1, 2]], 1, TypeError, "a word must be a string, got 1"),
        ([], 1, ValueError, "the corpus has no words"),
        ([[], []], 1, ValueError, "the corpus has no words"),
        (ROSE, 4, ValueError, "no word occurs 4 times; the most frequent one has 3"),
        (ROSE, 0, ValueError, "min_count must be at least 1, got 0"),
    ],
)
def test_bad_corpus(sentences, min_count, error, message):
    with pytest.raises(error, match=message):
        Vocabulary.build(sentences, min_count)


@pytest.mark.parametrize(
    ("vocabulary", "counts", "message"),
    [
        (("a", "b"), (1,), "got 2 words, but 1 counts"),
        (("a", "a"), (2, 1), "words must be distinct"),
        (("a", "b"), (1, 0), "counts must be at least 1, got 0"),
    ],
)
def test_bad_vocabulary(vocabulary, counts, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(vocabulary, counts)


def test_encode_takes_no_string():
    with pytest.raises(TypeError, match="got the string 'rose'"):
        Vocabulary.build(ROSE, 1).encode("rose")
