"""Where the commands take their text from: a file, the docstrings, or the exact language."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Literal

import tokenizers
import torch
from tokenizers import models, pre_tokenizers, processors
from torch import Tensor
from tqdm.auto import tqdm

from ptft.core import DataError, atomic_write, sha256_file
from ptft.core.compute import generator
from ptft.data.docstrings import load_docstrings
from ptft.data.hidden_markov import HiddenMarkovModel
from ptft.data.language import exact_language
from ptft.data.limits import masked_log_probs, next_token_log_probs
from ptft.text.batches import CausalBatch, MaskedBatch, epoch_rows, mask_tokens
from ptft.text.token_file import open_tokens, overlapping_windows, write_tokens
from ptft.text.tokenizer import CLS, SEP, Tokenizer

Split = Literal["train", "validation", "test"]
Objective = Literal["causal", "masked"]
TRAIN_SHARE = 0.9  # of a file; the rest is held out
MOST_DOCUMENTS = 100_000  # that a tokenizer is trained on
SCORED_RATE = 0.15  # of masked tokens, as in BERT
HELD_OUT = 256  # windows that an evaluation reads
SETTINGS = (
    "data", "objective", "steps", "minutes", "d_model", "layers", "heads", "length", "batch_size",
    "vocab_size", "seed",
)  # fmt: skip
_LONGEST = 1 << 16  # characters of a document: a file without blank lines is cut, so memory is too


@dataclass(frozen=True)
class Source:
    """Windows `(B, T)` of token ids to train on and to score.

    Attributes:
        tokenizer: Its ids they are.
        draw: Makes those of a step, from a generator for that step.
        held_out: `(M, T)`, for the evaluations.
    """

    tokenizer: Tokenizer
    draw: Callable[[int, torch.Generator], Tensor]
    held_out: Tensor


def prepare(args: argparse.Namespace, folder: Path) -> None:
    """Write tokenizer, token files and settings of a new run into its folder.

    Raises:
        DataError: If the text cannot be read, or the folder holds another run.
    """
    settings = {name: getattr(args, name) for name in SETTINGS}
    if Path(args.data).is_file():
        settings["sha256"] = sha256_file(args.data)
    elif args.data == "docstrings":
        settings["sha256"] = load_docstrings().sha256
    path = folder / "settings.json"
    if path.exists():
        other = json.loads(path.read_text("utf-8"))
        differing = [name for name in settings if settings[name] != other.get(name)]
        if differing:
            had, got = ([f"{n} {s.get(n)}" for n in differing] for s in (other, settings))
            raise DataError(
                f"{folder.parent} holds another run ({', '.join(had)}; this is {', '.join(got)}): "
                "choose another --out, or delete the folder"
            )
        return
    if args.data == "exact":
        tokenizer = exact_tokenizer(exact_language())
    else:
        say(f"reading {args.data}")
        documents = read_documents(args.data, "train")
        tokenizer = train_tokenizer(documents, args.objective, args.vocab_size)
        for split in ("train", "validation"):
            documents = read_documents(args.data, split)
            encoded = encode_documents(tokenizer, documents, args.objective)
            n = write_tokens(folder / f"{split}.npy", encoded, len(tokenizer))
            say(f"{n:,} tokens for {'training' if split == 'train' else split}")
    tokenizer.save(folder / "tokenizer.json")
    with atomic_write(path, "w") as file:
        file.write(json.dumps(settings, indent=1))


def open_source(args: argparse.Namespace, folder: Path) -> Source:
    """Return the windows of a folder that `prepare` has filled.

    Raises:
        DataError: If a file is missing or damaged.
        ValueError: If the text is too short for one window.
    """
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if args.data == "exact":
        language = exact_language()
        return Source(
            tokenizer,
            lambda step, draws: exact_windows(language, args.batch_size, args.length, draws),
            exact_windows(language, HELD_OUT, args.length, generator(1)),
        )
    causal = args.objective == "causal"
    windows, held_out = (
        overlapping_windows(
            open_tokens(folder / f"{split}.npy", len(tokenizer)), args.length - (1 if causal else 2)
        )
        for split in ("train", "validation")
    )

    def read(windows: Tensor, rows: Tensor) -> Tensor:
        ids = windows[rows].long()  # read from the file now
        return ids if causal else with_cls(ids)

    def draw(step: int, draws: torch.Generator) -> Tensor:
        return read(windows, epoch_rows(len(windows), args.batch_size, step, args.seed))

    some = torch.arange(0, len(held_out), max(1, len(held_out) // HELD_OUT))[:HELD_OUT]
    return Source(tokenizer, draw, read(held_out, some))


def read_documents(data: str, split: Split) -> Iterator[str]:
    """Yield the documents of a split one by one.

    Args:
        data: `"docstrings"`, or the path of a text file in UTF-8. Its documents are its paragraphs:
            a blank line ends one. Those that begin in the first 90 % are for training, the others
            for validation and test alike.
        split: Which documents.

    Raises:
        DataError: If the file is missing, empty, not UTF-8, or has no document for the split.
    """
    if data == "docstrings":
        yield from (document.text for document in load_docstrings().split(split))
        return
    path = Path(data)
    if not path.is_file():
        raise DataError(f"{data} is no file; a data set of the course is 'docstrings' or 'exact'")
    border = TRAIN_SHARE * path.stat().st_size
    n = 0
    try:
        for start, text in _paragraphs(path):
            if (start < border) == (split == "train"):
                n += 1
                yield text
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error
    if n == 0:
        what = "is empty" if split == "train" else "has no paragraph that begins in its last tenth"
        raise DataError(f"{path} {what}: expected paragraphs with blank lines between them")


def _paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each paragraph, and the byte at which it starts."""
    lines: list[str] = []
    start = position = length = 0
    with path.open(encoding="utf-8", newline="") as file:
        while line := file.readline(_LONGEST):
            if lines and (not line.strip() or length > _LONGEST):
                yield start, "".join(lines).strip()
                lines, length = [], 0
            if line.strip():
                start = start if lines else position
                lines.append(line)
                length += len(line)
            position += len(line.encode())
    if lines:
        yield start, "".join(lines).strip()


def train_tokenizer(texts: Iterable[str], objective: Objective, vocab_size: int) -> Tokenizer:
    """Learn byte-level BPE for a decoder or WordPiece for an encoder from the first documents."""
    train = Tokenizer.train if objective == "masked" else Tokenizer.train_byte_pairs
    return train(islice(texts, MOST_DOCUMENTS), vocab_size)


def encode_documents(
    tokenizer: Tokenizer, texts: Iterable[str], objective: Objective
) -> Iterator[list[int]]:
    """Yield `[CLS] text [SEP]` for a decoder, `text [SEP]` for an encoder.

    An encoder reads windows of several documents that start with one `[CLS]`.
    """
    texts = iter(texts)
    while some := list(islice(texts, 1000)):
        for ids in tokenizer.encode_all(some, add_special_tokens=False):
            yield [CLS, *ids, SEP] if objective == "causal" else [*ids, SEP]


def exact_windows(
    language: HiddenMarkovModel, n: int, length: int, draws: torch.Generator
) -> Tensor:
    """Return `(n, length)` ids: `[CLS]`, then a text of the language."""
    return with_cls(language.sample(n, length - 1, draws).ids)


def with_cls(ids: Tensor) -> Tensor:
    """Put `[CLS]` before each row of `(B, T)` ids."""
    return torch.cat((ids.new_full((len(ids), 1), CLS), ids), dim=1)


def exact_tokenizer(language: HiddenMarkovModel) -> Tokenizer:
    """Return a tokenizer whose tokens are the words of the language."""
    vocabulary = {word: i for i, word in enumerate(language.words)}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(list(language.words[: language.words.index("[MASK]") + 1]))
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", CLS)]
    )
    return Tokenizer(backend)


def scored_batches(
    ids: Tensor, causal: bool, vocab_size: int, attend: Tensor | None = None
) -> list[Any]:
    """Split `(N, T)` ids into batches to score; an encoder gets BERT's 15 % of masked tokens."""
    real = repeat(None) if attend is None else attend.split(64)
    parts = zip(ids.split(64), real)  # noqa: B905
    if causal:
        return [CausalBatch(part, real) for part, real in parts]
    draws = generator(12345)
    return [mask_tokens(part, SCORED_RATE, vocab_size, draws, real) for part, real in parts]


def exact_limit(ids: Tensor, batches: list[Any]) -> float:
    """Return the least loss per token that any model can have on `scored_batches` of `ids`."""
    language, total, count = exact_language(), 0.0, 0
    for batch, part in zip(batches, ids.split(64), strict=True):
        if isinstance(batch, MaskedBatch):
            corrupted, selected = batch.ids[:, 1:], batch.selected[:, 1:]
            p = masked_log_probs(language, corrupted, selected, part[:, 1:], SCORED_RATE)
        else:
            p = next_token_log_probs(language, part[:, 1:])
        total, count = total - p.sum().item(), count + p.numel()
    return total / count


def say(line: str) -> None:
    """Write a line to standard error, above the progress bar."""
    tqdm.write(line, file=sys.stderr)
