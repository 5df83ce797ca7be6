"""The cells of one clean notebook: Markdown from the doctree, code from the page's source."""

from __future__ import annotations

from typing import Any

import nbformat
from colab_markdown import MarkdownRenderer, fold
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell

HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
KEPT = {"skip-execution", "raises-exception"}  # tags that mean something to a notebook runner


def is_code(node: nodes.Node) -> bool:
    """Tell whether a node is a code cell with its outputs."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


class Cells:
    """The cells of one notebook, in the making."""

    def __init__(self, sources: dict[int, nbformat.NotebookNode], markdown: MarkdownRenderer):
        self.done: list[nbformat.NotebookNode] = []
        self.sources = sources  # the code cells not written yet, by their index in the page
        self.markdown = markdown
        self.text: list[str] = []  # Markdown not written yet
        self.solution = ""  # title of the solution that we are in

    def walk(self, node: nodes.Node) -> None:
        """Add a node: Markdown gathers until a section starts or a code cell comes."""
        if isinstance(node, nodes.section):
            self.flush()
        if is_code(node):
            self.add_code(node["cell_index"])
            self.text.append(self.markdown.captions(node))
        elif not any(is_code(n) for n in node.findall()):
            self.text.append(self.markdown.render(node))
        elif isinstance(node, nodes.Admonition):  # an exercise or solution around code cells
            self.walk_admonition(node)
        else:
            for child in node.children:
                self.walk(child)

    def walk_admonition(self, node: nodes.Element) -> None:
        """Add an exercise, open, or a solution, folded."""
        is_solution = type(node).__name__ == "solution_node"
        if is_solution:
            self.flush()
            self.solution = " ".join(node[0].astext().split())
        else:
            self.text.append(f"**{self.markdown.title(node)}**")
        for child in node.children[1:]:
            self.walk(child)
        if is_solution:
            self.flush()
            self.solution = ""

    def flush(self) -> None:
        """Write the gathered Markdown."""
        text = "\n\n".join(t.strip() for t in self.text if t.strip())
        if text:
            self.done.append(
                new_markdown_cell(fold(self.solution, text) if self.solution else text)
            )
        self.text = []

    def add_code(self, last: int) -> None:
        """Write the code cells up to this index: the page does not show all of them."""
        self.flush()
        for index in sorted(i for i in self.sources if i <= last):
            cell = self.sources.pop(index)
            tags = set(cell.metadata.get("tags", []))
            metadata: dict[str, Any] = {"tags": sorted(tags & KEPT)} if tags & KEPT else {}
            source = cell.source
            if self.solution or tags & HIDDEN:
                title = self.solution or "Code"
                source = f"#@title {title} (click to show)\n{source}"
                metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
            self.done.append(new_code_cell(source, metadata=metadata))

    def finish(self) -> None:
        """Write what is left: the last text, and hidden cells after the last that is shown."""
        self.add_code(max(self.sources, default=-1))
