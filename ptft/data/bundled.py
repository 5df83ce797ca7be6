"""Small data sets that ship inside gensim: read there, never copied.

The text files hardly ever change, but they are not ours: their hash is recorded in what a loader
returns, not enforced.
"""

import bz2
import importlib.util
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import ParseError

from ptft.core import DataError, sha256_bytes, sha256_file
from ptft.data.tasks import Examples, LabelledTask
from ptft.data.words import words

Pair = tuple[str, str, float]
Analogy = tuple[str, str, str, str]


@dataclass(frozen=True)
class News:
    """The Lee corpus: short Australian news documents, one string each.

    Attributes:
        background: 300 documents to train on.
        documents: 50 further documents, whose similarity people have judged.
        sha256: Of both files, in this order.
    """

    background: tuple[str, ...] = field(repr=False)
    documents: tuple[str, ...] = field(repr=False)
    sha256: tuple[str, str]


@dataclass(frozen=True)
class Encyclopedia:
    """Articles of the English Wikipedia on topics from A, the first pages of an old dump.

    Attributes:
        articles: The sentences of each article by its title, without markup.
        sha256: Of the compressed file.
    """

    articles: dict[str, tuple[str, ...]] = field(repr=False)
    sha256: str

    @property
    def sentences(self) -> list[str]:
        """All sentences, article by article."""
        return [sentence for article in self.articles.values() for sentence in article]


@dataclass(frozen=True)
class WordSimilarity:
    """Pairs of words with the mean similarity that people gave them, from 0 to 10."""

    name: str
    pairs: tuple[Pair, ...] = field(repr=False)
    sha256: str


@dataclass(frozen=True)
class Analogies:
    """Questions (a, b, c, d), "a is to b as c is to d", by section."""

    sections: dict[str, tuple[Analogy, ...]] = field(repr=False)
    sha256: str


def _path(name: str) -> Path:
    """Return the path of one of gensim's test files."""
    spec = importlib.util.find_spec("gensim")  # found, not imported
    if spec is None or spec.origin is None:
        raise DataError("gensim is not installed: it ships this data (pip install gensim)")
    path = Path(spec.origin).parent / "test" / "test_data" / name
    if not path.is_file():
        raise DataError(f"{path} is missing: install gensim again, with its test data")
    return path


def _bundled(name: str) -> tuple[list[str], str]:
    """Return the non-empty lines of one of gensim's test files, and the file's hash."""
    path = _path(name)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty: install gensim again")
    return lines, sha256_bytes(content)


def load_lee() -> News:
    """Load the Lee news corpus (Lee, Pincombe and Welsh, 2005).

    Raises:
        DataError: If gensim or its file is missing.
    """
    background, background_hash = _bundled("lee_background.cor")
    documents, documents_hash = _bundled("lee.cor")
    return News(tuple(background), tuple(documents), (background_hash, documents_hash))


def load_encyclopedia() -> Encyclopedia:
    """Load a small part of the English Wikipedia, which gensim tests its reader with.

    Left out are redirects, headings, names of files, and sentences of fewer than three words.

    Raises:
        DataError: If gensim or its file is missing or damaged, or the file has no article.
    """
    path = _path("enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2")
    from gensim.corpora import wikicorpus  # slow to import, and needed here alone

    articles = {}
    try:
        with bz2.open(path) as file:
            for title, text, _ in wikicorpus.extract_pages(file, ("0",)):  # 0: articles
                if text.lower().startswith("#redirect"):
                    continue
                sentences = tuple(_sentences(wikicorpus.filter_wiki(text)))
                if sentences:
                    articles[title] = sentences
    except (OSError, EOFError, ParseError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): install gensim again") from None
    if not articles:
        raise DataError(f"{path} has no article: install gensim again")
    return Encyclopedia(articles, sha256_file(path))


def _sentences(text: str) -> Iterator[str]:
    """Split what gensim leaves of an article, which still has headings, lists and bold type."""
    for line in text.splitlines():
        line = re.sub("'{2,}", "", line).lstrip("*#:; ")
        if not line.startswith(("=", "File:")):
            sentences = re.split(r"(?<=[.!?])\s+", line)
            yield from (sentence for sentence in sentences if len(words(sentence)) >= 3)


def load_word_similarity(name: Literal["wordsim353", "simlex999"]) -> WordSimilarity:
    """Load human judgements of word similarity.

    "wordsim353" (Finkelstein et al., 2002) mixes relatedness with similarity; "simlex999" (Hill,
    Reichart and Korhonen, 2015) rates similarity alone.

    Raises:
        ValueError: If `name` is neither.
        DataError: If gensim or its file is missing, or a line is not "word, word, number".
    """
    files = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}
    if name not in files:
        raise ValueError(f"name must be one of {', '.join(files)}, got {name!r}")
    lines, sha256 = _bundled(files[name])
    return WordSimilarity(name, tuple(_pairs(files[name], lines)), sha256)


def _pairs(file: str, lines: list[str]) -> Iterator[Pair]:
    for line in lines:
        if line.startswith("#"):
            continue
        try:
            first, second, score = line.split("\t")
            yield first, second, float(score)
        except ValueError:
            raise DataError(f"{file}: expected 'word<tab>word<tab>number', got {line!r}") from None


def load_analogies() -> Analogies:
    """Load the analogy questions of word2vec (Mikolov et al., 2013).

    Raises:
        DataError: If gensim or its file is missing, or a line is not four words.
    """
    lines, sha256 = _bundled("questions-words.txt")
    sections: dict[str, list[Analogy]] = {}
    for line in lines:
        fields = line.split()
        if fields[0] == ":" and len(fields) > 1:
            questions = sections.setdefault(" ".join(fields[1:]), [])
        elif len(fields) == 4 and sections:
            questions.append((fields[0], fields[1], fields[2], fields[3]))
        else:
            raise DataError(f"questions-words.txt: expected four words in a section, got {line!r}")
    return Analogies({name: tuple(rows) for name, rows in sections.items()}, sha256)


def load_polarity(seed: int = 0) -> LabelledTask:
    """Load 200 sentences of film reviews with their sentiment (Pang and Lee, 2005).

    Split 60/20/20 at random. Too small for anything but a demonstration.

    Raises:
        DataError: If gensim or its file is missing, or a line has no label.
    """
    lines, _ = _bundled("pang_lee_polarity.cor")
    labels = {"__label__neg": 0, "__label__pos": 1}
    rows = []
    for line in lines:
        label, _, text = line.partition(" ")
        if label not in labels or not text.strip():
            raise DataError(f"pang_lee_polarity.cor: expected a label and a text, got {line!r}")
        rows.append((text.strip(), labels[label]))
    random.Random(seed).shuffle(rows)
    first, second = round(0.6 * len(rows)), round(0.8 * len(rows))
    parts = [rows[:first], rows[first:second], rows[second:]]
    train, validation, test = (
        Examples(tuple(text for text, _ in part), tuple(label for _, label in part))
        for part in parts
    )
    question = "Is this sentence of a film review positive?"
    return LabelledTask("polarity", question, ("negative", "positive"), train, validation, test)
