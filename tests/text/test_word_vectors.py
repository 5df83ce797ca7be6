from pathlib import Path

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from ptft.core import DataError
from ptft.core.compute import generator
from ptft.text.word_vectors import WordVectors

TINY = WordVectors(
    ["king", "queen", "man", "woman", "nothing"],
    torch.tensor([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0, 0, 0]]),
)


def random_vectors(n=60, size=8, seed=0):
    return WordVectors([f"w{i}" for i in range(n)], torch.randn(n, size, generator=generator(seed)))


def as_gensim(vectors):
    result = KeyedVectors(vectors.matrix.shape[1])
    result.add_vectors(list(vectors.words), vectors.matrix.numpy())
    return result


def test_look_up():
    assert len(TINY) == 5 and "king" in TINY and "King" not in TINY
    assert TINY.ids["man"] == 2
    assert TINY["queen"].tolist() == [0, 2, 2]
    assert repr(TINY) == "WordVectors(5 words, 3 dimensions)"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_matrix_is_a_copy(dtype):
    matrix = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    vectors = WordVectors(["a", "b"], matrix)
    with torch.no_grad():
        matrix.zero_()
    assert torch.equal(vectors.matrix, torch.ones(2, 3))
    assert not vectors.matrix.requires_grad


def test_unit_rows_and_zero_rows():
    assert TINY.unit().norm(dim=1).tolist() == pytest.approx([1, 1, 1, 1, 0])
    assert TINY.similarity("king", "queen") == pytest.approx(0.5)
    assert TINY.similarity("king", "nothing") == 0


def test_neighbours():
    assert [word for word, _ in TINY.neighbours("king", 2)] == ["man", "queen"]
    assert len(TINY.neighbours("king", 10)) == 4  # all but itself
    nearest, cosine = TINY.neighbours(torch.tensor([0.0, 5.0, 0.0]), 1)[0]
    assert (nearest, cosine) == ("woman", pytest.approx(1))
    assert TINY.neighbours(TINY["king"], 1)[0][0] == "king"  # a vector leaves no word out


def test_neighbours_and_analogies_equal_gensim():
    vectors = random_vectors()
    theirs = as_gensim(vectors)
    for ours, expected in [
        (vectors.neighbours("w3", 9), theirs.most_similar("w3", topn=9)),
        (
            vectors.analogy("w1", "w2", "w3", n=9),
            theirs.most_similar(positive=["w2", "w3"], negative=["w1"], topn=9),
        ),
    ]:
        assert [word for word, _ in ours] == [word for word, _ in expected]
        assert [x for _, x in ours] == pytest.approx([x for _, x in expected], abs=1e-6)


def test_analogy_leaves_its_words_out():
    assert TINY.analogy("man", "king", "woman") == [("queen", pytest.approx(0.98, abs=0.03))]
    assert {word for word, _ in TINY.analogy("man", "man", "king", 9)} == {
        "queen", "woman", "nothing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TINY["King"], KeyError, "no vector for 'King': try 'king'"),
        (lambda: TINY["tulip"], KeyError, "no vector for 'tulip': too rare"),
        (lambda: TINY.similarity("king", "tulip"), KeyError, "no vector for 'tulip'"),
        (lambda: TINY.neighbours("tulip"), KeyError, "no vector for 'tulip'"),
        (lambda: TINY.analogy("man", "king", "tulip"), KeyError, "no vector for 'tulip'"),
        (lambda: TINY.neighbours("king", 0), ValueError, "n must be at least 1, got 0"),
        (lambda: TINY.neighbours(torch.ones(4)), ValueError, r"shape \(3,\), got \(4,\)"),
        (lambda: WordVectors(["a"], torch.ones(2, 3)), ValueError, r"V = 1 .*got \(2, 3\)"),
        (lambda: WordVectors(["a"], torch.ones(1)), ValueError, r"got \(1,\)"),
        (lambda: WordVectors([], torch.ones(0, 3)), ValueError, "V > 0"),
        (lambda: WordVectors(["a", "a"], torch.ones(2, 3)), ValueError, "distinct"),
        (lambda: WordVectors(["a"], torch.tensor([[torch.nan]])), ValueError, "finite"),
        (lambda: WordVectors(["a"], np.ones((1, 3))), TypeError, "torch.Tensor, got ndarray"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def extreme_vectors():
    """Float32 of all magnitudes, the largest, the smallest and -0."""
    bits = torch.randint(0, 2**31 - 1, (40, 25), generator=generator(1), dtype=torch.int32)
    matrix = bits.view(torch.float32).clone()
    matrix[~matrix.isfinite()] = 0.1
    matrix[0, :4] = torch.tensor([3.4028235e38, 1e-45, -0.0, -1.1754944e-38])
    return WordVectors([f"ü{i}" for i in range(40)], matrix)


def same_bits(a, b):
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def test_a_saved_file_comes_back_bit_for_bit(tmp_path):
    vectors = extreme_vectors()
    vectors.save(tmp_path / "vectors.txt")
    again = WordVectors.load(tmp_path / "vectors.txt")
    assert again.words == vectors.words
    assert same_bits(again.matrix, vectors.matrix)


def test_gensim_opens_ours_and_we_open_theirs(tmp_path):
    vectors = extreme_vectors()
    vectors.save(tmp_path / "ours.txt")
    theirs = KeyedVectors.load_word2vec_format(tmp_path / "ours.txt")
    assert tuple(theirs.index_to_key) == vectors.words
    assert same_bits(torch.from_numpy(theirs.vectors), vectors.matrix)
    theirs.save_word2vec_format(tmp_path / "theirs.txt", binary=False)
    again = WordVectors.load(tmp_path / "theirs.txt")
    assert again.words == vectors.words
    assert same_bits(again.matrix, vectors.matrix)


def test_a_published_file_of_glove_has_no_header():
    path = datapath("test_glove.txt")
    vectors = WordVectors.load(path)
    rows = [line.split(" ") for line in Path(path).read_text("utf-8").split("\n") if line]
    assert len(vectors) > 50 and vectors.matrix.shape[1] == 50
    assert list(vectors.words) == [row[0] for row in rows]
    assert np.array_equal(vectors.matrix, np.array([row[1:] for row in rows], np.float32))


def load(tmp_path, content):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return WordVectors.load(path)


@pytest.mark.parametrize(
    "content",
    [
        "a 1 2\n. . . 3 4\na 5 6\n\u2028 7 8\n",
        "4 2\na 1 2 \n. . . 3 4 \na 5 6 \n\u2028 7 8 \n",  # the C program ends lines with a space
        "4 2\r\na 1 2\r\n. . . 3 4\r\na 5 6\r\n\u2028 7 8",
    ],
)
def test_odd_words_and_line_ends(tmp_path, content):
    vectors = load(tmp_path, content)
    assert vectors.words == ("a", ". . .", "\u2028")  # the first vector of "a" stays
    assert vectors.matrix.tolist() == [[1, 2], [3, 4], [7, 8]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no vectors"),
        ("0 2\n", "has no vectors"),
        ("3 2\na 1 2\nb 3 4\n", "the header says 3 words, got 2"),
        ("1 2\na 1 2\nb 3 4\n", "the header says 1 words, got 2"),
        ("2 3\na 1 2\nb 3 4\n", "line 2: expected a word and 3 numbers, got 3 fields"),
        ("2 0\na\nb\n", "line 1: expected a word and its numbers"),
        ("a\nb\n", "line 1: expected a word and its numbers"),
        ("a 1 2\nb 3\n", "line 2: expected a word and 2 numbers, got 2 fields"),
        ("a 1 2\nb 3 4 5\n", "line 2: expected a word and 2 numbers, got more numbers"),
        ("a 1 2\n\nb 3 4\n", "line 2: expected a word and 2 numbers, got 1 fields"),
        ("a 1 2\nb 3 x\n", "line 2: could not convert"),
        ("a 1 2\nb 3 nan\n", "line 2 has a number that is not finite"),
        ("a 1 2\nb 3 -inf\n", "line 2 has a number that is not finite"),
        ("a 1 2\nb 3 1e39\n", "line 2 has a number that is not finite"),
        (b"2 2\n\xff\xfe 1 2\nb 3 4\n", "line 2 is not UTF-8"),
        (b"2 2\na \x00\x00\x80\x3f\x00\x00\x80\x3f\nb \x00\x01\x02\x03", "vectors.txt, line 2"),
    ],
)
def test_corrupt_file(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, content)


def test_binary_file_of_gensim_and_missing_file(tmp_path):
    as_gensim(random_vectors()).save_word2vec_format(tmp_path / "vectors.bin", binary=True)
    with pytest.raises(DataError, match=r"vectors\.bin, line 2"):
        WordVectors.load(tmp_path / "vectors.bin")
    with pytest.raises(DataError, match="is missing"):
        WordVectors.load(tmp_path / "none.txt")


@pytest.mark.parametrize("word", ["", "two words", "tab\t", "line\n"])
def test_words_that_the_format_cannot_hold(tmp_path, word):
    with pytest.raises(ValueError, match="empty or have spaces"):
        WordVectors([word], torch.ones(1, 2)).save(tmp_path / "vectors.txt")
    assert list(tmp_path.iterdir()) == []
