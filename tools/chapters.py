"""Run the chapters: each once, through nbmake, and only when something it depends on has changed.

    python tools/chapters.py run [--force] [NAME ...] [--tests PATH] [--jobs N]
    python tools/chapters.py load
    python tools/chapters.py times

`run` executes the stale chapters, in one pytest session with the unit tests if `--tests` is given.
An executed chapter is kept as `build/executed/<name>.ipynb`; beside it, `<name>.json` records a
successful run: key, seconds, date, versions and claims. No record means stale, so a chapter that
failed fails again the next time. `load` hands the outputs to the site build, by way of the cache
where it looks for them. `times` prints how long each chapter took.
"""

import argparse
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from chapter import Chapter, find_chapters
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

from ptft.show.claims import ClaimError

NO_KERNEL = "Kernel died before replying to kernel_info"


class Stopwatch:
    """A pytest plugin that notes how long each notebook that passed took, in seconds.

    It also counts failures, and names the notebooks that failed because they never started.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failures = 0
        self.not_started: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a result; pytest calls this after each phase of each test."""
        path = Path(report.nodeid.partition("::")[0])
        if report.when == "call" and report.passed and path.suffix == ".ipynb":
            self.seconds[path.stem] = report.duration
        if report.failed:
            self.failures += 1
            if NO_KERNEL in str(report.longrepr):
                self.not_started.append(path.stem)


def run(chapters: list[Chapter], tests: str | None, jobs: int) -> int:
    """Execute the chapters, and the tests if given, in one pytest session; return its status."""
    if not chapters and tests is None:
        return 0
    keys = {chapter.name: chapter.stage() for chapter in chapters}
    stopwatch = Stopwatch()
    paths = [str(chapter.notebook) for chapter in chapters]
    if tests is not None:
        paths.insert(0, tests)
    options = ["--nbmake", "--overwrite", "-n", str(jobs), "--no-header", "-q"]
    status = int(pytest.main([*paths, *options], plugins=[stopwatch]))
    if stopwatch.not_started and stopwatch.failures == len(stopwatch.not_started):
        # Kernels that start at the same time sometimes pick the same port.
        print(f"once more, since their kernels did not start: {', '.join(stopwatch.not_started)}")
        again = [str(c.notebook) for c in chapters if c.name in stopwatch.not_started]
        status = int(pytest.main([*again, *options], plugins=[stopwatch]))
    for chapter in chapters:
        if chapter.name in stopwatch.seconds:
            try:
                chapter.accept(keys[chapter.name], stopwatch.seconds[chapter.name])
            except ClaimError as error:
                print(f"FAILED {chapter.docname}: {error}")
                status = 1
    return status


def load(chapters: list[Chapter], folder: Path) -> int:
    """Fill the cache in `folder`, from which the site build takes the outputs."""
    if stale := [chapter.docname for chapter in chapters if not chapter.up_to_date()]:
        print("not executed since it changed:", ", ".join(stale))
        return 1
    shutil.rmtree(folder, ignore_errors=True)  # nothing old stays in it
    cache = get_cache(folder)
    for chapter in chapters:
        nb = chapter.read()
        executed = nbformat.read(chapter.notebook, as_version=4)
        # Prose may have changed since; the code cells are the same, or the key would differ.
        for cell, done in zip(code_cells(nb), code_cells(executed), strict=True):
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        bundle = CacheBundleIn(nb, chapter.docname)
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return 0


def code_cells(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def print_times(chapters: list[Chapter]) -> int:
    """Print the seconds that each chapter took in its last successful run, and their sum."""
    seconds = {
        chapter.docname: record["seconds"] for chapter in chapters if (record := chapter.record())
    }
    for docname, value in [*seconds.items(), ("all chapters", sum(seconds.values()))]:
        print(f"{value:8.1f} s  {docname}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the chapters, each once.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="execute the chapters that are not up to date")
    run_parser.add_argument("names", nargs="*", metavar="NAME", help="only these chapters")
    run_parser.add_argument("--force", action="store_true", help="up to date or not")
    run_parser.add_argument("--tests", metavar="PATH", help="run these unit tests as well")
    run_parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    commands.add_parser("load", help="hand the outputs to the site build")
    commands.add_parser("times", help="print how long each chapter took")
    options = parser.parse_args(arguments)

    chapters = find_chapters(Path.cwd())
    if options.command == "load":
        return load(chapters, Path.cwd() / "_build" / ".jupyter_cache")
    if options.command == "times":
        return print_times(chapters)
    if unknown := set(options.names) - {chapter.name for chapter in chapters}:
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}")
    chosen = [c for c in chapters if not options.names or c.name in options.names]
    stale = [c for c in chosen if options.force or not c.up_to_date()]
    print(f"chapters: {len(chosen) - len(stale)} up to date, {len(stale)} to run")
    return run(stale, options.tests, options.jobs)


if __name__ == "__main__":
    sys.exit(main())
