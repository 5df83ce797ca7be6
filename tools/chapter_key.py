"""When does a chapter have to run again? When its key changes.

The key of a chapter is a hash of everything that its outputs can depend on: its code, the parts of
`ptft` that the code imports (and what these import), the data files that ship with the project, and
the versions of Python and of every pinned library. Prose is not part of it.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

# The tags of a cell that change what runs; the others change only how it is shown.
EXECUTION_TAGS = {"skip-execution", "raises-exception"}


def chapter_key(nb: NotebookNode, root: Path) -> str:
    """Return the key of a chapter.

    Args:
        nb: The chapter, without outputs.
        root: The folder of the checkout.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)

    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    for cell in cells:
        add(cell.source, *sorted(EXECUTION_TAGS & set(cell.metadata.get("tags", []))))
    code = TransformerManager().transform_cell("\n".join(cell.source for cell in cells))
    for path in [*depended_modules(code, root / "ptft"), *_data_files(root)]:
        add(path.relative_to(root).as_posix(), path.read_bytes())
    add(*_versions(root / "constraints.txt"))
    return digest.hexdigest()


def depended_modules(code: str, package: Path) -> list[Path]:
    """Return the files of a package that a piece of code imports, directly or not, sorted.

    Imports are followed wherever they stand, in functions too. All files are returned for code that
    cannot be parsed or that runs the package as a program (`python -m ptft`).

    Args:
        code: Python source.
        package: The package's folder; its name is the name of the package.
    """
    try:
        names = _imports(code)
    except SyntaxError:
        names = None
    if names is None or re.search(rf"-m\W+{package.name}\b", code):
        return sorted(package.rglob("*.py"))
    found: set[Path] = set()
    waiting = _files(names, package)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _files(_imports(path.read_text("utf-8")), package)
    return sorted(found)


def _imports(code: str) -> set[str]:
    """Return the dotted names that the code imports; `from a import b` counts as `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(names: Iterable[str], package: Path) -> set[Path]:
    """Return the files that importing these names runs: the module, and each package above it."""
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            base = package.parent.joinpath(*parts[:depth])
            files |= {base / "__init__.py", base.with_name(base.name + ".py")}
    return {file for file in files if file.is_relative_to(package) and file.is_file()}


def _data_files(root: Path) -> list[Path]:
    """Return the data files of the project: few and small, so every chapter depends on all."""
    files = [*(root / "ptft").rglob("*"), *(root / "book" / "data").rglob("*")]
    skipped = {".py", ".pyc"}
    return sorted(file for file in files if file.is_file() and file.suffix not in skipped)


@cache
def _versions(constraints: Path) -> list[str]:
    """Return the versions of Python and of each pinned library, as installed here."""
    found = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    for name in re.findall(r"^([\w.-]+)==", constraints.read_text("utf-8"), re.MULTILINE):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return found
