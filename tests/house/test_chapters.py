"""Chapters run once, and fail until they are right."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from chapter import Chapter, find_chapters, toc_pages
from chapters import NO_KERNEL, Stopwatch, load, main
from chapters import run as run_chapters
from jupyter_cache import get_cache
from nbformat.v4 import new_output
from small_book import chapter_source, claims_cell

from ptft.show.claims import ClaimError

Edit = Callable[[str, str, str], None]


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `tools/chapters.py` in the small book."""
    command = [sys.executable, "tools/chapters.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def pretend_run(chapter: Chapter, seconds: float = 1.5) -> None:
    """Do what a run does, with an output that no kernel made."""
    key = chapter.stage()
    nb = nbformat.read(chapter.notebook, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [new_output("stream", text="pretended")]
            cell.execution_count = 1
    nbformat.write(nb, chapter.notebook)
    chapter.accept(key, seconds)


def second(root: Path) -> Chapter:
    return Chapter(root, "book/second")


def test_chapters_are_the_pages_with_code_in_the_order_of_the_book(small_book: Path) -> None:
    names = ["index", "first", "second", "claims", "references"]
    assert toc_pages(small_book) == [f"book/{name}" for name in names]
    assert [chapter.name for chapter in find_chapters(small_book)] == ["first", "second"]


def test_a_missing_page_is_an_error(small_book: Path) -> None:
    (small_book / "book/second.md").unlink()
    with pytest.raises(FileNotFoundError, match="names book/second"):
        find_chapters(small_book)


def test_a_good_run_is_recorded_and_not_repeated(small_book: Path, edit: Edit) -> None:
    chapter = second(small_book)
    assert not chapter.up_to_date()
    pretend_run(chapter)
    assert chapter.up_to_date()
    record = chapter.record()
    assert record is not None
    assert record["seconds"] == 1.5
    assert record["claims"] is None
    edit("book/second.md", "See ", "More prose: see ")
    assert chapter.up_to_date()
    edit("book/second.md", "an output", "another output")
    assert not chapter.up_to_date()


def test_an_edit_while_a_chapter_runs_is_not_lost(small_book: Path, edit: Edit) -> None:
    chapter = second(small_book)
    key = chapter.stage()
    edit("book/second.md", "an output", "another output")
    chapter.accept(key, 1.0)
    assert not chapter.up_to_date()


def test_an_interrupted_run_leaves_no_record(small_book: Path) -> None:
    chapter = second(small_book)
    pretend_run(chapter)
    chapter.stage()  # and then the power fails
    assert chapter.record() is None


def test_a_chapter_may_ask_for_more_time(small_book: Path, edit: Edit) -> None:
    chapter = second(small_book)
    chapter.stage()
    assert nbformat.read(chapter.notebook, 4).metadata["execution"]["timeout"] == 600
    edit("book/second.md", "kernelspec:", "mystnb:\n  execution_timeout: 900\nkernelspec:")
    chapter.stage()
    assert nbformat.read(chapter.notebook, 4).metadata["execution"]["timeout"] == 900


def test_unreported_claims_are_refused(small_book: Path, edit: Edit) -> None:
    edit("book/first.md", "claims.table()", "")
    with pytest.raises(ClaimError, match="unreported"):
        pretend_run(Chapter(small_book, "book/first"))
    assert not Chapter(small_book, "book/first").up_to_date()


def test_loaded_outputs_are_found_by_the_site_build(small_book: Path, edit: Edit) -> None:
    chapter = second(small_book)
    pretend_run(chapter)
    edit("book/second.md", "# Second chapter", "# New title\n\n## And one more section")
    folder = small_book / "cache"
    assert load([chapter], folder) == 0
    _, merged = get_cache(folder).merge_match_into_notebook(chapter.read())
    assert [cell.outputs[0].text for cell in merged.cells if cell.cell_type == "code"] == [
        "pretended"
    ]


def test_a_stale_chapter_is_not_loaded(
    small_book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_run(second(small_book))
    assert load(find_chapters(small_book), small_book / "cache") == 1
    assert capsys.readouterr().out == "not executed since it changed: book/first\n"


def test_failures_fail_again_and_good_chapters_are_kept(
    small_book: Path,
    edit: Edit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One run for each: a failing cell and a claim left unreported, beside a good chapter."""
    edit("book/second.md", "print('an output')", "1 / 0")
    edit("_toc.yml", "book/second", "book/second\n      - file: book/third")
    unreported = chapter_source("Third", claims_cell("third").replace("claims.table()", ""))
    (small_book / "book/third.md").write_text(unreported, "utf-8")

    first_time = run(small_book, "run")
    assert first_time.returncode != 0
    assert "0 up to date, 3 to run" in first_time.stdout
    assert "ZeroDivisionError" in first_time.stdout
    assert "FAILED book/third" in first_time.stdout
    assert "left unreported" in first_time.stdout
    assert "1 failed, 2 passed" in first_time.stdout

    second_time = run(small_book, "run", "second", "third")
    assert second_time.returncode != 0
    assert "0 up to date, 2 to run" in second_time.stdout

    monkeypatch.chdir(small_book)
    assert main(["run", "first"]) == 0
    assert main(["times"]) == 0
    output = capsys.readouterr().out
    assert "1 up to date, 0 to run" in output
    assert "book/first" in output


@pytest.mark.parametrize(("error", "status"), [(NO_KERNEL, 0), ("NameError: x", 1)])
def test_a_kernel_that_did_not_start_is_started_again(
    small_book: Path, monkeypatch: pytest.MonkeyPatch, error: str, status: int
) -> None:
    """As happens when two kernels pick one port; any other failure stands."""
    answers = [("failed", error), ("passed", "")]

    def session(arguments: list[str], plugins: list[Stopwatch]) -> int:
        outcome, longrepr = answers.pop(0)
        report = pytest.TestReport(
            f"{arguments[0]}::x", ("", 0, ""), {}, outcome, longrepr or None, "call", duration=2.0
        )
        plugins[0].pytest_runtest_logreport(report)
        return int(outcome == "failed")

    monkeypatch.setattr(pytest, "main", session)
    monkeypatch.setattr(Chapter, "accept", lambda self, key, seconds: None)
    assert run_chapters([second(small_book)], None, 1) == status
    assert len(answers) == status


def test_an_unknown_chapter_is_an_error(
    small_book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small_book)
    with pytest.raises(SystemExit):
        main(["run", "nowhere"])
    assert "no such chapter: nowhere" in capsys.readouterr().err
