import heapq
import random
from functools import cache

import pytest

from ptft.embeddings.huffman import huffman_paths
from ptft.text.words import Vocabulary


def vocabulary(counts):
    return Vocabulary(tuple(f"w{i:03}" for i in range(len(counts))), tuple(counts))


def random_counts(size, seed=0):
    rng = random.Random(seed)
    return sorted((int(rng.paretovariate(0.8)) for _ in range(size)), reverse=True)


def depths(paths):
    return (paths.turns != 0).sum(1).tolist()


def turns(paths):
    """Return the turns of each word as a tuple, without padding."""
    return [tuple(row[row != 0].tolist()) for row in paths.turns]


@cache
def trees(leaves):
    """Return the depths of the leaves, in order, of every binary tree with so many."""
    if leaves == 1:
        return frozenset({(0,)})
    return frozenset(
        tuple(sorted(depth + 1 for depth in left + right))
        for k in range(1, leaves)
        for left in trees(k)
        for right in trees(leaves - k)
    )


def test_by_hand():
    paths = huffman_paths(vocabulary([5, 2, 1, 1]))
    # 1 + 1 -> node 0; with 2 -> node 1, the smaller id left; with 5 -> node 2, the root.
    assert paths.nodes.tolist() == [[2, 0, 0], [2, 1, 0], [2, 1, 0], [2, 1, 0]]
    assert paths.turns.tolist() == [[-1, 0, 0], [1, 1, 0], [1, -1, 1], [1, -1, -1]]


def test_two_words_take_one_turn():
    paths = huffman_paths(vocabulary([3, 1]))
    assert paths.nodes.tolist() == [[0], [0]]
    assert sorted(paths.turns.flatten().tolist()) == [-1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_no_tree_is_shorter(seed):
    counts = random_counts(8, seed)
    best = min(sum(c * d for c, d in zip(counts, tree, strict=True)) for tree in trees(8))
    found = depths(huffman_paths(vocabulary(counts)))
    assert sum(c * d for c, d in zip(counts, found, strict=True)) == best


@pytest.mark.parametrize("size", [2, 3, 50, 301])
def test_many_words_have_a_full_tree_of_least_cost(size):
    counts = random_counts(size)
    paths = huffman_paths(vocabulary(counts))
    assert sum(0.5**depth for depth in depths(paths)) == 1  # Kraft: no leaf is missing
    heap, cost = counts[:], 0  # the cost is the sum of all that is joined
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, joined)
        cost += joined
    assert sum(c * d for c, d in zip(counts, depths(paths), strict=True)) == cost
    codes = turns(paths)
    assert not any(a != b and a == b[: len(a)] for a in codes for b in codes)  # no leaf inside
    assert len(set(codes)) == size


def test_a_node_is_one_place_of_the_tree():
    paths = huffman_paths(vocabulary(random_counts(60)))
    place = {}
    for nodes, code in zip(paths.nodes.tolist(), turns(paths), strict=True):
        for i, node in enumerate(nodes[: len(code)]):
            assert place.setdefault(node, code[:i]) == code[:i]
    assert sorted(place) == list(range(59))
    assert len(set(place.values())) == 59
    assert place[58] == ()  # the last that is made is the root


def test_rare_words_are_further_and_ties_are_always_the_same():
    counts = random_counts(40)
    paths = huffman_paths(vocabulary(counts))
    found = depths(paths)
    assert all(found[i] <= found[j] for i in range(40) for j in range(40) if counts[i] > counts[j])
    again = huffman_paths(vocabulary(counts))
    assert again.nodes.equal(paths.nodes) and again.turns.equal(paths.turns)


def test_one_word_has_no_tree():
    with pytest.raises(ValueError, match="at least two words, got 1"):
        huffman_paths(vocabulary([3]))
