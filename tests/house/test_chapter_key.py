"""The key of a chapter changes with what its outputs depend on, and with nothing else."""

from pathlib import Path

import nbformat
import pytest
from chapter_key import chapter_key, depended_modules
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FILES = {
    "constraints.txt": "numpy==2.0\n",
    "ptft/__init__.py": "",
    "ptft/alone.py": "",
    "ptft/core/__init__.py": "from ptft.core.files import save",
    "ptft/core/files.py": "def save(): pass",
    "ptft/models/__init__.py": "",
    "ptft/models/bert.py": "def build():\n    from ptft.core import save",
    "ptft/pretrained/small/config.json": "{}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def notebook(
    code: str = "from ptft.models import bert", **metadata: object
) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell("Prose."), new_code_cell(code, metadata=metadata)])


def names(code: str, root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in depended_modules(code, root / "ptft")]


def test_imports_are_followed_through_packages_and_functions(root: Path) -> None:
    assert names("from ptft.models.bert import build", root) == [
        "ptft/__init__.py",
        "ptft/core/__init__.py",
        "ptft/core/files.py",
        "ptft/models/__init__.py",
        "ptft/models/bert.py",
    ]
    assert names("import ptft.alone as a", root) == ["ptft/__init__.py", "ptft/alone.py"]
    assert names("import numpy", root) == []


@pytest.mark.parametrize("code", ["run(['python', '-m', 'ptft', 'generate'])", "not Python at all"])
def test_everything_counts_where_imports_say_too_little(root: Path, code: str) -> None:
    assert len(names(code, root)) == 6


@pytest.mark.parametrize("name", ["ptft/models/bert.py", "ptft/core/files.py"])
def test_key_changes_with_an_imported_module(root: Path, name: str) -> None:
    before = chapter_key(notebook(), root)
    (root / name).write_text(FILES[name] + "\n# edited", "utf-8")
    assert chapter_key(notebook(), root) != before


def test_key_changes_with_a_data_file(root: Path) -> None:
    before = chapter_key(notebook(), root)
    (root / "ptft/pretrained/small/config.json").write_text('{"n": 1}', "utf-8")
    assert chapter_key(notebook(), root) != before


def test_key_changes_with_a_version(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = chapter_key(notebook(), root)
    other = tmp_path_factory.mktemp("other") / "checkout"
    root.rename(other)  # versions are read once for each checkout
    (other / "constraints.txt").write_text("torch==2.0\n", "utf-8")
    assert chapter_key(notebook(), other) != before


def test_key_changes_with_code_and_with_tags_that_matter(root: Path) -> None:
    before = chapter_key(notebook(), root)
    assert chapter_key(notebook("import ptft.models.bert"), root) != before
    assert chapter_key(notebook(tags=["skip-execution"]), root) != before


def test_key_ignores_prose_looks_and_other_modules(root: Path) -> None:
    before = chapter_key(notebook(), root)
    changed = notebook(tags=["hide-input"], mystnb={"image": {"alt": "A line"}})
    changed.cells[0].source = "Other prose."
    (root / "ptft/alone.py").write_text("# edited", "utf-8")
    assert chapter_key(changed, root) == before


def test_magics_do_not_hide_imports(root: Path) -> None:
    before = chapter_key(notebook("%matplotlib inline\nimport ptft.alone"), root)
    (root / "ptft/models/bert.py").write_text("# edited", "utf-8")
    assert chapter_key(notebook("%matplotlib inline\nimport ptft.alone"), root) == before
