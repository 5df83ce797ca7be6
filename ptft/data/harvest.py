"""Read docstrings out of the source files of installed libraries; nothing is imported.

Run as a program, this module is its own worker. It needs nothing but the standard library, so that
a worker starts at once.
"""

import ast
import gc
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ptft.data.prose import Block, prose_blocks

# Tests, copies of other projects, and numpy.distutils, which exists on some Python versions only.
_SKIPPED_FOLDERS = (
    *("tests", "test", "testing", "benchmarks", "examples", "distutils", "__pycache__"),
    *("_vendor", "_vendored", "vendor", "third_party", "externals", "_external"),
    *("array_api_compat", "array_api_extra"),
)
# transformers writes its modeling files from modular_*.py, docstrings included.
_SKIPPED_PREFIXES = ("test_", "conftest", "modular_")
_SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FILES_PER_PART = 400  # about three seconds of work for one process
_ATTACHED_LENGTH = 200  # characters; shorter strings at the top level are rarely docstrings


class SourceFile(NamedTuple):
    """A Python source file of an installed library."""

    library: str
    module: str  # dotted, with the library
    path: str


def library_files(library: str) -> list[SourceFile]:
    """List the source files of an installed library, in a fixed order.

    Raises:
        ValueError: If there is no such library.
    """
    spec = importlib.util.find_spec(library) if library.isidentifier() else None
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        raise ValueError(f"library {library!r} is not installed")
    if not spec.submodule_search_locations:
        return [SourceFile(library, library, str(spec.origin))]
    root = Path(next(iter(spec.submodule_search_locations)))
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]
        for name in names:
            if name.endswith(".py") and not name.startswith(_SKIPPED_PREFIXES):
                path = Path(folder, name)
                parts = (library, *path.relative_to(root).with_suffix("").parts)
                files.append(SourceFile(library, ".".join(parts), str(path)))
    return sorted(files)


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, docstring) of a scope and of the scopes in it, in source order."""
    if isinstance(node, (ast.Module, *_SCOPES)) and (text := ast.get_docstring(node, clean=False)):
        yield name, text
    for field in ("body", "handlers", "orelse"):
        for child in getattr(node, field, ()):
            if isinstance(child, _SCOPES):
                yield from _docstrings(child, f"{name}.{child.name}".lstrip("."))
            elif isinstance(child, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                yield from _docstrings(child, name)


def _attached_docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield texts of top-level statements like `add_docstr(torch.abs, ...)` or `_doc = ...`."""
    for statement in tree.body[1:]:  # the first one is the module's docstring or an import
        if isinstance(statement, ast.Expr | ast.Assign):
            for node in ast.walk(statement.value):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and len(text) >= _ATTACHED_LENGTH and "\n" in text:
                    yield "", text


def harvest_file(path: str) -> list[tuple[str, list[Block]]]:
    """Return (qualified name, blocks) of every docstring in a file that has prose."""
    source = Path(path).read_bytes()
    if b'"""' not in source and b"'''" not in source:
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a template, or Python that this version does not know
        return []
    texts = (*_docstrings(tree, ""), *_attached_docstrings(tree))
    found = ((name, prose_blocks(text)) for name, text in texts)
    return [(name, blocks) for name, blocks in found if blocks]


def harvest(files: list[SourceFile], workers: int) -> Iterator[tuple[SourceFile, str, list[Block]]]:
    """Yield (file, qualified name, blocks) of every docstring with prose, in the order of `files`.

    The workers are plain `python -m` processes rather than `multiprocessing`, which would run the
    caller's script once more in each of them, and fails where there is no script.

    Raises:
        subprocess.CalledProcessError: If a worker fails; its traceback is on the standard error.
    """
    parts = [files[i : i + _FILES_PER_PART] for i in range(0, len(files), _FILES_PER_PART)]
    with ThreadPoolExecutor(workers) as pool:
        for part, output in zip(parts, pool.map(_run_worker, parts), strict=True):
            for line in output.splitlines():
                index, name, blocks = json.loads(line)
                yield part[index], name, [Block.from_json(block) for block in blocks]


def _run_worker(files: list[SourceFile]) -> bytes:
    command = [sys.executable, "-m", "ptft.data.harvest"]
    paths = json.dumps([file.path for file in files]).encode()
    return subprocess.run(command, input=paths, stdout=subprocess.PIPE, check=True).stdout


def main() -> None:
    """Read a JSON list of paths; write one JSON line (index, name, blocks) for each docstring."""
    warnings.simplefilter("ignore")  # other people's invalid escape sequences
    gc.disable()  # the millions of nodes are in no cycle: this halves the time
    for index, path in enumerate(json.load(sys.stdin)):
        for name, blocks in harvest_file(path):
            print(json.dumps([index, name, blocks]))


if __name__ == "__main__":
    main()
