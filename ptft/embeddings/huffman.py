"""Huffman codes: the tree of the hierarchical softmax."""

import heapq
from typing import NamedTuple

import torch
from torch import Tensor

from ptft.text.words import Vocabulary


class WordPaths(NamedTuple):
    """For each word the inner nodes from the root to its leaf, and the turn at each."""

    nodes: Tensor  # (V, P) int64, inner nodes numbered from 0 to V - 2; 0 after the path's end
    turns: Tensor  # (V, P) float32, +1 = left, -1 = right, 0 after the path's end


def huffman_paths(vocabulary: Vocabulary) -> WordPaths:
    """Build the binary tree in which the expected path is shortest: frequent words are near.

    Two nodes with the smallest counts are joined until one is left (Huffman 1952; Mikolov et al.
    2013b, sec. 2.1). Equal counts are joined in the order in which they came, so that the same
    vocabulary gives the same tree.

    Raises:
        ValueError: If the vocabulary has fewer than two words: there is nothing to decide.
    """
    size = len(vocabulary)
    if size < 2:
        raise ValueError(f"a tree needs at least two words, got {size}")
    heap = [(count, node) for node, count in enumerate(vocabulary.counts)]  # leaves: 0 .. V-1
    heapq.heapify(heap)
    parent: dict[int, tuple[int, float]] = {}  # node -> (its parent, the turn to take there)
    for inner in range(size, 2 * size - 1):
        (left_count, left), (right_count, right) = heapq.heappop(heap), heapq.heappop(heap)
        parent[left], parent[right] = (inner, 1.0), (inner, -1.0)
        heapq.heappush(heap, (left_count + right_count, inner))
    paths = []
    for leaf in range(size):
        path, node = [], leaf
        while node in parent:
            node, turn = parent[node]
            path.append((node - size, turn))
        paths.append(path[::-1])  # from the root
    longest = max(map(len, paths))
    padded = [path + [(0, 0.0)] * (longest - len(path)) for path in paths]  # (V, P) pairs
    nodes = torch.tensor([[node for node, _ in path] for path in padded])
    turns = torch.tensor([[turn for _, turn in path] for path in padded])
    return WordPaths(nodes, turns)
