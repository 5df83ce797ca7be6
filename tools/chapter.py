"""A chapter: a page of the book that has code, its executed notebook and the record of its run."""

import json
import os
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml
from chapter_key import chapter_key
from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode

from ptft.core import atomic_write
from ptft.show.claims import ClaimError, check_notebook_claims

CELL_TIMEOUT = 600  # seconds; front matter may say otherwise: mystnb: {execution_timeout: 900}
REPORTED_VERSIONS = ("torch", "transformers", "numpy")


@dataclass(frozen=True)
class Chapter:
    """A page of the book that has code.

    Attributes:
        root: The folder of the checkout.
        docname: The page as `_toc.yml` names it, such as `book/why_pretrain`.
    """

    root: Path
    docname: str

    @property
    def name(self) -> str:
        """The page's name without its folder, as its claims know it."""
        return Path(self.docname).name

    @property
    def notebook(self) -> Path:
        """Where the executed notebook is kept; nbmake ignores paths with `_build` in them."""
        return self.root / "build" / "executed" / f"{self.name}.ipynb"

    @property
    def record_path(self) -> Path:
        """Where the record of the last successful run is kept."""
        return self.notebook.with_suffix(".json")

    def read(self) -> NotebookNode:
        """Read the source exactly as myst-nb does, since its cache compares what was read."""
        path = self.root / f"{self.docname}.md"
        text = path.read_text("utf-8")
        reader = create_nb_reader(str(path), MdParserConfig(), NbParserConfig(), text)
        if reader is None:
            raise ValueError(f"{path} has a kernelspec but is not a MyST notebook")
        nb: NotebookNode = reader.read(text)
        return nb

    def record(self) -> dict[str, Any] | None:
        """Return the record of the last successful run, or None if there was none."""
        if not (self.record_path.is_file() and self.notebook.is_file()):
            return None
        record: dict[str, Any] = json.loads(self.record_path.read_text("utf-8"))
        return record

    def up_to_date(self) -> bool:
        """Whether the last successful run is still valid."""
        record = self.record()
        return record is not None and record["key"] == chapter_key(self.read(), self.root)

    def stage(self) -> str:
        """Write the notebook without outputs, forget the last run, and return the chapter's key."""
        nb = self.read()
        key = chapter_key(nb, self.root)
        timeout = nb.metadata.get("mystnb", {}).get("execution_timeout", CELL_TIMEOUT)
        nb.metadata["execution"] = {"timeout": timeout}
        self.record_path.unlink(missing_ok=True)
        self.notebook.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, self.notebook)
        return key

    def accept(self, key: str, seconds: float) -> None:
        """Record a successful run.

        Args:
            key: The chapter's key when it was staged; its source may have changed since.
            seconds: How long the run took.

        Raises:
            ClaimError: If the notebook left its claims unreported, or reported another page's.
        """
        claims = check_notebook_claims(nbformat.read(self.notebook, as_version=4))
        if claims and claims["chapter"] != self.name:
            raise ClaimError(f"{self.docname} reports the claims of {claims['chapter']!r}")
        record = {
            "key": key,
            "seconds": round(seconds, 1),
            "date": date.today().isoformat(),
            "cpus": os.cpu_count(),
            "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
            "versions": {
                "Python": platform.python_version(),
                **{name: version(name) for name in REPORTED_VERSIONS},
            },
            "claims": claims["claims"] if claims else None,
        }
        with atomic_write(self.record_path, "w") as file:
            json.dump(record, file, indent=1, ensure_ascii=False)


def toc_pages(root: Path) -> list[str]:
    """Return the pages of `_toc.yml` in their order."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, list):
            return [page for item in entry for page in pages(item)]
        if isinstance(entry, dict):
            own = [entry[key] for key in ("root", "file") if key in entry]
            return own + [page for value in entry.values() for page in pages(value)]
        return []

    return pages(yaml.safe_load((root / "_toc.yml").read_text("utf-8")))


def find_chapters(root: Path) -> list[Chapter]:
    """Return the pages of the book that have code, in the book's order.

    Raises:
        FileNotFoundError: If `_toc.yml` names a page that does not exist.
    """
    found = []
    for docname in toc_pages(root):
        path = root / f"{docname}.md"
        if not path.is_file():
            raise FileNotFoundError(f"_toc.yml names {docname}, but there is no {path}")
        text = path.read_text("utf-8")
        front_matter = text[4:].partition("\n---")[0] if text.startswith("---\n") else ""
        if "kernelspec:" in front_matter.splitlines():
            found.append(Chapter(root, docname))
    return found
