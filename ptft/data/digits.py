"""Images of digits: written by hand, printed in fonts that are on this disk, or MNIST by path."""

import gzip
import importlib.util
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ptft.core import DataError

Split = Literal["train", "validation", "test"]
_SMOOTH = Image.Resampling.BILINEAR

# The text fonts inside matplotlib, by split: no typeface is in two of them.
FONTS: dict[Split, tuple[str, ...]] = {
    "train": ("DejaVuSans.ttf", "DejaVuSans-*.ttf", "DejaVuSansMono*.ttf", "STIXGeneral*.ttf"),
    "validation": ("DejaVuSerif.ttf", "DejaVuSerif-*.ttf"),
    "test": ("cmr10.ttf", "cmb10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmti10.ttf"),
}


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Digits:
    """Grey images of digits.

    Attributes:
        images: (N, H, W), float32, from 0 (paper) to 1 (ink).
        labels: (N,), int64, from 0 to 9.

    Raises:
        ValueError: If the shapes are not these, or there is no image.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 3 or len(self.images) == 0:
            raise ValueError(f"images must be (N, H, W) with N > 0, got {self.images.shape}")
        if self.labels.shape != (len(self.images),):
            raise ValueError(
                f"expected a label for each of {len(self.images)} images, got {self.labels.shape}"
            )

    def __len__(self) -> int:
        """Return N."""
        return len(self.images)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return the images as a network takes them, (N, 1, H, W) float32, and the labels (N,)."""
        return torch.from_numpy(self.images)[:, None], torch.from_numpy(self.labels)

    def rows(self, rows: Sequence[int] | np.ndarray | slice) -> "Digits":
        """Return some of the images with their labels."""
        return Digits(self.images[rows], self.labels[rows])


def load_digits_split(seed: int = 0) -> dict[Split, Digits]:
    """Load scikit-learn's 1,797 handwritten digits of 8 by 8 pixels, split 60/20/20 at random.

    scikit-learn gives no writer with an image, so a writer can be in several splits.
    """
    from sklearn.datasets import load_digits  # slow to import, and needed here alone

    images, labels = load_digits(return_X_y=True)  # (N, 64) from 0 to 16, (N,)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)  # (N, 8, 8)
    whole = Digits(images, labels.astype(np.int64))
    order = list(range(len(whole)))
    random.Random(seed).shuffle(order)
    first, second = round(0.6 * len(order)), round(0.8 * len(order))
    return {
        "train": whole.rows(order[:first]),
        "validation": whole.rows(order[first:second]),
        "test": whole.rows(order[second:]),
    }


def load_printed_digits(
    train: int = 2000, validation: int = 500, test: int = 1000, seed: int = 0
) -> dict[Split, Digits]:
    """Draw digits of 28 by 28 pixels in the fonts inside matplotlib, each split in its own fonts.

    Size, place, angle and slant vary at random, so that no pixel gives a digit away. What the test
    split measures is reading in typefaces that were never seen (`FONTS`): DejaVu Sans and STIX are
    trained on, DejaVu Serif is for choosing, Computer Modern for the score.

    Args:
        train: Number of images to train on.
        validation: Number of images to choose by.
        test: Number of images to be scored on.
        seed: Decides all that varies.

    Raises:
        ValueError: If a number is below 1.
        DataError: If matplotlib or one of its fonts is missing.
    """
    sizes: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    if min(sizes.values()) < 1:
        raise ValueError(f"each split needs at least 1 image, got {sizes}")
    draws = np.random.default_rng(seed)
    return {split: _printed(n, _fonts(FONTS[split]), draws) for split, n in sizes.items()}


def load_mnist(folder: str | Path) -> Digits:
    """Load every MNIST image in a folder, in the files' order: `*-images-idx3-ubyte.gz`.

    MNIST does not come with the course (LeCun et al. 1998; the files' format is on its page). An
    image file without its labels is an error, labels without images are left alone.

    Returns:
        Images of 28 by 28 pixels.

    Raises:
        DataError: If there is no image file, or a file is missing, truncated or not in the format.
    """
    files = sorted(Path(folder).glob("*-images-idx3-ubyte.gz"))
    if not files:
        raise DataError(f"{folder} has no file *-images-idx3-ubyte.gz: give the folder of MNIST")
    images, labels = [], []
    for file in files:
        of_labels = file.with_name(file.name.replace("images-idx3", "labels-idx1"))
        images.append(_idx(file, ndim=3))
        labels.append(_idx(of_labels, ndim=1))
        if len(images[-1]) != len(labels[-1]):
            raise DataError(f"{file} has {len(images[-1])} images, but {len(labels[-1])} labels")
    pixels = np.concatenate(images).astype(np.float32) / 255
    return Digits(pixels, np.concatenate(labels).astype(np.int64))


def _idx(path: Path, ndim: int) -> np.ndarray:
    """Read a compressed file of bytes in `ndim` dimensions."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is truncated or no gzip file: {error}") from None
    header = 4 + 4 * ndim
    if len(content) < header or content[:4] != bytes([0, 0, 8, ndim]):
        raise DataError(f"{path} is no IDX file of bytes in {ndim} dimensions")
    shape = struct.unpack(f">{ndim}I", content[4:header])
    if len(content) - header != np.prod(shape):
        raise DataError(f"{path} should hold {shape}, has {len(content) - header} bytes")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _fonts(patterns: Sequence[str]) -> list[Path]:
    spec = importlib.util.find_spec("matplotlib")  # found, not imported
    if spec is None or spec.origin is None:
        raise DataError("matplotlib is not installed: it ships the fonts (pip install matplotlib)")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    found = {pattern: sorted(folder.glob(pattern)) for pattern in patterns}
    if missing := [pattern for pattern, paths in found.items() if not paths]:
        raise DataError(f"{folder} lacks the fonts {', '.join(missing)}: install matplotlib again")
    return [path for paths in found.values() for path in paths]


def _printed(n: int, fonts: Sequence[Path], draws: np.random.Generator) -> Digits:
    faces = [[ImageFont.truetype(str(path), size) for size in (40, 46, 52)] for path in fonts]
    labels = draws.integers(10, size=n)
    images = np.empty((n, 28, 28), np.float32)
    for i, label in enumerate(labels):
        face = faces[draws.integers(len(faces))][draws.integers(3)]
        images[i] = _drawn(str(label), face, draws)
    return Digits(images, labels.astype(np.int64))


def _drawn(text: str, face: ImageFont.FreeTypeFont, draws: np.random.Generator) -> np.ndarray:
    """Draw a text in the middle of 64 by 64 pixels, slant, turn and move it, and shrink it."""
    side = 64
    canvas = Image.new("L", (side, side))
    left, top, right, bottom = ImageDraw.Draw(canvas).textbbox((0, 0), text, font=face)
    corner = ((side - left - right) / 2, (side - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(corner, text, font=face, fill=255)
    slant = draws.normal(0, 0.12)
    affine = (1, slant, -slant * side / 2, 0, 1, 0)
    canvas = canvas.transform((side, side), Image.Transform.AFFINE, affine, _SMOOTH)
    shift = (int(draws.integers(-4, 5)), int(draws.integers(-4, 5)))
    canvas = canvas.rotate(draws.normal(0, 8), _SMOOTH, translate=shift)  # degrees
    small = canvas.resize((28, 28), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / 255
