"""A checkout with the real build and a book of two tiny chapters, to try the build on."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FRONT_MATTER = """\
---
jupytext:
  formats: md:myst
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Chapters
    chapters:
      - file: book/first
      - file: book/second
  - caption: Appendices
    chapters:
      - file: book/claims
      - file: book/references
"""
PAGES = {
    "index": "# Book\n\n```{chapter-times}\n```\n",
    "claims": "# Claims\n\n```{claims-table}\n```\n",
    "references": "# References\n\n```{bibliography}\n```\n",
}
BIBLIOGRAPHY = (
    "@book{someone2020, author={Some One}, title={A title}, year={2020}, publisher={X}}\n"
)


def chapter_source(title: str, *cells: str) -> str:
    """Return a chapter with these code cells under a title, a run time and a citation."""
    code = "\n".join(f"```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)
    intro = f"# {title}\n\n```{{run-time}}\n```\n\nSee {{cite:p}}`someone2020`.\n\n"
    return FRONT_MATTER + intro + code


def claims_cell(chapter: str, high: int = 3) -> str:
    """Return a cell with a claim that holds if `high` is at least 2."""
    return (
        "from ptft.show.claims import Claims\n"
        f'claims = Claims("{chapter}")\n'
        f'claims.record("sum", "One and one is two", measured=1 + 1, high={high}, limit="2")\n'
        "claims.table()"
    )


def write_small_book(root: Path) -> None:
    """Write the checkout to the empty folder `root`."""
    for name in ("Makefile", "_config.yml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("tools", "book/_ext", "book/_static"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    (root / "_toc.yml").write_text(TOC, "utf-8")
    book = root / "book"
    for name, text in PAGES.items():
        (book / f"{name}.md").write_text(text, "utf-8")
    (book / "references.bib").write_text(BIBLIOGRAPHY, "utf-8")
    first = chapter_source("First chapter", claims_cell("first"))
    second = chapter_source("Second chapter", "print('an output')")
    (book / "first.md").write_text(first, "utf-8")
    (book / "second.md").write_text(second, "utf-8")
