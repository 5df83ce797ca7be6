import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptft.data.words import words


def test_words():
    assert words("It's 3 o'clock: a BERT-like model.") == [
        "it's", "o'clock", "a", "bert", "like", "model",
    ]  # fmt: skip
    assert words("'quoted' dogs' don't''s x_1 naïve") == [
        "quoted", "dogs", "don't", "s", "x", "na", "ve",
    ]  # fmt: skip
    assert words("rock'n'roll") == ["rock'n", "roll"]
    assert words("1984 ... 日本") == []


@given(st.text())
def test_words_are_what_the_rule_says_and_stay_themselves(text):
    result = words(text)
    assert words(" ".join(result)) == result
    for word in result:
        head, _, tail = word.partition("'")
        assert set(head + tail) <= set("abcdefghijklmnopqrstuvwxyz") and head
        assert ("'" in word) == bool(tail)


@pytest.mark.parametrize("text", [b"bytes", None, ["a", "list"]])
def test_not_a_string(text):
    with pytest.raises(TypeError, match="text must be a string, got"):
        words(text)
