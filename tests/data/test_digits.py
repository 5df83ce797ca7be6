import gzip
import struct
from collections import Counter

import numpy as np
import pytest

from ptft.core import DataError
from ptft.data import digits as module
from ptft.data.digits import Digits, load_digits_split, load_mnist, load_printed_digits


def test_digits_are_split_and_deterministic():
    split = load_digits_split()
    assert sum(len(part.labels) for part in split.values()) == 1_797
    keys = Counter(image.tobytes() for part in split.values() for image in part.images)
    assert max(keys.values()) == 1  # no image twice, in one split or in two
    train = split["train"]
    assert train.images.shape == (1_078, 8, 8)
    assert train.images.dtype == np.float32 and train.labels.dtype == np.int64
    assert (train.images.min(), train.images.max()) == (0, 1)
    assert set(train.labels) == set(range(10))
    again, other = load_digits_split(0)["train"], load_digits_split(1)["train"]
    assert np.array_equal(train.images, again.images)
    assert not np.array_equal(train.images, other.images)


def test_printed_digits_are_deterministic_and_of_all_classes():
    split = load_printed_digits(120, 30, 40, seed=3)
    assert [len(part) for part in split.values()] == [120, 30, 40]
    train = split["train"]
    assert train.images.shape == (120, 28, 28) and train.images.dtype == np.float32
    assert 0 <= train.images.min() < 0.01 and 0.9 < train.images.max() <= 1
    assert set(train.labels) == set(range(10))
    assert (train.images.reshape(120, -1).sum(1) > 20).all()  # no digit has left its image
    again = load_printed_digits(120, 30, 40, seed=3)["test"]
    assert np.array_equal(split["test"].images, again.images)
    other = load_printed_digits(120, 30, 40)["train"]
    assert not np.array_equal(train.images, other.images)


def test_no_font_is_in_two_splits():
    fonts = {split: set(module._fonts(patterns)) for split, patterns in module.FONTS.items()}
    assert [len(paths) for paths in fonts.values()] == [12, 4, 5]
    assert not fonts["train"] & fonts["validation"] and not fonts["test"] & (
        fonts["train"] | fonts["validation"]
    )


def test_printed_digits_refuse_what_they_cannot_draw(monkeypatch):
    with pytest.raises(ValueError, match="at least 1 image"):
        load_printed_digits(test=0)
    monkeypatch.setitem(module.FONTS, "test", ("NoSuchFont*.ttf",))
    with pytest.raises(DataError, match=r"lacks the fonts NoSuchFont"):
        load_printed_digits(10, 10, 10)


def test_digits_check_their_shapes():
    images = np.zeros((3, 4, 5), np.float32)
    assert len(Digits(images, np.zeros(3, np.int64)).rows([0, 2])) == 2
    pixels, labels = Digits(images, np.zeros(3, np.int64)).tensors()
    assert pixels.shape == (3, 1, 4, 5) and labels.shape == (3,)
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        Digits(images[0], np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="a label for each of 3 images"):
        Digits(images, np.zeros(2, np.int64))


def idx(array: np.ndarray, lost: int = 0) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes()[lost:])


@pytest.fixture
def mnist(tmp_path):
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4) * 11
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.array([7, 2])))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.array([1])))  # of no image here
    return tmp_path


def test_mnist_is_read_as_it_was_written(mnist):
    digits = load_mnist(mnist)
    assert digits.labels.tolist() == [7, 2]
    np.testing.assert_allclose(digits.images[1, 2, 3], 23 * 11 / 255)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:-9]), "truncated"),
        (lambda f: f.write_bytes(gzip.compress(b"\0\0\x08\x03")), "no IDX file"),
        (lambda f: f.write_bytes(idx(np.zeros((3, 4, 5)))), "3 images, but 2 labels"),
        (lambda f: f.write_bytes(idx(np.zeros((2, 3, 4)), lost=1)), "should hold"),
        (lambda f: f.unlink(), r"no file \*-images"),
        (lambda f: (f.parent / "t10k-labels-idx1-ubyte.gz").unlink(), "is missing"),
    ],
)
def test_damaged_mnist_is_an_error(mnist, damage, message):
    damage(mnist / "t10k-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=message):
        load_mnist(mnist)
