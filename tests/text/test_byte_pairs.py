"""Byte-pair encoding: from the definition, beside the library, and with bad input."""

import json
from collections import Counter
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, trainers

from ptft.text.byte_pairs import BytePairs, byte_characters, split_words
from ptft.text.merges import apply_merges, count_words, learn_merges

TEXTS = ["The tensor holds the weights.", "Weights, biases: the layer's 24 tensors; über 北京"] * 3
# What breaks tokenizers: joined emoji, marks, no spaces, right to left, controls, odd spaces.
ODD = "a Z9.,'\n\t\r\x00\x85\u00a0\u200b\u202e\u2028\u0301é\u212aßİ北京한א\u0627\ufffd\U000e0001"
ODD += "\U0001f469\u200d\U0001f4bb\U0001f1e9\U0001f1ea"
UNICODE = (
    st.text() | st.text(ODD) | st.lists(st.sampled_from(["the", " ", "'s", *ODD])).map("".join)
)


def library(texts, vocab_size, min_count=2):
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_count,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def vocabulary_and_merges(backend):
    model = json.loads(backend.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(pair) for pair in model["merges"]]


def printable(token):
    return "".join(byte_characters()[byte] for byte in token)


@pytest.fixture(scope="module")
def bpe():
    return BytePairs.train(TEXTS, 288)


@pytest.fixture(scope="module")
def twin():
    return library(TEXTS, 288)


def test_merges_follow_the_example_of_the_paper():
    """Sennrich et al. 2016, algorithm 1: its tokens, though ties are broken in another way."""
    words = {"low_": 5, "lower_": 2, "newest_": 6, "widest_": 3}
    alphabet = sorted(set("".join(words)))
    spelled = {tuple(alphabet.index(c) for c in word): n for word, n in words.items()}
    _, merges = learn_merges(spelled, alphabet, lambda a, b: a + b, 99, 5)
    made = {"".join(pair) for pair in merges}
    assert merges[0] == ("e", "s")  # 9 times, as s t and t _: the smallest ids win
    assert made >= {"est_", "lo", "low", "new", "newest_", "low_"}


@given(st.lists(st.text("ab=", min_size=1, max_size=30), min_size=1), st.integers(4, 60))
@settings(max_examples=60, deadline=None)
def test_corrected_counts_equal_a_recount(texts, vocab_size):
    alphabet = sorted(set("".join(texts)))
    words = [[alphabet.index(c) for c in text] for text in texts]
    tokens = list(alphabet)
    while len(tokens) < vocab_size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        a, b = min(counts, key=lambda pair: (-counts[pair], pair))
        tokens.append(tokens[a] + tokens[b])
        for word in words:
            for i in range(len(word) - 1):
                if word[i : i + 2] == [a, b]:
                    word[i : i + 2] = [len(tokens) - 1]
    start = Counter(tuple(alphabet.index(c) for c in text) for text in texts)
    assert learn_merges(start, alphabet, lambda a, b: a + b, vocab_size, 1)[0] == tokens


@given(
    st.lists(st.text("ab =é", min_size=1, max_size=30), min_size=1),
    st.integers(256, 300),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_training_equals_the_library(texts, vocab_size, min_count):
    ours = BytePairs.train(texts, vocab_size, min_count)
    vocabulary, merges = vocabulary_and_merges(library(texts, vocab_size, min_count))
    assert ours.symbols(range(len(ours))) == vocabulary
    assert [(printable(a), printable(b)) for a, b in ours.merges] == merges


@given(text=UNICODE)
@settings(max_examples=200, deadline=None)
def test_ids_and_round_trip_of_any_text(bpe, twin, text):
    ids = bpe.encode(text)
    assert ids == twin.encode(text).ids
    assert bpe.decode(ids) == text
    assert "".join(split_words(text)) == text


@given(ids=st.lists(st.integers(0, 287)))
@settings(deadline=None)
def test_any_ids_decode_as_in_the_library(bpe, twin, ids):
    assert bpe.decode(ids) == twin.decode(ids)


def test_a_token_that_two_merges_make_is_one_token():
    merges = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"a", b"bc"), (b"abc", b"a")]
    ours = BytePairs(merges)
    names = ours.symbols(range(len(ours)))
    assert len(ours) == 256 + 4
    model = models.BPE(
        {name: i for i, name in enumerate(names)}, [tuple(map(printable, m)) for m in merges]
    )
    twin = tokenizers.Tokenizer(model)
    twin.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in ("abcabc", "aabcbcabca", "bcaabcab"):
        assert ours.encode(text) == twin.encode(text).ids


def test_the_first_merges_are_a_tokenizer_too(bpe):
    assert BytePairs(bpe.merges[:20]).merges == BytePairs.train(TEXTS, 276).merges


def test_merges_of_a_library_file_make_the_same_tokenizer(bpe, twin):
    assert BytePairs.from_symbols(vocabulary_and_merges(twin)[1]).merges == bpe.merges
    with pytest.raises(ValueError, match="' ' in 'a ' stands for no byte"):
        BytePairs.from_symbols([("a ", "b")])


def test_the_byte_table_is_that_of_the_library():
    characters = byte_characters()
    assert sorted(characters) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert characters[ord("A")] == "A" and characters[ord(" ")] == "Ġ"


def test_special_tokens_in_a_text_are_text(bpe):
    """The one difference in encoding: the library turns the name of an added token into its id."""
    twin = library(TEXTS, 288)
    twin.add_special_tokens(["[MASK]"])
    assert twin.encode("[MASK]").ids == [288]
    assert bpe.decode(bpe.encode("[MASK]")) == "[MASK]" and len(bpe.encode("[MASK]")) > 1


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    """The library returns 256 tokens when it is asked for 10."""
    assert library(TEXTS, 10).get_vocab_size() == 256
    with pytest.raises(ValueError, match="at least 256, the bytes, got 10"):
        BytePairs.train(TEXTS, 10)


def test_a_word_of_a_megabyte_does_not_hang(bpe):
    assert bpe.decode(bpe.encode("the" * 20_000)) == "the" * 20_000
    assert apply_merges([], {}) == []


def test_bad_training_input_is_refused():
    with pytest.raises(TypeError, match="a list of texts, got one string"):
        BytePairs.train("one text", 300)
    with pytest.raises(TypeError, match=r"expected text \(str\), got bytes"):
        BytePairs.train([b"bytes"], 300)
    for nothing in ([], [""], iter(())):
        with pytest.raises(ValueError, match="without text"):
            BytePairs.train(nothing, 300)
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        BytePairs.train(TEXTS, 300, min_count=0)
    with pytest.raises(ValueError, match="merge 1 must join two tokens"):
        BytePairs([(b"a", b"b"), (b"abc", b"d")])
    assert count_words(["a b", "a"], str.split) == {"a": 2, "b": 1}


def test_bad_texts_and_ids_are_refused(bpe):
    with pytest.raises(TypeError, match=r"expected text \(str\), got list"):
        bpe.encode(["a"])
    with pytest.raises(ValueError, match="valid Unicode, got"):
        bpe.encode("a\ud800")
    for i in (-1, 288):
        with pytest.raises(ValueError, match=r"must be in \[0, 288\), got"):
            bpe.decode([i])
        with pytest.raises(ValueError, match=r"must be in \[0, 288\), got"):
            bpe.symbols([i])
