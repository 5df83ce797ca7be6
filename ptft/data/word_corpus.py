"""The sentences, as lists of words, that all word vectors of the course are trained on."""

import re
from collections.abc import Iterator
from typing import Literal

from ptft.data.bundled import load_encyclopedia, load_lee
from ptft.data.docstrings import load_docstrings
from ptft.data.words import words

Name = Literal["docstrings", "bundled", "all"]


def word_corpus(name: Name) -> list[list[str]]:
    """Return the sentences of a corpus as words; those with fewer than two are left out.

    "docstrings" is technical and holds all splits, since similarity of words and analogies are
    tests of another kind; "bundled" is news (Lee) and encyclopedia, both from gensim; "all" is
    docstrings, then bundled. The order is fixed.

    Raises:
        ValueError: If `name` is none of these.
        DataError: If a source is missing or damaged.
    """
    parts = {"docstrings": [_docstrings], "bundled": [_bundled], "all": [_docstrings, _bundled]}
    if name not in parts:
        raise ValueError(f"name must be one of {', '.join(parts)}, got {name!r}")
    sentences = (words(sentence) for part in parts[name] for sentence in part())
    return [sentence for sentence in sentences if len(sentence) >= 2]


def _docstrings() -> Iterator[str]:
    for document in load_docstrings().documents:
        yield from document.sentences


def _bundled() -> Iterator[str]:
    news = load_lee()
    for text in news.background + news.documents:
        yield from re.split(r"(?<=[.!?])\s+", text)
    yield from load_encyclopedia().sentences
