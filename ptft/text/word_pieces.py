"""WordPiece, as in BERT: pieces of lower-cased words, and [UNK] for a word that has none."""

from collections.abc import Iterable, Sequence
from math import log

from tokenizers import normalizers, pre_tokenizers

from ptft.text.merges import count_words, learn_merges
from ptft.text.tokenizer import SPECIAL_TOKENS, UNK

PREFIX = "##"  # of a piece that does not begin a word
_NORMALIZER = normalizers.BertNormalizer(lowercase=True)
_PRE_TOKENIZER = pre_tokenizers.BertPreTokenizer()


def split_words(text: str) -> list[str]:
    """Cut a text into lower-case words and single signs; white space is lost, and so are accents.

    Normalisation (lower case, NFD without accents, no control characters, each Chinese character
    for itself) and the cut at white space and punctuation are those of `tokenizers`.

    Raises:
        ValueError: If the text has a lone surrogate, which no encoding can write.

    Example:
        >>> split_words("A naïve try.")
        ['a', 'naive', 'try', '.']
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text must be valid Unicode, got {text[error.start]!r}") from None
    normal = _NORMALIZER.normalize_str(text)
    return [word for word, _ in _PRE_TOKENIZER.pre_tokenize_str(normal)]


def likelihood_gain(pair: int, first: int, second: int | None, total: int) -> float:
    r"""Return by how many nats a merge raises the likelihood of the text, each unit by itself.

    With counts $c$ and their sum $N$, the log-likelihood of a text under the frequencies of its own
    units is $\sum_u c_u \ln c_u - N \ln N$. A merge of $n$ pairs changes three counts and $N$:

    $$\Delta = f(n) + f(c_a - n) + f(c_b - n) - f(c_a) - f(c_b) - f(N - n) + f(N), \qquad
    f(x) = x \ln x$$

    Args:
        pair: The number n of merges.
        first: Count c_a of the first unit before the merge.
        second: Count c_b of the second one; None if the pair is the same unit twice.
        total: Number N of units in the text before the merge.

    Raises:
        ValueError: If there are more pairs than units for them, or more units than `total`.

    Source:
        The criterion of Schuster and Nakajima 2012 with the simplest language model.
    """
    units = first + (second or 0)
    left = (first - pair, second - pair) if second is not None else (first - 2 * pair,)
    if pair < 0 or min(left) < 0 or units > total:
        raise ValueError(f"counts do not fit: {pair} pairs of {first}, {second} among {total}")
    before = _f(first) + _f(second or 0) - _f(total)
    return _f(pair) + sum(map(_f, left)) - _f(total - pair) - before


def _f(x: int) -> float:
    return x * log(x) if x else 0.0


class WordPieces:
    """A tokenizer that is a set of pieces, matched greedily.

    Equal to `ptft.text.tokenizer.Tokenizer.train`, which is the library's, with these differences.
    Text that looks like a special token ("[MASK]") is text here. `train` refuses a vocabulary that
    cannot hold the letters, where the library returns a larger one than was asked for. And `decode`
    takes the space away before `. ? ! ,` only: the library's other rules (`n't`, `'s`) look for
    tokens that its own pre-tokenizer never makes.

    Args:
        tokens: The pieces in the order of their ids, the special tokens first.
        max_input_chars_per_word: A longer word is [UNK].

    Raises:
        ValueError: If a token occurs twice, the special tokens are not the first, or
            `max_input_chars_per_word` is below 1.

    Source:
        Greedy matching and [UNK] as in `tokenization.py` of Devlin et al. 2019.
    """

    def __init__(self, tokens: Sequence[str], max_input_chars_per_word: int = 100):
        self.tokens = tuple(tokens)
        self.max_input_chars_per_word = max_input_chars_per_word
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise ValueError("tokens must be distinct, got one twice")
        if self.tokens[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            got = self.tokens[: len(SPECIAL_TOKENS)]
            raise ValueError(f"the first tokens must be {SPECIAL_TOKENS}, got {got}")
        if max_input_chars_per_word < 1:
            raise ValueError(
                f"max_input_chars_per_word must be at least 1, got {max_input_chars_per_word}"
            )

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, min_count: int = 2) -> "WordPieces":
        """Learn pieces until there are `vocab_size` tokens, or no pair occurs `min_count` times.

        As in `tokenizers`, this is byte-pair encoding of letters: the most *frequent* pair is
        merged, not the one with the largest `likelihood_gain`, which the paper asks for. The
        merges are then forgotten; only the pieces stay.

        Raises:
            TypeError: If `texts` is a single string or holds something else than strings.
            ValueError: If there is no text, `vocab_size` cannot hold the letters, or `min_count`
                is below 1.
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        counts = count_words(texts, split_words)
        letters = sorted(set().union(*counts))
        alphabet = [*SPECIAL_TOKENS, *(PREFIX + c for c in letters), *letters]
        if vocab_size < len(alphabet):
            raise ValueError(
                f"vocab_size must be at least {len(alphabet)}, the special tokens and each letter "
                f"with and without {PREFIX}, got {vocab_size}"
            )
        ids = {token: i for i, token in enumerate(alphabet)}
        words = {
            (ids[word[0]], *(ids[PREFIX + c] for c in word[1:])): count
            for word, count in counts.items()
        }
        tokens, _ = learn_merges(words, alphabet, _join, vocab_size, min_count)
        return cls(tokens)

    def __len__(self) -> int:
        """Return the vocabulary size `V`."""
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, without [CLS] and [SEP].

        Raises:
            TypeError: If `text` is not a string.
            ValueError: If it has a lone surrogate.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected text (str), got {type(text).__name__}")
        return [i for word in split_words(text) for i in self._encode_word(word)]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return the text of `ids`; the original lost case, accents and white space for good.

        Raises:
            ValueError: If an id is not in the vocabulary.
        """
        ids = list(ids)
        for i in ids:
            if not 0 <= i < len(self):
                raise ValueError(f"token ids must be in [0, {len(self)}), got {i}")
        kept = [i for i in ids if i >= len(SPECIAL_TOKENS) or not skip_special_tokens]
        first, *others = [self.tokens[i] for i in kept] or [""]
        return first + "".join(map(_with_space, others))

    def _encode_word(self, word: str) -> list[int]:
        """Take the longest piece that fits, then the longest that fits the rest; all or [UNK]."""
        if len(word) > self.max_input_chars_per_word:
            return [UNK]
        ids = []
        start = 0
        while start < len(word):
            prefix = PREFIX if start else ""
            for end in range(len(word), start, -1):
                if (piece := prefix + word[start:end]) in self._ids:
                    break
            else:
                return [UNK]
            ids.append(self._ids[piece])
            start = end
        return ids


def _join(first: str, second: str) -> str:
    return first + second.removeprefix(PREFIX)


def _with_space(token: str) -> str:
    if token.startswith(PREFIX):
        return token.removeprefix(PREFIX)
    return token if token in {".", "?", "!", ","} else f" {token}"
