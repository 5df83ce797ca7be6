"""show_source: the package's own text, with its place, as a block that a page can colour."""

from pathlib import Path
from typing import Any

import pytest

from ptft.core import atomic_write
from ptft.show import source as module
from ptft.show.claims import Claim, Claims
from ptft.show.source import show_source, without_docstrings

ROOT = Path(module.__file__).parents[2]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    bundles: list[dict[str, str]] = []

    def display(bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        bundles.append(bundle)

    monkeypatch.setattr(module, "display", display)
    return bundles


def code(bundle: dict[str, str]) -> str:
    return bundle["text/markdown"].split("````python\n")[1].removesuffix("\n````\n")


def test_the_stated_lines_of_the_stated_file_are_shown(shown: list[dict[str, str]]) -> None:
    show_source(Claim)
    where = shown[0]["text/markdown"].splitlines()[0]
    path, first, last = where.replace(", lines ", " ").replace(" to ", " ").split()
    lines = (ROOT / path).read_text("utf-8").splitlines()[int(first) - 1 : int(last)]
    assert path == "ptft/show/claims.py"
    assert code(shown[0]).splitlines() == lines
    assert lines[0] == "@dataclass(frozen=True)"
    assert shown[0]["text/plain"] == f"# {where}\n{code(shown[0])}"


def test_a_method_is_shown_without_its_indentation(shown: list[dict[str, str]]) -> None:
    show_source(Claims.table)
    assert code(shown[0]).startswith("def table(self) -> None:\n    ")


def test_a_decorated_function_is_shown_itself(shown: list[dict[str, str]]) -> None:
    show_source(atomic_write, docstring=False)
    text = code(shown[0])
    assert text.startswith("@contextmanager\ndef atomic_write(")
    assert '"""' not in text
    compile(text, "shown", "exec")


def test_docstrings_are_dropped_and_nothing_else() -> None:
    full = (
        "class A:\n"
        '    """Doc.\n'
        "\n"
        "    More.\n"
        '    """\n'
        "\n"
        "    x: int = 1\n"
        "\n"
        "    def f(self):\n"
        '        """Doc."""\n'
        '        return """kept"""\n'
        "\n"
        "    def g(self):\n"
        '        """Only a docstring."""\n'
    )
    assert without_docstrings(full) == (
        "class A:\n"
        "    x: int = 1\n"
        "\n"
        "    def f(self):\n"
        '        return """kept"""\n'
        "\n"
        "    def g(self):\n"
        "        ..."
    )


@pytest.mark.parametrize("obj", [3, "Claims", module, len])
def test_only_classes_and_functions_have_a_source(obj: Any) -> None:
    with pytest.raises(TypeError, match="must be a class or function"):
        show_source(obj)


@pytest.mark.parametrize("obj", [Path, code])
def test_only_the_packages_code_is_shown(obj: Any) -> None:
    with pytest.raises(ValueError, match="must be defined in ptft"):
        show_source(obj)
