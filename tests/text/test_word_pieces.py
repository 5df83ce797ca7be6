"""WordPiece: beside the library, against the likelihood by definition, and with bad input."""

from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptft.text.tokenizer import MASK, SPECIAL_TOKENS, UNK, Tokenizer
from ptft.text.word_pieces import WordPieces, likelihood_gain, split_words

TEXTS = [
    "The tensor holds the weights.",
    "Weights, biases: #1 of the layer's 24 tensors; über 北京",
] * 3
ODD = "a Z9.,'#\n\t\r\x00\x85\u00a0\u200b\u202e\u2028\u0301é\u212aßİ北京한א\u0627\ufffd\U000e0001"
ODD += "\U0001f469\u200d\U0001f4bb\U0001f1e9\U0001f1ea"
UNICODE = (
    st.text() | st.text(ODD) | st.lists(st.sampled_from(["the", " ", "'s", *ODD])).map("".join)
)
PLAIN = UNICODE.filter(lambda text: not any(token in text for token in SPECIAL_TOKENS))


def vocabulary(tokenizer):
    ids = tokenizer.backend.get_vocab()
    return tuple(sorted(ids, key=ids.get))


@pytest.fixture(scope="module")
def pieces():
    return WordPieces.train(TEXTS, 90)


@pytest.fixture(scope="module")
def twin():
    return Tokenizer.train(TEXTS, 90)


@given(st.lists(st.text("ab #.é", min_size=1, max_size=30), min_size=1), st.integers(20, 60))
@settings(max_examples=40, deadline=None)
def test_training_equals_the_library(texts, vocab_size):
    texts = [*texts, "a b"]  # there is a word
    assert WordPieces.train(texts, vocab_size).tokens == vocabulary(
        Tokenizer.train(texts, vocab_size)
    )


@given(text=PLAIN)
@settings(max_examples=200, deadline=None)
def test_ids_and_decoded_text_equal_the_library(pieces, twin, text):
    ids = pieces.encode(text)
    assert ids == twin.encode(text, add_special_tokens=False)
    for skip in (True, False):
        assert pieces.decode(ids, skip) == twin.decode(ids, skip)


@given(ids=st.lists(st.integers(0, 89)), skip=st.booleans())
@settings(deadline=None)
def test_any_ids_decode_as_in_the_library(pieces, twin, ids, skip):
    assert pieces.tokens == vocabulary(twin) and len(pieces) == 90
    assert pieces.decode(ids, skip) == twin.decode(ids, skip)


def test_the_longest_piece_wins_even_where_it_ends_in_a_dead_end():
    tokens = [*SPECIAL_TOKENS, "un", "unab", "##able", "##a", "##b", "##l"]
    pieces = WordPieces(tokens)
    assert pieces.encode("unabl") == [tokens.index("unab"), tokens.index("##l")]
    assert pieces.encode("unable") == [UNK]  # though un + ##able would do


def test_a_word_is_unknown_as_a_whole(pieces):
    assert pieces.encode("the weight☃s") == [*pieces.encode("the"), UNK]
    assert pieces.encode("☃☃") == [UNK]
    assert pieces.decode([UNK]) == "" and pieces.decode([UNK], skip_special_tokens=False) == "[UNK]"


def test_a_word_of_more_than_a_hundred_letters_is_unknown(pieces, twin):
    for n in (100, 101):
        ids = pieces.encode("s" * n)
        assert (ids == [UNK]) == (n == 101)
        assert ids == twin.encode("s" * n, add_special_tokens=False)
    assert WordPieces(pieces.tokens, max_input_chars_per_word=2).encode("the") == [UNK]


def test_special_tokens_in_a_text_are_text(pieces, twin):
    """The one difference in encoding: the library turns the name of a special token into its id."""
    assert twin.encode("[MASK]", add_special_tokens=False) == [MASK]
    assert MASK not in pieces.encode("[MASK]")


def test_a_vocabulary_without_room_for_the_letters_is_refused():
    """The library returns a larger one than was asked for."""
    assert len(Tokenizer.train(TEXTS, 20)) > 20
    with pytest.raises(ValueError, match=r"at least 61, .*, got 20"):
        WordPieces.train(TEXTS, 20)


def test_decoding_removes_spaces_before_four_signs_only(pieces):
    assert pieces.decode(pieces.encode("the layer's weights, 24.")) == "the layer ' s weights, 24."


def test_the_gain_is_that_of_the_likelihood_by_definition():
    def log_likelihood(units):
        return sum(log(units.count(unit) / len(units)) for unit in units)

    before, after = list("abcababcc"), ["ab", "c", "ab", "ab", "c", "c"]
    gain = likelihood_gain(3, before.count("a"), before.count("b"), len(before))
    assert gain == pytest.approx(log_likelihood(after) - log_likelihood(before))
    gain = likelihood_gain(2, 5, None, 6)
    assert gain == pytest.approx(log_likelihood(["aa", "aa", "a", "b"]) - log_likelihood("aaaaab"))
    assert likelihood_gain(0, 3, 2, 9) == pytest.approx(0)


@pytest.mark.parametrize("counts", [(-1, 3, 3, 9), (4, 3, 5, 9), (2, 5, 5, 9), (2, 3, None, 9)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="counts do not fit"):
        likelihood_gain(*counts)


def test_bad_input_is_refused(pieces):
    with pytest.raises(TypeError, match="a list of texts, got one string"):
        WordPieces.train("one text", 300)
    for nothing in ([], [" \n"], ["\x00"]):
        with pytest.raises(ValueError, match="without text"):
            WordPieces.train(nothing, 300)
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        WordPieces.train(TEXTS, 300, min_count=0)
    with pytest.raises(TypeError, match=r"expected text \(str\), got NoneType"):
        pieces.encode(None)
    with pytest.raises(ValueError, match="valid Unicode, got"):
        split_words("\udfff")
    for i in (-1, 90):
        with pytest.raises(ValueError, match=r"must be in \[0, 90\), got"):
            pieces.decode([i])


def test_bad_vocabularies_are_refused():
    with pytest.raises(ValueError, match="distinct"):
        WordPieces([*SPECIAL_TOKENS, "a", "a"])
    with pytest.raises(ValueError, match="first tokens must be"):
        WordPieces(["a", "b"])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        WordPieces(SPECIAL_TOKENS, max_input_chars_per_word=0)
