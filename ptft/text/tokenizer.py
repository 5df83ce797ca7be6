"""A small interface to the `tokenizers` library."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from ptft.core import DataError, atomic_write

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)


class Tokenizer:
    """Text to token ids and back.

    `train` learns lower-cased WordPiece as in BERT (Schuster & Nakajima 2012), `train_byte_pairs`
    byte-level BPE as in GPT-2 (Radford et al. 2019, sec. 2.2). The special tokens have the ids 0 to
    4 in the order of `SPECIAL_TOKENS`.

    Args:
        backend: A tokenizer of the `tokenizers` library with those special tokens.

    Raises:
        ValueError: If the special tokens are missing or have other ids.
    """

    def __init__(self, backend: tokenizers.Tokenizer):
        for i, token in enumerate(SPECIAL_TOKENS):
            if backend.token_to_id(token) != i:
                raise ValueError(
                    f"expected {token} to have id {i}, got {backend.token_to_id(token)}"
                )
        self.backend = backend

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn a WordPiece vocabulary of at most `vocab_size` pieces, special tokens included.

        Raises:
            ValueError: If there is no text, or the vocabulary cannot hold the special tokens.
        """
        texts = _check_training(texts, vocab_size, len(SPECIAL_TOKENS))
        backend = _word_pieces(models.WordPiece(unk_token="[UNK]"))
        letters = {c for text in texts for c in backend.normalizer.normalize_str(text)}
        # The trainer would number the "##c" pieces in the order of a hash table, and break ties by
        # these numbers: naming them beforehand makes every training give the same vocabulary.
        inside = [f"##{c}" for c in sorted(letters) if not c.isspace()]
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            special_tokens=[*SPECIAL_TOKENS, *inside],
            min_frequency=2,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        backend = _word_pieces(models.WordPiece(backend.get_vocab(), unk_token="[UNK]"))
        return cls(_with_special_tokens(backend, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"))

    @classmethod
    def train_byte_pairs(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn byte-level BPE of at most `vocab_size` tokens: special tokens, 256 bytes, merges.

        Nothing is unknown and nothing is lost: `decode(encode(text)) == text` for every text that
        does not spell out a special token. A text is encoded as `[CLS] ...`, without an end, so
        that a decoder can continue it; `[SEP]` is what it writes at the end.

        Raises:
            ValueError: If there is no text, or the vocabulary cannot hold the bytes.
        """
        bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
        texts = _check_training(texts, vocab_size, len(SPECIAL_TOKENS) + len(bytes_))
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=bytes_,
            min_frequency=2,
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls(_with_special_tokens(backend, "[CLS] $A", "[CLS] $A [CLS] $B"))

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Raises:
            DataError: If the file is missing or is not a tokenizer.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"no tokenizer at {path}")
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises bare Exception
            raise DataError(f"{path} is not a tokenizer of this package: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json` that `transformers` reads too."""
        with atomic_write(path, "w") as file:
            file.write(self.backend.to_str(pretty=True))

    def __len__(self) -> int:
        """Return the vocabulary size `V`."""
        return self.backend.get_vocab_size()

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the ids of `text`, by default as `[CLS] ... [SEP]`."""
        return self.encode_all([text], add_special_tokens)[0]

    def encode_all(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[list[int]]:
        """Return the ids of each text; much faster than one call per text.

        Raises:
            TypeError: If `texts` is a single string or holds something else than strings.
        """
        if isinstance(texts, str):
            raise TypeError("expected a sequence of texts, got one string: use encode()")
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"expected text (str), got {type(text).__name__}")
        encodings = self.backend.encode_batch_fast(
            list(texts), add_special_tokens=add_special_tokens
        )
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return the text of `ids`.

        Raises:
            ValueError: If an id is not in the vocabulary.
        """
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < len(self):
                raise ValueError(f"token ids must be in [0, {len(self)}), got {i}")
        return self.backend.decode(ids, skip_special_tokens=skip_special_tokens)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the piece of text that each id stands for; `[UNK]` for an id without one."""
        return [self.backend.id_to_token(int(i)) or SPECIAL_TOKENS[UNK] for i in ids]


def _check_training(texts: Iterable[str], vocab_size: int, least: int) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts must be a sequence of texts, got one string")
    if vocab_size <= least:
        raise ValueError(f"vocab_size must exceed {least}, got {vocab_size}")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise ValueError("cannot train a tokenizer without text")
    return texts


def _with_special_tokens(
    backend: tokenizers.Tokenizer, single: str, pair: str
) -> tokenizers.Tokenizer:
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    backend.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return backend


def _word_pieces(model: models.WordPiece) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return backend
