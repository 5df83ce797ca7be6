import tracemalloc

import numpy as np
import pytest

from ptft.core import DataError
from ptft.text import encoded
from ptft.text.encoded import EncodedCorpus
from ptft.text.words import Vocabulary

VOCABULARY = Vocabulary(("a", "b", "c"), (3, 2, 1))
SENTENCES = [["a", "b"], ["c"], ["x", "c", "a"], ["y"], [], ["b", "b", "z", "a"]]
TOKENS, SENTENCE = [0, 1, 2, 0, 1, 1, 0], [0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("block", [1, 3, 1 << 16])
def test_ids_and_sentence_numbers(tmp_path, monkeypatch, on_disk, block):
    monkeypatch.setattr(encoded, "_BLOCK", block)
    path = tmp_path / "corpus.npy" if on_disk else None
    corpus = EncodedCorpus.build(iter(SENTENCES), VOCABULARY, path)
    for column, expected in ((corpus.tokens, TOKENS), (corpus.sentence, SENTENCE)):
        assert column.dtype == np.int32
        assert column.tolist() == expected
        assert isinstance(column, np.memmap) == on_disk
        assert column.flags.writeable != on_disk
    assert len(corpus) == 7
    if path:
        assert EncodedCorpus.open(path).tokens.tolist() == TOKENS
        assert np.load(path).shape == (7, 2)  # any NumPy reads it


def long_corpus(sentences):
    for i in range(sentences):
        yield [f"w{(i + j) % 50}" for j in range(10)]


def test_ten_times_the_corpus_takes_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "_BLOCK", 1024)
    vocabulary = Vocabulary.build(long_corpus(50), 1)

    def peak(sentences):
        tracemalloc.start()
        try:
            corpus = EncodedCorpus.build(long_corpus(sentences), vocabulary, tmp_path / "c")
            for start in range(0, len(corpus), 1024):
                np.array(corpus.tokens[start : start + 1024])
            assert len(corpus) == 10 * sentences
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(600)  # what the first call imports does not count
    assert peak(6_000) < 1.5 * peak(600)
    assert peak(6_000) < 8 * 10 * 6_000  # less than the corpus itself


def test_a_crash_leaves_what_was_there(tmp_path):
    def crashing():
        yield ["a", "b"]
        raise RuntimeError("power cut")

    path = tmp_path / "corpus.npy"
    with pytest.raises(RuntimeError, match="power cut"):
        EncodedCorpus.build(crashing(), VOCABULARY, path)
    assert list(tmp_path.iterdir()) == []
    EncodedCorpus.build(SENTENCES, VOCABULARY, path)
    with pytest.raises(RuntimeError, match="power cut"):
        EncodedCorpus.build(crashing(), VOCABULARY, path)
    assert EncodedCorpus.open(path).tokens.tolist() == TOKENS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("sentences", "error", "message"),
    [
        ("a b", TypeError, "sentences must be lists of words, got a string"),
        (["a b"], TypeError, "a sentence must be a list of words, got the string 'a b'"),
        ([], ValueError, "no sentence has two known words"),
        ([["a"], ["x", "b"]], ValueError, "no sentence has two known words"),
    ],
)
@pytest.mark.parametrize("on_disk", [False, True])
def test_bad_sentences(tmp_path, sentences, error, message, on_disk):
    with pytest.raises(error, match=message):
        EncodedCorpus.build(sentences, VOCABULARY, tmp_path / "corpus" if on_disk else None)
    assert list(tmp_path.iterdir()) == []


def damaged(path, change):
    content = bytearray(path.read_bytes())
    start = len(content) - 7 * 8  # of the rows
    rows = np.frombuffer(content, np.int32, offset=start).reshape(-1, 2)
    match change:
        case "token":
            rows[3, 0] = -1
        case "step":
            rows[3:, 1] += 2
        case "order":
            rows[-1, 1] = 0
        case "first":
            rows[:, 1] += 1
    del rows
    return bytes(content)


@pytest.mark.parametrize("block", [2, 1 << 16])
@pytest.mark.parametrize("change", ["token", "step", "order", "first"])
def test_changed_rows(tmp_path, monkeypatch, change, block):
    path = tmp_path / "corpus"
    EncodedCorpus.build(SENTENCES, VOCABULARY, path)
    path.write_bytes(damaged(path, change))
    monkeypatch.setattr(encoded, "_BLOCK", block)
    with pytest.raises(DataError, match="corpus is corrupt near token"):
        EncodedCorpus.open(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-1], "is truncated or no encoded corpus"),
        (lambda b: b[:100], "is truncated or no encoded corpus"),
        (lambda b: b"", "is truncated or no encoded corpus"),
        (lambda b: b"PK" + b[2:], "is truncated or no encoded corpus"),
        (lambda b: b + b"x", "has bytes after its 7 tokens"),
        (lambda b: b.replace(b"(7, 2)", b"(14,) "), r"expected int32 of shape \(N, 2\)"),
        (lambda b: b.replace(b"<i4", b"<f4"), r"expected int32 of shape \(N, 2\)"),
        (lambda b: b.replace(b"(7, 2)", b"(0, 2)"), "no encoded corpus"),
    ],
)
def test_damaged_file(tmp_path, damage, message):
    path = tmp_path / "corpus"
    EncodedCorpus.build(SENTENCES, VOCABULARY, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        EncodedCorpus.open(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="is missing"):
        EncodedCorpus.open(tmp_path / "corpus")


@pytest.mark.parametrize(
    ("tokens", "sentence", "message"),
    [
        (np.zeros(3, np.int64), np.zeros(3, np.int32), r"tokens must be int32 .*got int64 \(3,\)"),
        (np.zeros(3, np.int32), np.zeros((3, 1), np.int32), r"sentence must be .*\(3, 1\)"),
        (np.zeros(3, np.int32), np.zeros(2, np.int32), "3 tokens, but 2 sentence numbers"),
        (np.zeros(0, np.int32), np.zeros(0, np.int32), "N > 0"),
    ],
)
def test_bad_arrays(tokens, sentence, message):
    with pytest.raises(ValueError, match=message):
        EncodedCorpus(tokens, sentence)
