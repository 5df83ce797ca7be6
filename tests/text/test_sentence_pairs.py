import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ptft.core.compute import generator
from ptft.text.sentence_pairs import (
    Pair,
    join_pairs,
    mask_pairs,
    next_sentence_pairs,
    sentence_order_pairs,
    truncate_pair,
)
from ptft.text.tokenizer import CLS, MASK, PAD, SEP

V, MAX_LEN, FALSE_ALARM = 4000, 24, 1e-6


def corpus():
    """39 documents of 1 to 7 sentences; token 100 d + 10 i + j + 5 is word j of sentence i of d."""
    return [
        [[100 * d + 10 * i + j + 5 for j in range(1 + (d + i) % 5)] for i in range(1 + d % 7)]
        for d in range(39)
    ]


def document_of(token):
    return (token - 5) // 100


def sentence_of(token):
    return (token - 5) % 100 // 10


def test_half_of_the_pairs_are_random_and_of_another_document():
    pairs = next_sentence_pairs(corpus(), 4000, MAX_LEN, generator(0))
    assert binomtest(sum(pair.label for pair in pairs), 4000, 0.5).pvalue > FALSE_ALARM
    for a, b, label in pairs:
        assert (document_of(a[-1]) == document_of(b[0])) == (label == 0)
        assert len({*map(document_of, a)}) == len({*map(document_of, b)}) == 1
        if label == 0:
            assert sentence_of(b[0]) == sentence_of(a[-1]) + 1


def test_places_and_random_spans_are_uniform():
    """Of each document and class the share is within a band that a right program leaves once in
    a million runs, all 130 comparisons together."""
    documents, n = corpus(), 20_000
    pairs = next_sentence_pairs(documents, n, MAX_LEN, generator(1))
    places = [max(len(document) - 1, 0) for document in documents]
    random = [pair for pair in pairs if pair.label]
    for d, own in enumerate(places):
        share = own / sum(places)
        count = sum(document_of(pair.a[0]) == d for pair in pairs)
        assert binomtest(count, n, share).pvalue > FALSE_ALARM / 130
        # B is of d if A is of another e, uniformly over all places that are not of e.
        chance = sum(
            e / sum(places) * own / (sum(places) - e) for i, e in enumerate(places) if i != d
        )
        count = sum(document_of(pair.b[0]) == d for pair in random)
        assert binomtest(count, len(random), chance).pvalue > FALSE_ALARM / 130
        starts = {sentence_of(pair.b[0]) for pair in random if document_of(pair.b[0]) == d}
        assert starts == set(range(1, len(documents[d])))  # never a document's first sentence


def test_two_documents_are_enough():
    documents = [[[5], [6]], [[7], [8], [9]]]
    pairs = next_sentence_pairs(documents, 200, 5, generator(0))
    assert {tuple(pair.b) for pair in pairs if pair.label and pair.a == [5]} == {(8,), (9,)}
    assert {tuple(pair.b) for pair in pairs if not pair.label} == {(6,), (8,), (9,)}


def test_order_pairs_are_neighbours_half_of_them_swapped():
    pairs = sentence_order_pairs(corpus(), 4000, MAX_LEN, generator(0))
    assert binomtest(sum(pair.label for pair in pairs), 4000, 0.5).pvalue > FALSE_ALARM
    for a, b, label in pairs:
        first, second = (b, a) if label else (a, b)
        assert document_of(first[-1]) == document_of(second[0])
        assert sentence_of(second[0]) == sentence_of(first[-1]) + 1
    assert sentence_order_pairs([[[5], [6]]], 3, 5, generator(0))  # one document is enough


def test_spans_are_whole_sentences_that_fit():
    documents = [[[5, 6], [7], [8, 9], [10] * 9, [11]]] * 2
    pairs = next_sentence_pairs(documents, 100, 11, generator(0))  # room for 4 tokens each
    assert {tuple(pair.a) for pair in pairs} == {(5, 6), (5, 6, 7), (7, 8, 9), (10,) * 9}
    assert {tuple(pair.b) for pair in pairs} == {(7, 8, 9), (8, 9), (10,) * 9, (11,)}


def test_the_same_seed_draws_the_same_pairs():
    draw = [next_sentence_pairs(corpus(), 50, MAX_LEN, generator(seed)) for seed in (3, 3, 4)]
    assert draw[0] == draw[1] != draw[2]


@given(a=st.lists(st.integers(5, 99)), b=st.lists(st.integers(5, 99)), room=st.integers(2, 30))
def test_truncation_takes_from_the_longer_span(a, b, room):
    kept, left, right = truncate_pair(a, b, room), list(a), list(b)
    while len(left) + len(right) > room:
        if len(left) > len(right):
            left.pop(0)
        else:
            right.pop()
    assert kept == (left, right)


def test_segments_and_padding():
    pairs = [Pair([7, 8], [9], 0), Pair([7], [8, 9, 10, 11], 1)]
    ids, attend, segments = join_pairs(pairs, 7)
    assert ids.tolist() == [[CLS, 7, 8, SEP, 9, SEP, PAD], [CLS, 7, SEP, 8, 9, 10, SEP]]
    assert attend.sum(1).tolist() == [6, 7]
    assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]


def test_a_batch_masks_words_only():
    pairs = next_sentence_pairs(corpus(), 64, MAX_LEN, generator(0))
    ids, attend, segments = join_pairs(pairs, MAX_LEN)
    batch = mask_pairs(pairs, MAX_LEN, 0.3, V, generator(1))
    assert torch.equal(batch.targets, ids[batch.selected])
    assert torch.equal(batch.ids[~batch.selected], ids[~batch.selected])
    assert batch.targets.min() > MASK
    assert torch.equal(batch.attend, attend)
    assert torch.equal(batch.segments, segments)
    assert batch.labels.tolist() == [pair.label for pair in pairs]


TWO = [[[5], [6]], [[7], [8]]]


@pytest.mark.parametrize(
    ("documents", "n", "max_len", "error", "message"),
    [
        (TWO[:1], 1, 9, ValueError, "2 or more documents of two or more sentences, got 1"),
        ([*TWO[:1], [[7]]], 1, 9, ValueError, "of two or more sentences, got 1"),
        ([], 1, 9, ValueError, "sentences, got 0"),
        ([[[5], []], TWO[1]], 1, 9, ValueError, "empty sentence"),
        ([["a text", "b"], TWO[1]], 1, 9, TypeError, "token ids, got text: 'a text'"),
        (["a text", TWO[1]], 1, 9, TypeError, "token ids, got text: 'a text'"),
        (TWO, 0, 9, ValueError, "n must be at least 1, got 0"),
        (TWO, 1, 4, ValueError, "at least 5, got 4"),
    ],
)
def test_bad_input(documents, n, max_len, error, message):
    with pytest.raises(error, match=message):
        next_sentence_pairs(documents, n, max_len, generator(0))


def test_bad_pairs():
    with pytest.raises(ValueError, match="sentences, got 0"):
        sentence_order_pairs([[[5]]], 1, 9, generator(0))
    with pytest.raises(ValueError, match="room for 2 tokens, got 1"):
        truncate_pair([5], [6], 1)
    with pytest.raises(ValueError, match="both spans of a pair"):
        join_pairs([Pair([5], [], 0)], 9)
    with pytest.raises(ValueError, match="non-empty"):
        join_pairs([], 9)
    with pytest.raises(ValueError, match="at least 5, got 3"):
        join_pairs([Pair([5], [6], 0)], 3)
