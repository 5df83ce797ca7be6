"""What byte-pair encoding and WordPiece share: join the most frequent pair, again and again."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TypeVar

Pair = tuple[int, int]
Token = TypeVar("Token", bytes, str)


def count_words(texts: Iterable[str], split: Callable[[str], list[str]]) -> Counter[str]:
    """Cut every text into words and count them.

    Raises:
        TypeError: If `texts` is a single string or holds something else than strings.
        ValueError: If there are no words.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a list of texts, got one string")
    counts: Counter[str] = Counter()
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"expected text (str), got {type(text).__name__}")
        counts.update(split(text))
    if not counts:
        raise ValueError("cannot train without text (an iterator can be read only once)")
    return counts


def learn_merges(
    words: Mapping[tuple[int, ...], int],
    tokens: Sequence[Token],
    join: Callable[[Token, Token], Token],
    vocab_size: int,
    min_count: int,
) -> tuple[list[Token], list[tuple[Token, Token]]]:
    r"""Merge the most frequent pair of neighbours until the vocabulary is full.

    $$(a, b) = \arg\max \sum_{w} n_w \, \#_w(ab), \qquad V \leftarrow V \cup \{ab\}$$

    Among pairs of one count the smallest pair of ids wins, as in `tokenizers`. Pairs are counted
    once; a merge corrects the counts of the words that hold it, not of the whole text.

    Args:
        words: Each distinct word as ids of `tokens`, with its count n_w.
        tokens: The alphabet, in the order of the ids.
        join: Makes the new token from the two that it replaces.
        vocab_size: Largest number of tokens, the alphabet included.
        min_count: A rarer pair is not merged.

    Returns:
        All tokens in the order of their ids, and the merges in the order in which they were made.
        A string that two pairs can make is one token, but two merges.

    Source:
        Sennrich et al. 2016, sec. 3.2 and algorithm 1.
    """
    tokens = list(tokens)
    ids = {token: i for i, token in enumerate(tokens)}
    pieces, counts = [list(word) for word in words], list(words.values())
    pair_counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, piece in enumerate(pieces):
        for pair in pairwise(piece):
            pair_counts[pair] += counts[i]
            where[pair].add(i)
    queue = [(-pair_counts[pair], pair, places) for pair, places in where.items()]
    heapify(queue)  # the highest count first, then the smallest ids
    merges = []
    while queue and len(tokens) < vocab_size:
        negative, pair, places = heappop(queue)
        if -negative != pair_counts[pair]:  # a merge since then used some of its letters
            heappush(queue, (-pair_counts[pair], pair, places))
            continue
        if -negative < min_count:
            break
        first, second = tokens[pair[0]], tokens[pair[1]]
        token = join(first, second)
        if token not in ids:
            ids[token] = len(tokens)
            tokens.append(token)
        merges.append((first, second))
        where = defaultdict(set)
        for i in places:
            for changed, sign in _merge(pieces[i], pair, ids[token]):
                pair_counts[changed] += sign * counts[i]
                if sign > 0:
                    where[changed].add(i)
        for changed, places in where.items():
            heappush(queue, (-pair_counts[changed], changed, places))
    return tokens, merges


def _merge(piece: list[int], pair: Pair, new: int) -> list[tuple[Pair, int]]:
    """Replace `pair` by `new` in place, from left to right; list the pairs that come and go."""
    changes = []
    i = 0
    while i < len(piece) - 1:
        if (piece[i], piece[i + 1]) == pair:
            piece[i : i + 2] = [new]
            if i > 0:
                changes += [((piece[i - 1], pair[0]), -1), ((piece[i - 1], new), 1)]
            if i + 1 < len(piece):
                changes += [((pair[1], piece[i + 1]), -1), ((new, piece[i + 1]), 1)]
        i += 1
    return changes


def apply_merges(symbols: Sequence[int], table: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """Apply to one word the merges that were learnt, first learnt first, then from left to right.

    Costs n log n for n symbols: a word may be a megabyte of letters without a space.

    Args:
        symbols: The word as ids of the alphabet.
        table: The rank of each merge and the id that it makes.
    """
    ids: list[int | None] = list(symbols)  # None: was merged into the symbol on its left
    before, after = list(range(-1, len(ids) - 1)), list(range(1, len(ids) + 1))
    queue: list[tuple[int, int, int]] = []  # rank, place of the left symbol, id that it makes

    def look_up(left: int, right: int) -> tuple[int, int] | None:
        if left < 0 or right >= len(ids) or (a := ids[left]) is None or (b := ids[right]) is None:
            return None
        return table.get((a, b))

    def push(left: int, right: int) -> None:
        if found := look_up(left, right):
            heappush(queue, (found[0], left, found[1]))

    for i in range(len(ids) - 1):
        push(i, i + 1)
    while queue:
        _, i, new = heappop(queue)
        found = look_up(i, after[i])
        if not found or found[1] != new:  # another merge took one of the two
            continue
        ids[i], ids[after[i]] = new, None
        after[i] = after[after[i]]
        if after[i] < len(ids):
            before[after[i]] = i
        push(before[i], i)
        push(i, after[i])
    return [i for i in ids if i is not None]
