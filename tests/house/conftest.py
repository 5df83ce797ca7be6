"""What the tests of the house share: where its modules are, and a small book to try them on."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_book import ROOT, write_small_book

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "book" / "_ext"), str(ROOT / "benchmarks")]


@pytest.fixture
def small_book(tmp_path: Path) -> Path:
    """A checkout with the real build and a book of two tiny chapters."""
    write_small_book(tmp_path)
    return tmp_path


@pytest.fixture
def edit(small_book: Path) -> Callable[[str, str, str], None]:
    """A function that replaces a text in a file of the small book."""

    def replace(name: str, old: str, new: str) -> None:
        path = small_book / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return replace
