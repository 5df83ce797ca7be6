"""Show the package's own code on a page, so that a chapter never pastes a copy of it."""

import ast
import inspect
import textwrap
from pathlib import Path

from IPython.display import display

_ROOT = Path(__file__).parents[2]


def show_source(obj: object, *, docstring: bool = True) -> None:
    """Show the source of a class or function of `ptft`, with its file and lines.

    The output is a Markdown code block: the page's own theme colours it, in the light and in the
    dark, and a notebook viewer colours it in its own way.

    Args:
        obj: The class, function or method.
        docstring: False leaves the docstrings out.

    Raises:
        TypeError: If `obj` is not a class or function.
        ValueError: If `obj` is not defined in `ptft`.
    """
    function = obj.__func__ if inspect.ismethod(obj) else obj
    target = inspect.unwrap(function) if callable(function) else function
    if not (inspect.isclass(target) or inspect.isfunction(target)):
        raise TypeError(f"obj must be a class or function, got {obj!r} ({type(obj).__name__})")
    if target.__module__.partition(".")[0] != "ptft":
        raise ValueError(
            f"obj must be defined in ptft, but {target.__qualname__} is in {target.__module__}"
        )
    lines, first = inspect.getsourcelines(target)
    path = Path(inspect.getfile(target)).relative_to(_ROOT).as_posix()
    source = textwrap.dedent("".join(lines)).rstrip()
    if not docstring:
        source = without_docstrings(source)
    where = f"{path}, lines {first} to {first + len(lines) - 1}"
    # Four backquotes, because a docstring may hold a block of three.
    markdown = f"{where}\n\n````python\n{source}\n````\n"
    display({"text/markdown": markdown, "text/plain": f"# {where}\n{source}"}, raw=True)


def without_docstrings(source: str) -> str:
    """Return Python source without the docstrings of its classes and functions.

    Each docstring must stand on lines of its own, as a formatter leaves it. A body that was only a
    docstring becomes `...`.
    """
    lines: list[str | None] = list(source.splitlines())
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node) is None:
            continue
        text = node.body[0]
        start, stop = text.lineno - 1, text.end_lineno or text.lineno
        if len(node.body) == 1:
            lines[start] = " " * text.col_offset + "..."
            start += 1
        elif lines[stop] == "":
            stop += 1
        lines[start:stop] = [None] * (stop - start)
    return "\n".join(line for line in lines if line is not None)
