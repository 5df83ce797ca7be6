import tracemalloc

import numpy as np
import pytest
import torch

from ptft.core import DataError
from ptft.text import token_file
from ptft.text.token_file import open_tokens, overlapping_windows, write_tokens

DOCUMENTS = [[5, 6, 7], [], [8], [9, 5]]
TOKENS = [5, 6, 7, 8, 9, 5]


@pytest.mark.parametrize("block", [1, 4, 1 << 16])
def test_what_is_written_is_read(tmp_path, monkeypatch, block):
    monkeypatch.setattr(token_file, "_BLOCK", block)
    path = tmp_path / "tokens.npy"
    assert write_tokens(path, iter(DOCUMENTS), 10) == 6
    tokens = open_tokens(path, 10)
    assert tokens.dtype == torch.int32
    assert tokens.tolist() == TOKENS
    assert np.load(path).tolist() == TOKENS  # any NumPy reads it
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.npy"]


def test_tensors_and_arrays_are_documents_too(tmp_path):
    write_tokens(tmp_path / "t", [torch.tensor([5, 6]), np.array([7], np.uint8)], 10)
    assert open_tokens(tmp_path / "t", 10).tolist() == [5, 6, 7]


def test_writing_into_the_tensor_leaves_the_file(tmp_path):
    write_tokens(tmp_path / "t", DOCUMENTS, 10)
    tokens = open_tokens(tmp_path / "t", 10)
    tokens[0] = 3
    assert tokens[0] == 3
    assert open_tokens(tmp_path / "t", 10).tolist() == TOKENS


def test_ten_times_the_corpus_takes_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(token_file, "_BLOCK", 1024)

    def peak(documents):
        tracemalloc.start()
        try:
            n = write_tokens(tmp_path / "t", ([5, 6, 7] * 10 for _ in range(documents)), 10)
            windows = overlapping_windows(open_tokens(tmp_path / "t", 10), 64)
            assert (n, len(windows)) == (30 * documents, (n - 1) // 64)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(600)  # what the first call imports does not count
    assert peak(6_000) < 1.5 * peak(600)


@pytest.mark.parametrize("n", [7, 8, 9, 10, 11])
def test_each_token_but_the_first_is_a_target_once(n):
    tokens = torch.arange(n)
    windows = overlapping_windows(tokens, 3)
    targets = windows[:, 1:].flatten().tolist()
    assert targets == list(range(1, 1 + (n - 1) // 3 * 3))
    assert windows.untyped_storage().data_ptr() == tokens.untyped_storage().data_ptr()


@pytest.mark.parametrize("tokens", [torch.arange(3), torch.zeros(2, 9)])
def test_too_short_for_a_window(tokens):
    with pytest.raises(ValueError, match="one window needs 4 tokens in one row, got shape"):
        overlapping_windows(tokens, 3)
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        overlapping_windows(torch.arange(9), 0)


@pytest.mark.parametrize(
    ("documents", "error", "message"),
    [
        ([[5], [10]], ValueError, r"token ids must be in \[0, 10\), got 5 to 10"),
        ([[5], [-1]], ValueError, r"must be in \[0, 10\), got -1 to 5"),
        ([[], []], ValueError, "no token to write"),
        (["ab"], TypeError, "a document must be a sequence of token ids, got 'ab'"),
        ([5, 6], TypeError, "a document must be a sequence of token ids, got 5"),
        ([[0.5]], TypeError, "a document must be a sequence of token ids"),
    ],
)
def test_what_cannot_be_written(tmp_path, documents, error, message):
    with pytest.raises(error, match=message):
        write_tokens(tmp_path / "t", documents, 10)
    assert list(tmp_path.iterdir()) == []


def test_a_crash_leaves_what_was_there(tmp_path):
    write_tokens(tmp_path / "t", DOCUMENTS, 10)

    def crashing():
        yield [5]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_tokens(tmp_path / "t", crashing(), 10)
    assert open_tokens(tmp_path / "t", 10).tolist() == TOKENS


def test_files_that_are_no_token_file(tmp_path):
    path = tmp_path / "t"
    with pytest.raises(DataError, match="is missing"):
        open_tokens(path, 10)
    write_tokens(path, DOCUMENTS, 10)
    content = path.read_bytes()
    damaged = {
        b"": "truncated or no token file",
        content[:40]: "truncated or no token file",
        content[:-2]: "truncated or no token file",
        content + b"\0\0\0\0": "has bytes after its 6 tokens",
        b"some text, no array": "truncated or no token file",
    }
    for data, message in damaged.items():
        path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            open_tokens(path, 10)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, np.int64), "expected int32 of shape"),
        (np.zeros(3, np.float32), r"got float32 of shape \(3,\)"),
        (np.zeros((3, 2), np.int32), r"got int32 of shape \(3, 2\)"),
        (np.zeros(0, np.int32), r"got int32 of shape \(0,\)"),
        (np.array([5, 10], np.int32), "ids from 5 to 10 after token 0, but the vocabulary has 10"),
        (np.array([5, -1], np.int32), "ids from -1 to 5"),
        (np.array(["a"], object), "truncated or no token file"),
    ],
)
def test_arrays_that_are_no_tokens(tmp_path, array, message):
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(DataError, match=message):
        open_tokens(tmp_path / "t.npy", 10)
