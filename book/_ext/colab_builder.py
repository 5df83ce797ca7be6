"""Sphinx builder `colab`: one clean Jupyter notebook for each page that has code.

The prose comes from the resolved doctree, the code verbatim from the source, so that a notebook
holds every cell (those that the site hides are folded) and no MyST. Run it with

    jupyter-book build . --builder custom --custom-builder colab -W -n --keep-going
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from pathlib import Path
from typing import Any

import nbformat
from colab_cells import Cells
from colab_markdown import MarkdownRenderer
from docutils import nodes
from myst_nb.core.read import create_nb_reader
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from repository import NOTEBOOK_DIR, find_repository, notebook_path
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)

# A directive, a role, a target or a cell break. A fence of ours never has a brace.
MYST = re.compile(r"^[> ]*(?:`{3,}\{|:{3,}|\+\+\+|\([\w-]+\)=)|\{[\w:-]+\}\\?`", re.MULTILINE)

INSTALL = """\
#@title Set-up: installs the course package on Colab, does nothing elsewhere
import sys

if "google.colab" in sys.modules:
    %pip install -q "{requirement}"
"""
EXPLAIN = """\
#@title Set-up: says how to install the course package where it is missing
from importlib.util import find_spec

if find_spec("ptft") is None:
    raise ModuleNotFoundError(
        "This notebook needs the course package. Put a checkout of the course beside it "
        "(on Colab: upload it as a .zip in the Files panel, then unzip it), "
        "and run: %pip install ./<folder of the checkout>"
    )
"""
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"


class ColabBuilder(Builder):
    """Writes the clean notebooks to `notebooks/` at the root of the book."""

    name = "colab"
    format = "colab"
    epilog = f"The notebooks are in {NOTEBOOK_DIR}/."
    allow_parallel = False

    def init(self) -> None:
        """Find the addresses that the notebooks point to."""
        self.repository = find_repository(Path(self.srcdir))
        self.site = self.config.html_baseurl.rstrip("/")
        self.written: set[Path] = set()

    def get_outdated_docs(self) -> set[str]:
        """Return every page: what is wrong with one must be said at every run."""
        return self.env.found_docs

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        """Return a page of the site; without a site the notebook next door, if it has one."""
        if self.site:
            return f"{self.site}/{docname}.html"
        return Path(notebook_path(docname)).name if self.has_code(docname) else ""

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        """Return where a notebook finds a page."""
        return "" if from_ == to else self.get_target_uri(to)

    def image_url(self, uri: str) -> str:
        """Return the image's address on the site; without a site, the image itself."""
        if uri not in self.env.images:  # lies elsewhere
            return uri
        if self.site:
            return f"{self.site}/_images/{self.env.images[uri][1]}"
        # Colab shows no attachments of cells, but data in the address.
        data = base64.b64encode((Path(self.srcdir) / uri).read_bytes()).decode()
        return f"data:{mimetypes.guess_type(uri)[0]};base64,{data}"

    def has_code(self, docname: str) -> bool:
        """Tell whether a page becomes a notebook."""
        return "kernelspec" in self.env.metadata.get(docname, {})

    def prepare_writing(self, docnames: set[str]) -> None:
        """Do nothing: no page needs another."""

    def write_doc(self, docname: str, doctree: nodes.document) -> None:
        """Write the notebook of one page."""
        if not self.has_code(docname):
            return
        cells = Cells(self.read_code(docname), MarkdownRenderer(docname, self.env, self))
        cells.walk(doctree)
        cells.finish()
        notebook = new_notebook(
            cells=[*self.preamble(docname), *cells.done], metadata=self.metadata(docname)
        )
        self.check(docname, notebook)
        path = Path(self.srcdir) / notebook_path(docname)
        path.parent.mkdir(exist_ok=True)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        self.written.add(path)

    def read_code(self, docname: str) -> dict[int, nbformat.NotebookNode]:
        """Return the code cells of a page's source by the index that they have in its doctree."""
        path = self.env.doc2path(docname)
        text = Path(path).read_text(encoding="utf-8")
        config = self.env.myst_config, self.env.mystnb_config  # type: ignore[attr-defined]
        cells = create_nb_reader(path, *config, text).read(text).cells
        return {index: cell for index, cell in enumerate(cells) if cell.cell_type == "code"}

    def preamble(self, docname: str) -> list[nbformat.NotebookNode]:
        """Return the cells before the page: where it comes from, and the set-up."""
        if not self.repository:
            return [
                new_code_cell(EXPLAIN.strip(), metadata={"cellView": "form", "tags": ["setup"]})
            ]
        badge = f"[![Open in Colab]({COLAB_BADGE})]({self.repository.colab_url(docname)})"
        site = f"[Read this page on the site]({self.get_target_uri(docname)})"
        install = INSTALL.format(requirement=self.repository.requirement).strip()
        return [
            new_markdown_cell(f"{badge} · {site}"),
            new_code_cell(install, metadata={"cellView": "form", "tags": ["setup"]}),
        ]

    def metadata(self, docname: str) -> dict[str, Any]:
        """Return the notebook's metadata; `colab_gpu: true` in the page asks for a GPU."""
        gpu = self.env.metadata[docname].get("colab_gpu")
        return {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "colab": {"provenance": [], "toc_visible": True} | ({"gpuType": "T4"} if gpu else {}),
        } | ({"accelerator": "GPU"} if gpu else {})

    def check(self, docname: str, notebook: nbformat.NotebookNode) -> None:
        """Give the cells stable ids and warn of what a reader should not meet."""
        seen: dict[str, int] = {}
        for cell in notebook.cells:
            seen[cell.source] = seen.get(cell.source, 0) + 1
            content = f"{cell.cell_type} {seen[cell.source]} {cell.source}"
            cell["id"] = hashlib.sha256(content.encode()).hexdigest()[:12]
            problem = ""
            if cell.cell_type == "markdown" and (match := MYST.search(cell.source)):
                problem = f"MyST is left: {match.group()!r}"
            elif "skip-execution" in cell.metadata.get("tags", []) and (
                "cuda.is_available()" not in cell.source
            ):  # Colab and Jupyter run a cell whatever its tags
                problem = "a cell tagged skip-execution does not ask torch.cuda.is_available()"
            if problem:
                logger.warning("colab: %s in %r", problem, docname, type="colab")
        nbformat.validate(notebook)

    def finish(self) -> None:
        """Remove the notebooks of pages that are gone."""
        for path in (Path(self.srcdir) / NOTEBOOK_DIR).glob("*.ipynb"):
            if path not in self.written:
                path.unlink()


def set_mime_priorities(app: Sphinx, config: Config) -> None:
    """Let outputs resolve for this builder: only the captions of their figures are used."""
    config.nb_mime_priority_overrides = [
        *config.nb_mime_priority_overrides,
        ["colab", "image/png", 1],
        ["colab", "text/html", 2],
        ["colab", "text/plain", 3],
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the builder."""
    app.add_builder(ColabBuilder)
    app.connect("config-inited", set_mime_priorities)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
