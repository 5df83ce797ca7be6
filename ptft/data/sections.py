"""The structure of a docstring: its sections, their items, and what of it is not text.

Three styles are read: numpydoc, Google and Sphinx fields. Each style is recognised line by line,
because docstrings mix them.
"""

import re
from collections.abc import Iterator

_SECTIONS = {
    "parameters": "parameters args arguments params inputs input param arg argument key keyword",
    "returns": "returns return outputs output yields yield",
    "raises": "raises raise warns except exception",
    "attributes": "attributes attribute ivar cvar var",
    "methods": "methods",
    "notes": "notes note warning warnings todo",
    "examples": "examples example usage",
    "see also": "",
    "shape": "shape shapes",
    "references": "references reference",
}
_SECTION_OF = {title: section for section, titles in _SECTIONS.items() for title in titles.split()}
_SECTION_OF |= {
    "see also": "see also",
    "other parameters": "parameters",
    "keyword args": "parameters",
    "keyword arguments": "parameters",
}
_ITEM_SECTIONS = {"parameters", "returns", "raises", "attributes", "methods", "see also"}
NOT_PROSE_SECTIONS = {"shape", "references"}

_UNDERLINE = re.compile(r"\s*([-=~^\"'`#*+])\1{2,}\s*$")
_GOOGLE_TITLE = re.compile(r"\s{0,8}([A-Z][a-z]+(?: [Aa][a-z]+)?)\s*::?\s*$")
_FIELD = re.compile(
    r":(param|parameter|arg|argument|key|keyword|returns?|raises?|except|exception|ivar|cvar|var"
    r"|yields?|type|rtype|vartype)\b\s*([^:]*):\s*(.*)$"
)
_NUMPY_ITEM = re.compile(r"(\*{0,2}[A-Za-z_`][^:]*?)(?:\s*:\s*(.*))?$")
_GOOGLE_ITEM = re.compile(
    r"[-*]?\s*[`*]{0,2}([A-Za-z_][\w.]*)[`*]{0,2}"  # name
    r"\s*(?:\(((?:[^()]|\([^()]*\))*)\))?\s*(?::| - )\s*(.*)$"  # (type): text
)
# Some docstrings list parameters without a title; the type tells such an item from a sentence.
_UNTITLED_GOOGLE = re.compile(
    r"\w+ \((?=[^)]*[`*]|torch|int|bool|str|float|list|tuple|dict|Optional|Callable)"
)
_UNTITLED_NUMPY = re.compile(r"(\*{0,2}\w+(?:, \w+)*) : (\S.*)$")
_RETURN_TYPE = re.compile(r"(\w+ \([^:]*\)|(?:[^\s:]+ ){0,3}[^\s:]+):\s+(.*)$")
_BULLET = re.compile(r"(?:[-*+•]|\(?\d{1,2}[.)]|[a-z]\))\s+(?=\S)")

_CODE = re.compile(r">>>|\.\.\. |(?:In|Out) ?\[\d*\]:|\$ |@")
_ADMONITION = re.compile(r"\.\. (?:note|warning|tip|important|seealso|caution|attention|hint)::")
_RULE_OR_TABLE = re.compile(r"(?=.*[+| ])[+|=\-][+|=\- ]*$|\|.*\|$|\$\$|\\\[")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end_of_block(lines: list[str], start: int, indent: int) -> int:
    """Return the first line from `start` on that is neither blank nor deeper than `indent`."""
    for i in range(start, len(lines)):
        if lines[i].strip() and _indent(lines[i]) <= indent:
            return i
    return len(lines)


def without_code(lines: list[str]) -> Iterator[str]:
    """Yield the lines; a blank one stands for each code block, directive, table or formula."""
    i = 0
    while i < len(lines):
        line, text = lines[i], lines[i].strip()
        i += 1
        if text.startswith(("```", "~~~")):
            while i < len(lines) and not lines[i].strip().startswith(text[:3]):
                i += 1
            i += 1
            yield ""
        elif _CODE.match(text):
            while i < len(lines) and lines[i].strip():
                i += 1
            yield ""
        elif admonition := _ADMONITION.match(text):
            yield ""
            yield " " * _indent(line) + text[admonition.end() :].strip()
        elif text.startswith(".. "):
            i = _end_of_block(lines, i, _indent(line))
            yield ""
        elif _RULE_OR_TABLE.match(text):
            yield ""
        elif text.endswith("::") and not _GOOGLE_TITLE.match(line):
            yield line.rstrip()[:-1]
            yield ""
            i = _end_of_block(lines, i, _indent(line))
        else:
            yield line


def paragraphs(lines: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (section, item name, item type, text) for each paragraph."""
    section, name, kind = "summary", "", ""
    style = ""  # of the current section: "numpy", "google", "field", or "" for plain text
    indent = 0  # where the items of the current section begin
    text: list[str] = []

    for i, line in enumerate(lines):
        stripped, depth = line.strip(), _indent(line)
        title = stripped.rstrip(":").lower()
        underlined = i + 1 < len(lines) and bool(_UNDERLINE.match(lines[i + 1]))
        field = _FIELD.match(stripped) if stripped.startswith(":") else None
        google = _GOOGLE_TITLE.match(line) if stripped.endswith(":") else None
        item = None
        new = None  # the state after this line, if it starts a section, an item or a paragraph
        rest = stripped

        if not stripped:
            after = "description" if section == "summary" and text else section
            new = ("description", "", "", "") if style == "field" else (after, name, kind, style)
        elif _UNDERLINE.match(line):
            continue
        elif underlined and len(stripped) < 70:
            known = _SECTION_OF.get(title)
            new, rest = (known or "description", "", "", "numpy" if known else ""), ""
            indent = depth
        elif google and title in _SECTION_OF:
            new, rest = (_SECTION_OF[title], "", "", "google"), ""
            indent = -1  # the first line of the section sets it
        elif field:
            words = field[2].split()
            known = _SECTION_OF.get(field[1], "references")  # ":type x: int" has no prose
            new = (known, words[-1] if words else "", " ".join(words[:-1]), "field")
            rest = field[3]
        elif style == "numpy" and section in _ITEM_SECTIONS and depth <= indent:
            item = _NUMPY_ITEM.match(stripped)
            deeper = i + 1 < len(lines) and _indent(lines[i + 1]) > depth
            if item and (deeper or item[2]):
                new, rest = (section, item[1].strip("`* "), item[2] or "", style), ""
        elif style == "google":
            if indent < 0:
                indent = depth
            item = _GOOGLE_ITEM.match(stripped) if section in _ITEM_SECTIONS else None
            if depth < indent:
                new = ("description", "", "", "")
            elif section == "returns":
                if not text and (returned := _RETURN_TYPE.match(stripped)):
                    new, rest = (section, "", returned[1], style), returned[2]
            elif depth == indent and item:
                new, rest = (section, item[1], item[2] or "", style), item[3]
        elif not style and (item := _UNTITLED_NUMPY.match(stripped)):
            new, rest, indent = ("parameters", item[1], item[2], "numpy"), "", depth
        elif _UNTITLED_GOOGLE.match(stripped) and (item := _GOOGLE_ITEM.match(stripped)):
            new, rest, indent = ("parameters", item[1], item[2] or "", "google"), item[3], depth
        elif bullet := _BULLET.match(stripped):
            new, rest = (section, name, kind, style), stripped[bullet.end() :]

        if new is not None:
            if text:
                yield section, name, kind, " ".join(text)
            text = []
            section, name, kind, style = new
        if rest:
            text.append(rest)
    if text:
        yield section, name, kind, " ".join(text)
