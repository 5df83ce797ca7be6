"""Pairs of texts: messages of installed programs with their translations, and written dates."""

import gettext
import hashlib
import importlib.util
import random
import re
import struct
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from ptft.core import DataError, sha256_bytes
from ptft.data.dedup import normalised

Pair = tuple[str, str]
Language = Literal["zh_CN", "fr_FR"]

# For each language: what to install, the package to find, its catalogues.
_CATALOGUES = {
    "zh_CN": (
        ("jupyterlab-language-pack-zh-CN", "jupyterlab_language_pack_zh_CN", "**/*.mo"),
        ("sphinx", "sphinx", "locale/zh_CN/**/*.mo"),
    ),
    "fr_FR": (
        ("jupyterlab-language-pack-fr-FR", "jupyterlab_language_pack_fr_FR", "**/*.mo"),
        ("sphinx", "sphinx", "locale/fr/**/*.mo"),
    ),
}
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%\w|\{\w*\}")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Messages:
    """Messages (English, translation) in three parts that share no message.

    Attributes:
        language: Of the translations.
        train: About 80 % of the pairs.
        validation: About 10 %.
        test: About 10 %.
        raw: Number of distinct translated messages before any was left out.
        near_duplicates: Left out because another has the same letters; they differ in case,
            punctuation, digits or placeholders only, or because it has no letters.
        too_long: Left out for their length.
        rewordings: Two different translations of the same message, from two catalogues.
        sha256: Of all catalogues that were read.
    """

    language: str
    train: tuple[Pair, ...] = field(repr=False)
    validation: tuple[Pair, ...] = field(repr=False)
    test: tuple[Pair, ...] = field(repr=False)
    raw: int
    near_duplicates: int
    too_long: int
    rewordings: tuple[Pair, ...] = field(repr=False)
    sha256: str


def load_messages(
    language: Language = "zh_CN", seed: int = 0, max_words: int = 16, max_characters: int = 100
) -> Messages:
    """Load what the menus and error messages of JupyterLab and Sphinx say in two languages.

    The catalogues (`.mo`) are found inside the installed packages, and no package is imported. Of
    messages with the same letters one is kept; which part it is in depends on these letters and
    the seed alone, so another version of a package moves no message from train to test.

    Args:
        language: `"zh_CN"`, simplified Chinese, or `"fr_FR"`, French.
        seed: Decides which message is in which part.
        max_words: Longer English messages are left out, counted by white space.
        max_characters: Longer translations are left out.

    Raises:
        ValueError: If the language is neither, or a bound is below 1.
        DataError: If a package is not installed, or a catalogue is missing or damaged.
    """
    if language not in _CATALOGUES:
        raise ValueError(f"language must be one of {', '.join(_CATALOGUES)}, got {language!r}")
    if max_words < 1 or max_characters < 1:
        raise ValueError(f"bounds must be at least 1, got {max_words} and {max_characters}")
    files = [path for source in _CATALOGUES[language] for path in _find(*source)]
    raw: dict[str, str] = {}
    rewordings: list[Pair] = []
    digest = hashlib.sha256()
    for path in files:
        digest.update(sha256_bytes(path.read_bytes()).encode())
        for source, target in read_catalogue(path):
            if raw.setdefault(source, target) != target:
                rewordings.append((raw[source], target))

    kept: dict[str, Pair] = {}
    near_duplicates = too_long = 0
    for source in sorted(raw):
        letters = _letters(source)
        if len(source.split()) > max_words or len(raw[source]) > max_characters:
            too_long += 1
        elif letters in kept or not letters:
            near_duplicates += 1
        else:
            kept[letters] = (source, raw[source])
    parts: tuple[list[Pair], ...] = ([], [], [])
    for letters, pair in kept.items():
        draw = int(sha256_bytes(f"{seed} {letters}".encode())[:8], 16) / 16**8  # in [0, 1)
        parts[0 if draw < 0.8 else 1 if draw < 0.9 else 2].append(pair)
    train, validation, test = (tuple(part) for part in parts)
    return Messages(
        language,
        train,
        validation,
        test,
        len(raw),
        near_duplicates,
        too_long,
        tuple(rewordings),
        digest.hexdigest(),
    )


def read_catalogue(path: Path) -> list[Pair]:
    """Return the translated messages of one `.mo` file, each on one line.

    A plural gives its singular; the context before a message and the `&` before a shortcut's letter
    go; what is not translated is left out.

    Raises:
        DataError: If the file is not a catalogue.
    """
    try:
        with path.open("rb") as file:
            # The public interface looks single messages up, but does not list them.
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    except (OSError, UnicodeDecodeError, struct.error, ValueError) as error:
        raise DataError(f"{path} is not a message catalogue ({error}): install it again") from None
    pairs = []
    for key, text in catalogue.items():
        if isinstance(key, tuple):  # (message, number of the plural form)
            if key[1] != 0:
                continue
            key = key[0]
        source, target = _clean(key.rpartition("\x04")[2]), _clean(text)
        if source and target and source != target:
            pairs.append((source, target))
    return pairs


def _find(distribution: str, package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the messages need {distribution}: pip install {distribution}")
    folder = Path(next(iter(spec.submodule_search_locations)))
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise DataError(f"no catalogue {pattern} in {folder}: install {distribution} again")
    return paths


def _clean(text: str) -> str:
    """Return one line without the sign that marks a keyboard shortcut."""
    return " ".join(re.sub(r"&(?=\w)", "", text).split())


def _letters(text: str) -> str:
    return normalised(_PLACEHOLDER.sub(" ", text))


def date_lists(n: int, seed: int, shortest: int = 1, longest: int = 4) -> list[Pair]:
    """Draw lists of dates in English, in four spellings, with their one right Chinese form.

    A translation that is a function: a model that has learnt it is right always.

    Args:
        n: Number of pairs.
        seed: Of the draws.
        shortest: Dates in the shortest list, at least 1.
        longest: Dates in the longest; all lengths are as frequent.

    Raises:
        ValueError: If a number is below 1, or `longest` below `shortest`.

    Example:
        >>> date_lists(1, seed=7, shortest=2, longest=2)
        [('14 December 1994; Jan 28, 2016', '1994年12月14日、2016年1月28日')]
    """
    if n < 1 or not 1 <= shortest <= longest:
        raise ValueError(
            f"expected n >= 1 and 1 <= shortest <= longest, got {n}, {shortest} and {longest}"
        )
    draws, pairs = random.Random(seed), []
    for _ in range(n):
        days = [
            date(1950, 1, 1) + timedelta(draws.randrange(36525))  # to the end of 2049
            for _ in range(draws.randint(shortest, longest))
        ]
        source = "; ".join(_in_english(day, draws.randrange(4)) for day in days)
        pairs.append((source, "、".join(f"{d.year}年{d.month}月{d.day}日" for d in days)))
    return pairs


def _in_english(day: date, spelling: int) -> str:
    month = _MONTHS[day.month - 1]
    return (
        f"{month[:3]} {day.day}, {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month} {day.year}",
        f"{day.year:04}-{day.month:02}-{day.day:02}",
    )[spelling]
