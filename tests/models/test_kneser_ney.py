"""Kneser-Ney by sorted arrays equals Kneser-Ney by dictionaries, and what can be done by hand."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from ptft.models.kneser_ney import KneserNey, cross_fitted


def random_documents(vocab_size, lengths, seed=0):
    """Return texts with structure: each token is the one before it, or near, or any."""
    rng = np.random.default_rng(seed)
    documents = []
    for length in lengths:
        text = [int(rng.integers(vocab_size))] if length else []
        while len(text) < length:
            step = rng.integers(2) if rng.random() < 0.8 else rng.integers(vocab_size)
            text.append(int((text[-1] + step) % vocab_size))
        documents.append(np.array(text, dtype=np.int32))
    return documents


def reference(documents, order, vocab_size):
    """Return p(token, context) by definition, with dictionaries and recursion."""
    tables = {}
    for n in range(1, order + 1):
        if n == order:
            counts = Counter(
                tuple(d[i : i + n].tolist()) for d in documents for i in range(len(d) - n + 1)
            )
        else:  # different neighbours to the left, and starts of documents
            left = defaultdict(set)
            for which, d in enumerate(documents):
                for i in range(len(d) - n + 1):
                    neighbour = int(d[i - 1]) if i else f"start of document {which}"
                    left[tuple(d[i : i + n].tolist())].add(neighbour)
            counts = Counter({gram: len(found) for gram, found in left.items()})
        of = Counter(counts.values())
        y = of[1] / max(of[1] + 2 * of[2], 1)
        discounts = {
            k: min(max(k - (k + 1) * y * of[k + 1] / max(of[k], 1), 0.05), k) for k in (1, 2, 3)
        }
        after = defaultdict(dict)
        for gram, count in counts.items():
            after[gram[:-1]][gram[-1]] = count
        tables[n] = (after, discounts)

    def p(token, context, n):
        if n == 0:
            return 1 / vocab_size
        after, discounts = tables[n]
        counts = after.get(tuple(context[len(context) - n + 1 :]))
        if len(context) < n - 1 or counts is None:
            return p(token, context, n - 1)
        taken = {w: discounts[min(c, 3)] for w, c in counts.items()}
        rest = sum(taken.values()) * p(token, context, n - 1)
        return (counts.get(token, 0) - taken.get(token, 0) + rest) / sum(counts.values())

    return lambda token, context: p(token, context, min(order, len(context) + 1))


@pytest.mark.parametrize(("vocab_size", "order"), [(2, 5), (7, 1), (7, 3), (5, 6)])
def test_equals_the_definition(vocab_size, order):
    documents = random_documents(vocab_size, [150, 3, 0, 1, 150])
    test = random_documents(vocab_size, [80], seed=1)[0]
    model, p = KneserNey.fit(documents, order, vocab_size), reference(documents, order, vocab_size)
    expected = [[p(w, test[:t].tolist()) for w in range(vocab_size)] for t in range(len(test) + 1)]
    whole = model.distributions(test, 0, len(test) + 1)
    assert whole == pytest.approx(np.array(expected), abs=1e-6)
    assert model.distributions(test, 70, 75) == pytest.approx(np.array(expected)[70:75], abs=1e-6)
    chosen = np.array(expected)[np.arange(len(test)), test]
    assert np.exp(model.log_probs(test)) == pytest.approx(chosen, abs=1e-12)


def test_distributions_sum_to_one_with_many_tokens_and_long_contexts():
    """4096 ** 7 is beyond 64 bits: contexts have to be numbered."""
    documents = [torch.from_numpy(d) for d in random_documents(4096, [4000, 4000])]
    model = KneserNey.fit(documents, order=7, vocab_size=4096)
    sums = model.distributions(documents[0], 0, 300).sum(axis=1)
    assert sums == pytest.approx(np.ones(300), abs=1e-5)
    assert model.log_probs(documents[0]).mean() > np.log(0.2)  # it knows what it counted


def test_one_and_two_by_hand():
    text = np.array([0, 1, 0, 1, 0, 2])  # counts 3, 2, 1: one each of n1, n2, n3
    # Y = 1 / (1 + 2) and D = 1 - 2Y, 2 - 3Y, 3 - 0; what is taken off is shared by four tokens.
    d1, d2, d3 = 1 / 3, 1.0, 3.0
    rest = (d1 + d2 + d3) / 6 / 4
    one = [(3 - d3) / 6 + rest, (2 - d2) / 6 + rest, (1 - d1) / 6 + rest, rest]
    unigram = KneserNey.fit([text], order=1, vocab_size=4)
    assert unigram.distributions(text, 0, 1)[0] == pytest.approx(one)

    # Bigrams 01 01 10 10 02. To the left stand: of 0 the start and 1, of 1 a 0, of 2 a 0.
    e1, e2 = 1 - 2 * 0.5 * 1 / 2, 2.0  # two of one, one of two: Y = 2 / 4
    share = (e2 + 2 * e1) / 4 / 4
    low = np.array([0, 1 - e1, 1 - e1, 0]) / 4 + share
    f1, f2 = 1 - 2 * 0.2 * 2 / 1, 2.0  # one of one, two of two: Y = 1 / 5
    after_0 = np.array([0, 2 - f2, 1 - f1, 0]) / 3 + (f1 + f2) / 3 * low
    bigram = KneserNey.fit([text], order=2, vocab_size=4)
    assert bigram.distributions(text, 1, 2)[0] == pytest.approx(after_0)
    assert bigram.distributions(text, 0, 1)[0] == pytest.approx(low)


def test_an_unseen_context_backs_off():
    text = random_documents(6, [300])[0]
    unseen = np.array([7, 7, 1, 2])
    long, short = KneserNey.fit([text], 5, 8), np.array([1, 2])
    assert np.array_equal(long.distributions(unseen, 4, 5), long.distributions(short, 2, 3))
    assert np.isfinite(long.log_probs(unseen)).all()


def test_nothing_crosses_from_document_to_document():
    a, b = np.array([0, 0, 0]), np.array([1, 1, 1])
    apart, joined = (KneserNey.fit(d, 2, 2) for d in ([a, b], [np.concatenate((a, b))]))
    assert apart.distributions(a, 1, 2)[0, 1] < joined.distributions(a, 1, 2)[0, 1]


@pytest.mark.parametrize("folds", [2, 5])
def test_cross_fitting_leaves_each_part_out(folds):
    text, order = random_documents(5, [203])[0], 4
    found = cross_fitted(text, order, 5, folds)
    assert found.dtype == np.float16
    bounds = np.linspace(0, len(text), folds + 1).astype(int)
    for low, high in pairwise(bounds):
        others = [part for part in (text[:low], text[high:]) if len(part)]
        model = KneserNey.fit(others, order, 5)
        expected = np.log(model.distributions(text, low, high))
        assert found[low:high] == pytest.approx(expected, abs=5e-3)


TEXT = np.arange(5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: KneserNey.fit([TEXT], 0, 5), ValueError, "order and vocab_size must be at least"),
        (lambda: KneserNey.fit([TEXT], 2, 0), ValueError, "order and vocab_size must be at least"),
        (lambda: KneserNey.fit([TEXT], 2, 4), ValueError, r"in \[0, 4\), got values from 0 to 4"),
        (lambda: KneserNey.fit([-TEXT], 2, 5), ValueError, "got values from -4 to 0"),
        (lambda: KneserNey.fit([], 2, 5), ValueError, "there is no token"),
        (lambda: KneserNey.fit([TEXT[:0]], 2, 5), ValueError, "there is no token"),
        (lambda: KneserNey.fit([TEXT / 1], 2, 5), TypeError, "must be integers, got float64"),
        (lambda: KneserNey.fit([TEXT[None]], 2, 5), ValueError, r"shape \(N,\), got \(1, 5\)"),
        (lambda: KneserNey.fit([TEXT], 2, 5).log_probs(TEXT + 1), ValueError, "from 1 to 5"),
        (lambda: KneserNey.fit([TEXT], 2, 5).distributions(TEXT, 3, 7), ValueError, "3 to 7"),
        (lambda: cross_fitted(TEXT, 2, 5, folds=1), ValueError, r"folds must be in \[2, 5\]"),
        (lambda: cross_fitted(TEXT, 0, 5, folds=2), ValueError, "at least 1, got order 0"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
