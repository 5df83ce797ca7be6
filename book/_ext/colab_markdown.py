"""Resolved doctree -> the Markdown that Jupyter and Colab show.

The doctree is resolved by Sphinx first, so numbers, citations and cross references are the site's.
A node without a rule is a warning, which fails the build: nothing is dropped in silence.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Protocol

from docutils import nodes
from sphinx.environment import BuildEnvironment
from sphinx.locale import admonitionlabels
from sphinx.util import logging

logger = logging.getLogger(__name__)

# What Markdown would read as markup: these characters anywhere, `_` only at the edge of a word.
MARKUP = re.compile(r"[\\`*$<]|(?<!\w)_|_(?!\w)")
LANGUAGES = {"ipython3": "python", "default": "", "none": ""}


class Images(Protocol):
    """Knows the address at which a notebook finds an image of the book."""

    def image_url(self, uri: str) -> str:
        """Return the address of the image with this path in the book."""


def quote(text: str) -> str:
    """Make a Markdown block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def fold(title: str, text: str) -> str:
    """Hide Markdown behind a title; the blank lines let it be read as Markdown in the HTML."""
    return f"<details>\n<summary><b>{html.escape(title)}</b></summary>\n\n{text}\n\n</details>"


class MarkdownRenderer:
    """Renders the nodes of one page.

    A method `render_X` is the rule for nodes of class X and of its subclasses without their own.
    """

    def __init__(self, docname: str, env: BuildEnvironment, images: Images) -> None:
        self.docname = docname
        self.env = env
        self.images = images

    def render(self, node: nodes.Node) -> str:
        """Return the Markdown of one node."""
        for cls in type(node).__mro__:
            if rule := getattr(self, f"render_{cls.__name__}", None):
                return rule(node)
        name = type(node).__name__
        logger.warning("colab: no rule for the node %s", name, location=node, type="colab")
        return self.blocks(node.children)

    def inline(self, node: nodes.Element) -> str:
        """Return the children of a node that holds text."""
        return "".join(self.render(child) for child in node.children)

    def blocks(self, children: Iterable[nodes.Node]) -> str:
        """Return nodes that stand below one another."""
        return "\n\n".join(text for child in children if (text := self.render(child).strip()))

    def number(self, kind: str, node: nodes.Element) -> str:
        """Return the number that the site shows for a figure, table, equation or exercise."""
        numbers = self.env.toc_fignumbers.get(self.docname, {}).get(kind, {})
        return ".".join(map(str, numbers.get((node["ids"] or [""])[0], ())))

    def numbered(self, kind: str, node: nodes.Element) -> str:
        """Return the site's name of a numbered node ("Fig. 1.2"), or "" where it has no number."""
        number = self.number(kind, node)
        return self.env.config.numfig_format[kind] % number if number else ""

    def title(self, node: nodes.Element) -> str:
        """Return the title of an admonition, exercise or solution, as Markdown."""
        kind = type(node).__name__
        if not isinstance(node[0], nodes.title):
            return str(admonitionlabels[kind])
        text = " ".join(self.inline(node[0]).split())
        if kind == "exercise_enumerable_node":  # the HTML writer adds this number, too
            return f"{self.numbered('exercise', node)} {text}".strip()
        return text

    # Text -------------------------------------------------------------------------------------

    def render_Text(self, node: nodes.Text) -> str:
        return MARKUP.sub(r"\\\g<0>", node.astext())

    def render_Inline(self, node: nodes.Element) -> str:
        return self.inline(node)

    def render_Invisible(self, node: nodes.Element) -> str:
        return ""

    def render_strong(self, node: nodes.Element) -> str:
        return f"**{self.inline(node)}**"

    def render_emphasis(self, node: nodes.Element) -> str:
        return f"*{self.inline(node)}*"

    def render_literal(self, node: nodes.Element) -> str:
        text = node.astext()
        return f"`` {text} ``" if "`" in text else f"`{text}`"

    def render_math(self, node: nodes.Element) -> str:
        tex = " ".join(node.astext().split())
        if in_table(node):  # a bar would end the cell
            tex = tex.replace(r"\|", r"\Vert ").replace("|", r"\vert ").strip()
        return f"${tex}$"

    def render_reference(self, node: nodes.Element) -> str:
        text, uri = self.inline(node), node.get("refuri", "")
        if not uri or uri.startswith("#"):  # a place on this page: Colab has no stable anchors
            return text
        return f"<{uri}>" if node.astext() == uri else f"[{text}]({uri})"

    def render_image(self, node: nodes.Element) -> str:
        alt = MARKUP.sub(r"\\\g<0>", node.get("alt", ""))
        return f"![{alt}]({self.images.image_url(node['uri'])})"

    def render_raw(self, node: nodes.Element) -> str:
        text = node.astext()  # scripts: sphinx-thebe adds its own to every page
        return text if node["format"] == "html" and "<script" not in text else ""

    # Blocks -----------------------------------------------------------------------------------

    def render_section(self, node: nodes.Element) -> str:
        return self.blocks(node.children)

    render_compound = render_section

    def render_container(self, node: nodes.Element) -> str:
        if node.get("design_component") == "dropdown" and isinstance(node[0], nodes.rubric):
            return fold(node[0].astext(), self.blocks(node[1:]))
        return self.blocks(node.children)

    def render_paragraph(self, node: nodes.Element) -> str:
        return self.inline(node)

    render_caption = render_paragraph

    def render_title(self, node: nodes.Element) -> str:
        section = node.parent
        level, ancestor = 0, section
        while isinstance(ancestor, nodes.section):
            level, ancestor = level + 1, ancestor.parent
        numbers = self.env.toc_secnumbers.get(self.docname, {})
        number = numbers.get("" if level == 1 else f"#{section['ids'][0]}") or ()
        return f"{'#' * level} {''.join(f'{n}.' for n in number)} {self.inline(node)}".replace(
            "  ", " "
        )

    def render_rubric(self, node: nodes.Element) -> str:
        return f"**{self.inline(node)}**"

    def render_transition(self, node: nodes.Element) -> str:
        return "---"

    def render_literal_block(self, node: nodes.Element) -> str:
        language = node.get("language", "")
        return f"```{LANGUAGES.get(language, language)}\n{node.astext().rstrip()}\n```"

    def render_math_block(self, node: nodes.Element) -> str:
        # One line, because Jupyter would read the ">" of a quoted line as part of the equation.
        tex = " ".join(node.astext().split())
        if node["nowrap"]:  # brings its own environment
            return tex
        if r"\\" in tex:
            tex = rf"\begin{{aligned}} {tex} \end{{aligned}}"
        number = self.number("displaymath", node)
        return f"$$ {tex} \\tag{{{number}}} $$" if number else f"$$ {tex} $$"

    def render_bullet_list(self, node: nodes.Element) -> str:
        return self.list_items(node, ["- "] * len(node))

    def render_enumerated_list(self, node: nodes.Element) -> str:
        start = node.get("start", 1)
        return self.list_items(node, [f"{start + i}. " for i in range(len(node))])

    def list_items(self, node: nodes.Element, markers: list[str]) -> str:
        """Return list items, their further lines indented under the first."""
        items = []
        for marker, item in zip(markers, node.children, strict=True):
            indent = " " * len(marker)
            items.append(marker + self.blocks(item.children).replace("\n", f"\n{indent}"))
        return re.sub(r"[ ]+$", "", "\n".join(items), flags=re.MULTILINE)

    def render_definition_list(self, node: nodes.Element) -> str:
        return self.blocks(node.children)

    def render_definition_list_item(self, node: nodes.Element) -> str:
        term, *definitions = node.children
        return f"**{self.inline(term)}**: " + self.blocks(c for d in definitions for c in d)

    def render_block_quote(self, node: nodes.Element) -> str:
        return quote(self.blocks(node.children))

    def render_figure(self, node: nodes.Element) -> str:
        return self.blocks(c for c in node if not isinstance(c, nodes.caption)) + self.captions(
            node
        )

    def captions(self, node: nodes.Element) -> str:
        """Return the numbered captions of the figures at or under a node."""
        text = ""
        for figure in node.findall(nodes.figure):
            for caption in (c for c in figure if isinstance(c, nodes.caption)):
                text += f"\n\n**{self.numbered('figure', figure)}** {self.inline(caption)}"
        return text

    def render_table(self, node: nodes.Element) -> str:
        rows = [row.children for row in node.findall(nodes.row)]
        cells = [[self.table_cell(entry) for entry in row] for row in rows]
        if not any(node.findall(nodes.thead)):
            cells.insert(0, [""] * len(rows[0]))
        rules = ["---:" if "text-right" in entry["classes"] else "---" for entry in rows[-1]]
        lines = [f"| {' | '.join(row)} |" for row in (cells[0], rules, *cells[1:])]
        caption = "".join(
            f"**{self.numbered('table', node)}** {self.inline(child)}\n\n"
            for child in node
            if isinstance(child, nodes.title)
        )
        return caption + "\n".join(lines)

    def table_cell(self, entry: nodes.Element) -> str:
        """Return an entry on one line."""
        text = self.blocks(entry.children).replace("|", "\\|")
        return text.replace("\n\n", "<br>").replace("\n", " ")

    def render_Admonition(self, node: nodes.Element) -> str:
        body = self.blocks(c for c in node if not isinstance(c, nodes.title))
        if type(node).__name__ == "solution_node" or {"dropdown", "toggle"} & set(node["classes"]):
            return fold(" ".join(node[0].astext().split()), body)
        return quote(f"**{self.title(node)}**\n\n{body}")


def in_table(node: nodes.Node) -> bool:
    """Tell whether a node stands in a table."""
    while node is not None and not isinstance(node, nodes.entry):
        node = node.parent
    return node is not None
