"""From a text to its words: the one rule of all word embeddings of the course."""

import re

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def words(text: str) -> list[str]:
    """Return the lower-case words of a text: runs of a to z, with one inner apostrophe at most.

    Digits, punctuation and other letters separate words and are dropped; words of one letter stay.

    Raises:
        TypeError: If `text` is not a string.

    Example:
        >>> words("It's 3 o'clock: a BERT-like model.")
        ["it's", "o'clock", 'a', 'bert', 'like', 'model']
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {type(text).__name__}")
    return _WORD.findall(text.lower())
