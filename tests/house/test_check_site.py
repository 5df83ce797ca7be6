"""The checker of the site finds each thing that can be wrong with it."""

from pathlib import Path

import pytest
from check_site import main

PAGES = {
    "index": "# Book\n",
    "first": "---\nkernelspec:\n  name: python3\n---\n# First\n",
}
HTML = {
    "book/index": '<a href="first.html#here">First</a><a href="https://example.org">out</a>',
    "book/first": """
        <h2 id="here">Here</h2> <img src="../_static/a.png" alt="A line going up">
        <div class="cell"><div class="cell_output">2</div></div>""",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A checkout of two pages and its site, with nothing wrong."""
    (tmp_path / "book").mkdir()
    for name, text in PAGES.items():
        (tmp_path / f"book/{name}.md").write_text(text, "utf-8")
    toc = "format: jb-book\nroot: book/index\nchapters:\n- file: book/first\n"
    (tmp_path / "_toc.yml").write_text(toc, "utf-8")
    folder = tmp_path / "html"
    for name, body in HTML.items():
        path = folder / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"<html><head></head><body><article>{body}</article></body></html>", "utf-8"
        )
    (folder / "_static").mkdir()
    (folder / "_static/a.png").touch()
    return folder


def problems(site: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the checker prints, having seen that its status says the same."""
    status = main(site, site.parent)
    output = capsys.readouterr().out
    assert status == int("0 problems" not in output)
    return output


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_good_site_has_no_problems(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(site, capsys) == "2 pages checked, 0 problems\n"


def test_a_removed_page_is_missed_and_its_links_are_broken(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "book/first.html").unlink()
    output = problems(site, capsys)
    assert "book/first: page is missing" in output
    assert "book/index.html: broken link first.html#here" in output


def test_a_missing_image_is_found(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "_static/a.png").unlink()
    assert "book/first.html: broken link ../_static/a.png" in problems(site, capsys)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('id="here"', 'id="there"', "book/index.html: missing anchor first.html#here"),
        ('alt="A line going up"', "", "image without alternative text"),
        ('alt="A line going up"', 'alt=" "', "image without alternative text"),
        ("A line going up", "../_images/1f3a.png", "image without alternative text"),
        ("../_static/a.png", "https://example.org/a.png", "loads https://example.org/a.png"),
        ("<head>", "<head><script src='https://cdn.x/a.js'></script>", "loads https://cdn.x/a.js"),
        ("<head>", "<head><link rel='stylesheet' href='//cdn.x/a.css'>", "loads //cdn.x/a.css"),
        ("<head>", "<head><style>@import 'https://f.x/a.css';</style>", "loads https://f.x/a.css"),
        ("<head>", "<head><style>a {b: url(https://f.x/c)}</style>", "loads https://f.x/c"),
        ("<head>", "<head><script>import('https://x.y/z.mjs')</script>", "loads https://x.y/z.mjs"),
        ("cell_output", "cell_input", "book/first: no cell shows an output"),
        ("2</div>", "<div class='output traceback'>Error</div></div>", "a cell shows an error"),
    ],
)
def test_each_problem_is_found(
    site: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    replace(site / "book/first.html", old, new)
    assert problem in problems(site, capsys)


def test_a_deliberate_error_is_allowed(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = "cell tag_raises-exception"
    replace(site / "book/first.html", 'class="cell"', f'class="{shown}"')
    replace(site / "book/first.html", "2</div>", "<div class='output traceback'>Error</div></div>")
    assert "0 problems" in problems(site, capsys)
