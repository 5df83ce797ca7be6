"""Byte-level byte-pair encoding, as in GPT-2: every string has tokens, and comes back unchanged."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from tokenizers import Regex, pre_tokenizers

from ptft.text.merges import apply_merges, count_words, learn_merges

# Contractions, then letters, digits or signs with the space before them, then white space that
# leaves its last space to the next word (Radford et al. 2019, `encoder.py`).
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_SPLIT = pre_tokenizers.Split(Regex(GPT2_PATTERN), behavior="isolated")


def split_words(text: str) -> list[str]:
    """Cut a text where no merge may cross; the words joined are the text.

    The classes of characters are those of the `tokenizers` library, since Python's `re` has none.

    Raises:
        ValueError: If the text has a lone surrogate, which no encoding can write.

    Example:
        >>> split_words("We've 2 GPUs.")
        ['We', "'ve", ' 2', ' GPUs', '.']
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text must be valid Unicode, got {text[error.start]!r}") from None
    return [word for word, _ in _SPLIT.pre_tokenize_str(text)]


def byte_characters() -> tuple[str, ...]:
    """Return a printable character for each byte from 0 to 255: itself, or one from 256 on.

    A vocabulary file can show bytes that are no text by themselves. The space becomes "Ġ".
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (chr(256 + i) for i in range(256))
    return tuple(chr(byte) if byte in printable else next(others) for byte in range(256))


_CHARACTERS = byte_characters()
# The ids of single bytes follow their characters, in GPT-2 and in `tokenizers`.
_BYTES = sorted(range(256), key=_CHARACTERS.__getitem__)
_ID_OF_BYTE = {byte: i for i, byte in enumerate(_BYTES)}
_BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(_CHARACTERS)}


class BytePairs:
    """A tokenizer that is 256 bytes and a list of merges.

    Equal to `tokenizers.models.BPE` between `pre_tokenizers.ByteLevel(add_prefix_space=False)` and
    `decoders.ByteLevel()`, with two differences. Text that looks like a special token is text here:
    there are none. And `train` refuses a vocabulary that cannot hold the bytes, where the library
    returns a larger one than was asked for.

    Args:
        merges: Pairs of tokens in the order in which they were learnt.

    Attributes:
        merges: The same, as a tuple. The first n of them are a tokenizer, too.
        tokens: The bytes of each id: 256 single ones, then what the merges make.

    Raises:
        ValueError: If a merge joins something that is not a token yet.

    Example:
        >>> bpe = BytePairs([(b"h", b"e"), (b"he", b"y")])
        >>> bpe.encode("hey he")
        [257, 220, 256]

    Source:
        Sennrich et al. 2016, sec. 3.2; on bytes, Radford et al. 2019, sec. 2.2.
    """

    def __init__(self, merges: Iterable[tuple[bytes, bytes]]):
        self.merges = tuple(merges)
        ids = {bytes([byte]): i for byte, i in _ID_OF_BYTE.items()}
        self._table = {}
        for rank, (a, b) in enumerate(self.merges):
            if a not in ids or b not in ids:
                raise ValueError(f"merge {rank} must join two tokens, got {a!r} and {b!r}")
            new = ids.setdefault(a + b, len(ids))
            self._table[ids[a], ids[b]] = rank, new
        self.tokens = tuple(sorted(ids, key=ids.__getitem__))
        self._encode_word = lru_cache(2**16)(self._merged)  # most words of a text occur often

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, min_count: int = 2) -> "BytePairs":
        """Learn merges until there are `vocab_size` tokens, or no pair occurs `min_count` times.

        Raises:
            TypeError: If `texts` is a single string or holds something else than strings.
            ValueError: If there is no text, or `vocab_size` is below 256, or `min_count` below 1.
        """
        if vocab_size < 256:
            raise ValueError(f"vocab_size must be at least 256, the bytes, got {vocab_size}")
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        counts = count_words(texts, split_words)
        words = {_byte_ids(word): count for word, count in counts.items()}
        alphabet = [bytes([byte]) for byte in _BYTES]
        _, merges = learn_merges(words, alphabet, lambda a, b: a + b, vocab_size, min_count)
        return cls(merges)

    @classmethod
    def from_symbols(cls, merges: Iterable[tuple[str, str]]) -> "BytePairs":
        """Read merges in printable characters, as in GPT-2's `merges.txt` and in `tokenizer.json`.

        Raises:
            ValueError: If a character stands for no byte, or a merge joins what is no token yet.
        """
        return cls((_from_printable(a), _from_printable(b)) for a, b in merges)

    def __len__(self) -> int:
        """Return the vocabulary size `V`."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of any text; nothing is unknown.

        Raises:
            TypeError: If `text` is not a string.
            ValueError: If it has a lone surrogate.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected text (str), got {type(text).__name__}")
        return list(chain.from_iterable(map(self._encode_word, split_words(text))))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; bytes that are no UTF-8 become U+FFFD.

        Raises:
            ValueError: If an id is not in the vocabulary.
        """
        return b"".join(self._bytes(i) for i in ids).decode(errors="replace")

    def symbols(self, ids: Iterable[int]) -> list[str]:
        """Return each token in printable characters, one a byte, as vocabulary files have it.

        Raises:
            ValueError: If an id is not in the vocabulary.
        """
        return ["".join(_CHARACTERS[byte] for byte in self._bytes(i)) for i in ids]

    def _merged(self, word: str) -> tuple[int, ...]:
        return tuple(apply_merges(_byte_ids(word), self._table))

    def _bytes(self, i: int) -> bytes:
        if not 0 <= i < len(self):
            raise ValueError(f"token ids must be in [0, {len(self)}), got {i}")
        return self.tokens[i]


def _byte_ids(word: str) -> tuple[int, ...]:
    return tuple(_ID_OF_BYTE[byte] for byte in word.encode())


def _from_printable(symbol: str) -> bytes:
    for character in symbol:
        if character not in _BYTE_OF_CHARACTER:
            raise ValueError(f"{character!r} in {symbol!r} stands for no byte")
    return bytes(_BYTE_OF_CHARACTER[character] for character in symbol)
