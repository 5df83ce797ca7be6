"""From end to end: what must stop `make book` does, and does so again the second time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bs4 import BeautifulSoup
from small_book import ROOT

Edit = Callable[[str, str, str], None]


def make_book(root: Path) -> subprocess.CompletedProcess[str]:
    """Run `make book` in the small book with this environment, without installing anything."""
    stamp = f"{sys.prefix}/.installed"
    return subprocess.run(
        ["make", "-o", stamp, f"VENV={sys.prefix}", "book"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_REPOSITORY": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def fails_twice(root: Path, *messages: str) -> None:
    for _ in range(2):
        result = make_book(root)
        assert result.returncode != 0, result.stdout
        for message in messages:
            assert message in result.stdout


def test_the_book(small_book: Path, edit: Edit) -> None:
    """A book is built, then fails for a warning, then for a failing cell and a false claim."""
    built = make_book(small_book)
    assert built.returncode == 0, built.stdout
    assert "2 passed" in built.stdout
    assert "0 problems" in built.stdout
    assert f"The site is at {small_book}/_build/html" in built.stdout
    check_pages(small_book / "_build" / "html" / "book")

    edit("book/second.md", "See ", "See {ref}`nothing-here` ")
    fails_twice(small_book, "2 up to date, 0 to run", "undefined label: 'nothing-here'")

    edit("book/second.md", "print('an output')", "1 / 0")
    edit("book/first.md", "high=3", "high=1")
    fails_twice(
        small_book,
        "0 up to date, 2 to run",
        "ZeroDivisionError",
        "sum: measured 2.0, claimed at most 1.0",
    )


def check_pages(folder: Path) -> None:
    """Look at the pages of the small book: outputs, times, claims and the notebook to download."""
    pages = {
        path.stem: BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in folder.glob("*.html")
    }
    assert "an output" in pages["second"].select_one(".cell_output").text
    assert "This page ran in" in pages["second"].text
    assert "One and one is two" in pages["claims"].select_one("table").text
    assert "Second chapter" in pages["index"].select_one("table").text
    assert pages["first"].find("a", href="../notebooks/first.ipynb")
    assert (folder.parent / "notebooks" / "first.ipynb").is_file()
    assert not pages["first"].find("a", href=lambda url: url and "github.com/" in url)
