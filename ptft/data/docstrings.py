"""The real-text corpus of the course: the docstrings of the libraries that it needs anyway.

Every reader has this text on disk, so that nothing is downloaded and nothing is copied into the
repository. The libraries are dependencies of the course; the standard library is left out, so that
the same pinned versions give the same corpus on every version of Python.
"""

import gzip
import hashlib
import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ptft.core import DataError, atomic_write, cache_dir, sha256_bytes
from ptft.data import dedup, harvest, prose, sections
from ptft.data.prose import Block

DEFAULT_LIBRARIES = (
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "torch",
    "transformers",
    "gensim",
    "sympy",
    "networkx",
)
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


class Document(NamedTuple):
    """The prose of one docstring.

    Attributes:
        library: As imported ("sklearn").
        module: Dotted name, with the library.
        name: Qualified name of the class or function in the module; "" for the module itself.
        split: "train", "validation" or "test", the same for all documents of a module.
        blocks: The paragraphs and items that have prose.
    """

    library: str
    module: str
    name: str
    split: str
    blocks: tuple[Block, ...]

    @property
    def sentences(self) -> list[str]:
        """All sentences, in order."""
        return [sentence for block in self.blocks for sentence in block.sentences]

    @property
    def text(self) -> str:
        """The paragraphs, joined by newlines."""
        return "\n".join(" ".join(block.sentences) for block in self.blocks)


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order, with the record of how they were made.

    Attributes:
        documents: Library by library, module by module, as in the source.
        sha256: Of all that the documents hold, order included.
        near_duplicates: Number of sentences removed from validation and test because half of their
            8-word shingles or more occur in training.
        harvest_seconds: Wall time of the harvest, also if this corpus came from the cache.
    """

    documents: tuple[Document, ...] = field(repr=False)
    sha256: str
    near_duplicates: int
    harvest_seconds: float

    def split(self, name: Split) -> list[Document]:
        """Return the documents of one split.

        Raises:
            ValueError: If `name` is not "train", "validation" or "test".
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}")
        return [document for document in self.documents if document.split == name]

    def report(self) -> list[dict[str, str | int]]:
        """Count documents, sentences, words, characters and distinct words.

        Returns:
            One row per library, one per split, and "total": ready for `pandas.DataFrame`.
        """
        groups: dict[str, list[Document]] = {}
        for document in self.documents:
            groups.setdefault(document.library, []).append(document)
        groups |= {split: self.split(split) for split in SPLITS}
        groups["total"] = list(self.documents)
        return [{"part": part, **_counts(documents)} for part, documents in groups.items()]


def _counts(documents: Iterable[Document]) -> dict[str, int]:
    texts = [document.text for document in documents]
    words = [_WORD.findall(text.lower()) for text in texts]
    return {
        "documents": len(texts),
        "sentences": sum(len(document.sentences) for document in documents),
        "words": sum(map(len, words)),
        "characters": sum(map(len, texts)),
        "vocabulary": len(set().union(*words)),
    }


def split_of(module: str) -> Split:
    """Return the split of a module: 80 % train, 10 % validation, 10 % test, by its name alone."""
    digest = hashlib.blake2b(module.encode(), digest_size=8).digest()
    tenth = int.from_bytes(digest) % 10
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"


def load_docstrings(
    libraries: Sequence[str] = DEFAULT_LIBRARIES, workers: int | None = None
) -> Corpus:
    """Harvest the docstrings of installed libraries, or read them from the cache.

    Each sentence occurs once in the corpus (compared by its lower-case letters), hence in one split
    only. The same versions of the libraries give the same corpus, however many workers there are.
    The cache carries its hash; a missing, truncated or changed cache file is made again.

    Args:
        libraries: Import names, in the order of the corpus.
        workers: Number of processes of the harvest; all cores by default.

    Raises:
        ValueError: If a library is not installed, or `workers` is not positive.
        DataError: If the libraries have no prose (installed without their source, say).
        OSError: If the cache cannot be written; no half file is left.

    Example:
        >>> corpus = load_docstrings(("networkx",))
        >>> corpus.split("test")[0].text  # doctest: +SKIP
    """
    if isinstance(libraries, str):
        raise TypeError(f"libraries must be a sequence of names, got the string {libraries!r}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    files = [file for library in libraries for file in harvest.library_files(library)]
    path = cache_dir() / f"docstrings-{_key(files)}.jsonl.gz"
    corpus = _read_cache(path)
    if corpus is None:
        start = time.perf_counter()
        documents, near = _without_duplicates(_documents(files, workers or os.cpu_count() or 1))
        if not documents:
            raise DataError(f"no prose in the docstrings of {', '.join(libraries) or 'nothing'}")
        seconds = round(time.perf_counter() - start, 1)
        corpus = Corpus(documents, sha256_bytes(_lines(documents)), near, seconds)
        _write_cache(path, corpus)
    return corpus


def _key(files: Iterable[harvest.SourceFile]) -> str:
    """Hash what decides the corpus: the code of the harvest, and the names and sizes of files.

    Another version of a library has files of other sizes, and reading sizes takes no time.
    """
    key = hashlib.sha256()
    for code in (__file__, harvest.__file__, prose.__file__, sections.__file__, dedup.__file__):
        key.update(Path(code).read_bytes())
    for file in files:
        key.update(f"{file.module} {os.path.getsize(file.path)}\n".encode())
    return key.hexdigest()[:16]


def _documents(files: list[harvest.SourceFile], workers: int) -> Iterator[Document]:
    for file, name, blocks in harvest.harvest(files, workers):
        yield Document(file.library, file.module, name, split_of(file.module), tuple(blocks))


def _without_duplicates(documents: Iterable[Document]) -> tuple[tuple[Document, ...], int]:
    """Keep the first of equal sentences, and no held-out near-duplicates; count the latter."""
    seen: set[str] = set()

    def is_first(sentence: str) -> bool:
        key = dedup.normalised(sentence)
        return key not in seen and not seen.add(key)  # type: ignore[func-returns-value]

    unique = [_filtered(document, is_first) for document in documents]
    train = (s for document in unique if document.split == "train" for s in document.sentences)
    held_out = (s for document in unique if document.split != "train" for s in document.sentences)
    near = dedup.near_duplicates(train, held_out)
    kept = (
        document if document.split == "train" else _filtered(document, lambda s: s not in near)
        for document in unique
    )
    return tuple(document for document in kept if document.blocks), len(near)


def _filtered(document: Document, keep: Callable[[str], bool]) -> Document:
    blocks = (
        block._replace(sentences=tuple(filter(keep, block.sentences))) for block in document.blocks
    )
    return document._replace(blocks=tuple(block for block in blocks if block.sentences))


def _lines(documents: Iterable[Document]) -> bytes:
    return "".join(json.dumps(document) + "\n" for document in documents).encode()


def _write_cache(path: Path, corpus: Corpus) -> None:
    header = json.dumps([corpus.sha256, corpus.near_duplicates, corpus.harvest_seconds])
    content = header.encode() + b"\n" + _lines(corpus.documents)
    with atomic_write(path) as file:
        file.write(gzip.compress(content, compresslevel=6, mtime=0))


def _read_cache(path: Path) -> Corpus | None:
    """Return the cached corpus, or None if there is no cache or it is not what was written."""
    try:
        content = gzip.decompress(path.read_bytes())
        first, _, lines = content.partition(b"\n")
        sha256, near_duplicates, seconds = json.loads(first)
    except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error, ValueError, TypeError):
        return None
    if sha256_bytes(lines) != sha256:
        return None
    documents = []
    for line in lines.splitlines():
        library, module, name, split, blocks = json.loads(line)
        blocks = tuple(Block.from_json(block) for block in blocks)
        documents.append(Document(library, module, name, split, blocks))
    return Corpus(tuple(documents), sha256, near_duplicates, seconds)
