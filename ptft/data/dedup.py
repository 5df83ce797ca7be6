"""Keep each sentence once, and keep what is nearly in training out of validation and test."""

import re
from collections.abc import Iterable, Iterator

SHINGLE = 8  # words
_WORD = re.compile(r"\w+")
_LETTERS = re.compile(r"[a-z]+")
_NAME = re.compile(r"\w*[A-Z0-9_]\w*")


def normalised(sentence: str) -> str:
    """Return the lower-case words of a sentence without digits and punctuation."""
    return " ".join(_LETTERS.findall(sentence.lower()))


def shingles(sentence: str) -> Iterator[str]:
    """Yield every run of 8 words, or the whole of a shorter sentence, with names masked.

    A name is a word with a capital, a digit or an underscore in it: "the BertModel output" and
    "the GPT2Model output" share their shingles.
    """
    words = _NAME.sub("_", " ".join(_WORD.findall(sentence))).split()
    for start in range(max(1, len(words) - SHINGLE + 1)):
        yield " ".join(words[start : start + SHINGLE])


def near_duplicates(train: Iterable[str], held_out: Iterable[str]) -> set[str]:
    """Return the held-out sentences of which half of the shingles or more occur in `train`."""
    of_sentence = {sentence: set(shingles(sentence)) for sentence in held_out}
    # Only the shingles of the (few) held-out sentences are kept in memory.
    wanted = set().union(*of_sentence.values())
    seen = {shingle for sentence in train for shingle in shingles(sentence) if shingle in wanted}
    return {s for s, own in of_sentence.items() if 2 * len(own & seen) >= len(own)}
