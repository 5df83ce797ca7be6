import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from ptft.embeddings.glove import (
    CountBatch,
    GloVe,
    GloVeConfig,
    all_counts,
    check_counts,
    count_weights,
    glove_cost,
    glove_loss,
    train_glove,
)
from ptft.text.words import Vocabulary

V = 12


def random_counts(seed=0, size=V, density=0.6):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.gamma(1, 5, (size, size)) * (rng.random((size, size)) < density))
    return csr_array((upper + upper.T + np.eye(size)).astype(np.float32))


def vocabulary(size=V):
    return Vocabulary(tuple(f"w{i:02}" for i in range(size)), (5,) * size)


def test_weights_of_the_paper():
    x = np.array([1.0, 50, 100, 1e6])
    expected = [0.01**0.75, 0.5**0.75, 1, 1]
    assert count_weights(x).tolist() == pytest.approx(expected)
    assert count_weights(np.float32([2.0])).dtype == np.float32


def test_loss_equals_the_sum_by_hand():
    counts, config = random_counts(), GloVeConfig(d_model=3, x_max=10)
    torch.manual_seed(0)
    model = GloVe(V, 3)
    total = 0.0
    w, c = model.w.tolist(), model.w_context.tolist()
    b, b_context = model.b.tolist(), model.b_context.tolist()
    for i, row in enumerate(counts.toarray().tolist()):
        for j, x in enumerate(row):
            if x > 0:
                fit = sum(p * q for p, q in zip(w[i], c[j], strict=True)) + b[i] + b_context[j]
                total += 0.5 * min((x / 10) ** 0.75, 1) * (fit - math.log(x)) ** 2
    batch = all_counts(counts, config)
    loss, n = glove_loss(model, batch)
    assert n == counts.nnz
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert glove_cost(model, batch) == pytest.approx(total / counts.nnz, rel=1e-5)


def test_cost_in_blocks_is_the_same(monkeypatch):
    batch = all_counts(random_counts(), GloVeConfig())
    model = GloVe(V, 3)
    whole = glove_cost(model, batch)
    monkeypatch.setattr("ptft.embeddings.glove._BLOCK", 5)
    assert glove_cost(model, batch) == pytest.approx(whole, rel=1e-6)


def test_training_fits_and_is_repeatable():
    counts = random_counts()
    config = GloVeConfig(d_model=V, x_max=10, epochs=40, lr=0.2, batch_size=20)
    first, again = (train_glove(counts, vocabulary(), config) for _ in range(2))
    assert len(first.costs) == 40
    assert first.costs[-1] < 0.01 * first.costs[0]  # D = V: the cost can reach zero
    assert first.costs == again.costs
    assert first.costs[-1] == glove_cost(first.model, all_counts(counts, config))
    assert torch.equal(first.vectors.matrix, first.model.w.detach() + first.model.w_context)
    assert first.vectors.words == vocabulary().words
    other = train_glove(counts, vocabulary(), GloVeConfig(d_model=V, epochs=1, seed=1))
    assert not torch.equal(first.vectors.matrix, other.vectors.matrix)


def test_each_count_is_seen_once_an_epoch(monkeypatch):
    seen = []

    def spy(model, batch):
        if torch.is_grad_enabled():
            seen.append(batch)
        return glove_loss(model, batch)

    monkeypatch.setattr("ptft.embeddings.glove.glove_loss", spy)
    counts = random_counts()
    train_glove(counts, vocabulary(), GloVeConfig(epochs=2, batch_size=17))
    for half in (seen[: len(seen) // 2], seen[len(seen) // 2 :]):
        epoch = CountBatch(*(torch.cat(column) for column in zip(*half, strict=True)))
        pairs = sorted(zip(epoch.rows.tolist(), epoch.columns.tolist(), strict=True))
        assert pairs == sorted(zip(*map(np.ndarray.tolist, counts.nonzero()), strict=True))
    assert not torch.equal(seen[0].rows, seen[len(seen) // 2].rows)


@pytest.mark.parametrize("name", ["d_model", "epochs", "batch_size", "x_max", "alpha", "lr"])
def test_wrong_config(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        GloVeConfig(**{name: 0})


def changed(value):
    counts = random_counts()
    counts.data[3] = value
    return counts


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        (np.eye(V), TypeError, "csr_array, got ndarray"),
        (csr_array(np.ones((V, V - 1))), ValueError, r"\(V, V\) with V > 1, got \(12, 11\)"),
        (csr_array(np.ones((1, 1))), ValueError, r"V > 1, got \(1, 1\)"),
        (csr_array((V, V)), ValueError, "0 counts"),
        (random_counts(size=V + 1), ValueError, "13 words, but the vocabulary has 12"),
        (changed(0), ValueError, "positive and finite, got 0.0"),
        (changed(-1), ValueError, "positive and finite, got -1.0"),
        (changed(np.nan), ValueError, "positive and finite, got nan"),
        (changed(np.inf), ValueError, "positive and finite"),
    ],
)
def test_wrong_counts(counts, error, message):
    with pytest.raises(error, match=message):
        check_counts(counts, vocabulary())
    with pytest.raises(error, match=message):
        train_glove(counts, vocabulary(), GloVeConfig())
