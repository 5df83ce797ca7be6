"""Pairs of spans of text: does B follow A, or are they in order?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptft.text.batches import BERT_SCHEME, mask_tokens, pad
from ptft.text.tokenizer import CLS, SEP

Document = Sequence[Sequence[int]]  # sentences of token ids without special tokens


class Pair(NamedTuple):
    """Two spans of token ids, and 0 if B follows A in the text, else 1 (as in `transformers`)."""

    a: list[int]
    b: list[int]
    label: int


@dataclass(frozen=True)
class PairBatch:
    """Corrupted ids, real tokens, segments, selected tokens: `(B, T)`; originals `(N,)`; `(B,)`.

    `segments` is 0 from `[CLS]` to the first `[SEP]`, 1 from B to the second, 0 on padding.
    `labels` are those of the pairs.
    """

    ids: Tensor
    attend: Tensor
    segments: Tensor
    selected: Tensor
    targets: Tensor
    labels: Tensor


def next_sentence_pairs(
    documents: Sequence[Document], n: int, max_len: int, generator: torch.Generator
) -> list[Pair]:
    """Draw pairs for next-sentence prediction (Devlin et al. 2019, sec. 3.1 and app. A.2).

    A ends and B begins where one sentence of a document ends and the next begins. With probability
    1/2 (label 1) B is taken from such a place in another document. So both classes begin alike,
    and only whether A and B belong together tells them apart. A span is as many whole sentences as
    fit into half of the room, at least one.

    Args:
        documents: Two or more with two or more sentences; shorter ones are passed over.
        n: Number of pairs. Places are drawn with replacement.
        max_len: Longest `[CLS] A [SEP] B [SEP]` in tokens, at least 5.
        generator: Source of randomness.

    Raises:
        TypeError: If a sentence is a text instead of token ids.
        ValueError: If a sentence is empty, there are too few documents, or a number is too small.
    """
    return _pairs(documents, n, max_len, generator, swap=False)


def sentence_order_pairs(
    documents: Sequence[Document], n: int, max_len: int, generator: torch.Generator
) -> list[Pair]:
    """Draw pairs for sentence-order prediction (Lan et al. 2020, sec. 3.1).

    A and B always stand next to each other in one document; with probability 1/2 (label 1) they
    are swapped. One document is enough. Arguments and errors as in `next_sentence_pairs`.
    """
    return _pairs(documents, n, max_len, generator, swap=True)


def truncate_pair(a: Sequence[int], b: Sequence[int], room: int) -> tuple[list[int], list[int]]:
    """Drop tokens of the longer span until both fit into `room`: the start of A, the end of B.

    What stands next to the border between them stays.

    Raises:
        ValueError: If there is not room for a token of each.
    """
    if room < 2:
        raise ValueError(f"a pair needs room for 2 tokens, got {room}")
    kept_b = min(len(b), max(room - len(a), room // 2))
    kept_a = min(len(a), room - kept_b)
    return list(a[len(a) - kept_a :]), list(b[:kept_b])


def join_pairs(pairs: Sequence[Pair], max_len: int) -> tuple[Tensor, Tensor, Tensor]:
    """Write each pair as `[CLS] A [SEP] B [SEP]`.

    Returns:
        `ids`, `attend` and `segments`, each `(B, T)`; see `PairBatch`.

    Raises:
        ValueError: If there is no pair, a span is empty, or `max_len` is below 5.
    """
    _check_length(max_len)
    if not all(pair.a and pair.b for pair in pairs):
        raise ValueError("both spans of a pair must hold a token, got an empty one")
    rows = [truncate_pair(pair.a, pair.b, max_len - 3) for pair in pairs]
    ids, attend = pad([[CLS, *a, SEP, *b, SEP] for a, b in rows], max_len)  # (B, T)
    first = torch.tensor([len(a) + 2 for a, _ in rows])  # [CLS], A and its [SEP]
    return ids, attend, ((torch.arange(ids.shape[1]) >= first[:, None]) & attend).long()


def mask_pairs(
    pairs: Sequence[Pair],
    max_len: int,
    rate: float,
    vocab_size: int,
    generator: torch.Generator,
    scheme: tuple[float, float, float] = BERT_SCHEME,
) -> PairBatch:
    """Join pairs and mask them: a batch for both of BERT's objectives.

    Arguments and errors as in `join_pairs` and `ptft.text.batches.mask_tokens`.
    """
    ids, attend, segments = join_pairs(pairs, max_len)
    masked = mask_tokens(ids, rate, vocab_size, generator, attend, scheme)
    labels = torch.tensor([pair.label for pair in pairs])  # (B,)
    return PairBatch(masked.ids, attend, segments, masked.selected, masked.targets, labels)


def _pairs(
    documents: Sequence[Document], n: int, max_len: int, generator: torch.Generator, swap: bool
) -> list[Pair]:
    _check_length(max_len)
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    _check_documents(documents, 1 if swap else 2)
    # A place is a sentence that has one before it. Those of a document are next to each other.
    places = [(d, i) for d, document in enumerate(documents) for i in range(1, len(document))]
    first = [0]
    for document in documents:
        first.append(first[-1] + max(len(document) - 1, 0))
    drawn = torch.randint(len(places), (n,), generator=generator).tolist()
    labels = torch.randint(2, (n,), generator=generator).tolist()
    other = torch.rand(n, generator=generator, dtype=torch.float64).tolist()
    half, pairs = (max_len - 3) // 2, []
    for place, label, draw in zip(drawn, labels, other, strict=True):
        d, i = places[place]
        a = _span(documents[d][i - 1 :: -1], half, backwards=True)
        if label and not swap:
            own = first[d + 1] - first[d]
            place = int(draw * (len(places) - own))  # uniform over the places of the others
            d, i = places[place if place < first[d] else place + own]
        b = _span(documents[d][i:], half)
        pairs.append(Pair(b, a, 1) if label and swap else Pair(a, b, label))
    return pairs


def _span(sentences: Document, room: int, backwards: bool = False) -> list[int]:
    """Join the first sentence and as many more as fit whole; `backwards` puts them in order."""
    taken: list[Sequence[int]] = []
    for sentence in sentences:
        if taken and sum(map(len, taken)) + len(sentence) > room:
            break
        taken.append(sentence)
    return [i for sentence in (reversed(taken) if backwards else taken) for i in sentence]


def _check_length(max_len: int) -> None:
    if max_len < 5:
        raise ValueError(f"[CLS] A [SEP] B [SEP] needs max_len of at least 5, got {max_len}")


def _check_documents(documents: Sequence[Document], least: int) -> None:
    for document in documents:
        for sentence in (document, *document):
            if isinstance(sentence, str):
                raise TypeError(f"sentences must be lists of token ids, got text: {sentence!r}")
        if not all(map(len, document)):
            raise ValueError("a document has an empty sentence")
    usable = sum(len(document) > 1 for document in documents)
    if usable < least:
        raise ValueError(
            f"expected {least} or more documents of two or more sentences, got {usable}"
        )
