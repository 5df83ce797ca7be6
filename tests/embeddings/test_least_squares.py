from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from ptft.embeddings import least_squares
from ptft.embeddings.glove import GloVeConfig, all_counts, count_weights, glove_cost, train_glove
from ptft.embeddings.least_squares import LeastSquaresConfig, train_least_squares
from ptft.text.words import Vocabulary

V = 40
CONFIG = LeastSquaresConfig(d_model=4, x_max=10, sweeps=5)
VOCABULARY = Vocabulary(tuple(f"w{i:02}" for i in range(V)), (5,) * V)


def random_counts(seed=0, symmetric=True):
    rng = np.random.default_rng(seed)
    counts = rng.gamma(1, 5, (V, V)) * (rng.random((V, V)) < 0.3)
    counts = counts + counts.T if symmetric else counts
    return csr_array((counts + np.eye(V)).astype(np.float32))


@torch.no_grad()
def penalised_cost(model, counts, config):
    weights = counts.copy()
    weights.data = count_weights(counts.data, config.x_max, config.alpha)
    cost = glove_cost(model, all_counts(counts, GloVeConfig(x_max=config.x_max))) * counts.nnz
    for vectors, axis in ((model.w, 1), (model.w_context, 0)):
        mass = torch.from_numpy(weights.sum(axis=axis))
        cost += 0.5 * config.ridge * float((mass * vectors.square().sum(dim=1)).sum())
    return cost


@pytest.mark.parametrize("symmetric", [True, False])
def test_reported_cost_is_that_of_the_model(symmetric):
    counts = random_counts(symmetric=symmetric)
    fitted = train_least_squares(counts, VOCABULARY, CONFIG)
    true = glove_cost(fitted.model, all_counts(counts, GloVeConfig(x_max=10)))
    assert fitted.costs[-1] == pytest.approx(true, rel=1e-3)
    assert len(fitted.costs) == 5


def test_each_row_is_the_ridge_solution_of_numpy():
    counts = random_counts(symmetric=False)
    model = train_least_squares(counts, VOCABULARY, CONFIG).model
    w, b = model.w.detach().numpy(), model.b.detach().numpy()
    dense = counts.toarray().astype(np.float64)
    for j in range(V):  # the contexts were solved last, given the words
        i = dense[:, j].nonzero()[0]
        f = count_weights(dense[i, j], 10.0)
        z = np.column_stack([w[i], np.ones(len(i))])
        penalty = CONFIG.ridge * f.sum() * np.diag([1.0] * 4 + [1e-3])
        target = np.log(dense[i, j]) - b[i]
        x = np.linalg.solve(z.T @ (f[:, None] * z) + penalty, z.T @ (f * target))
        assert model.w_context[j].detach().numpy() == pytest.approx(x[:4], abs=2e-3)
        assert model.b_context[j].item() == pytest.approx(x[4], abs=2e-3)


def test_no_sweep_raises_the_penalised_cost():
    counts = random_counts()
    runs = [train_least_squares(counts, VOCABULARY, replace(CONFIG, sweeps=n)) for n in range(1, 8)]
    costs = [penalised_cost(run.model, counts, CONFIG) for run in runs]
    assert (np.diff(costs) < 1e-3).all()
    assert costs[-1] < 0.9 * costs[0]


def test_full_dimension_reaches_zero_where_adagrad_is_still_on_its_way():
    counts = random_counts()
    config = replace(CONFIG, d_model=V, sweeps=4, ridge=1e-4)
    exact = train_least_squares(counts, VOCABULARY, config)
    assert exact.costs[-1] < 1e-4
    slow = train_glove(counts, VOCABULARY, GloVeConfig(d_model=V, x_max=10, epochs=4))
    assert slow.costs[-1] > 100 * exact.costs[-1]


def test_blocks_do_not_matter(monkeypatch):
    whole = train_least_squares(random_counts(), VOCABULARY, CONFIG)
    monkeypatch.setattr(least_squares, "_BLOCK", 7)
    parts = train_least_squares(random_counts(), VOCABULARY, CONFIG)
    assert torch.allclose(whole.vectors.matrix, parts.vectors.matrix, atol=1e-3)


def test_counts_of_any_type():
    counts = random_counts()
    single = train_least_squares(counts, VOCABULARY, CONFIG)
    double = train_least_squares(counts.astype(np.float64), VOCABULARY, CONFIG)
    assert torch.equal(single.vectors.matrix, double.vectors.matrix)
    whole = csr_array(np.ceil(counts.toarray()).astype(np.int64))
    assert train_least_squares(whole, VOCABULARY, CONFIG).model.w.dtype == torch.float32


def test_a_word_without_counts_gets_zeros():
    counts = random_counts().toarray()
    counts[5] = counts[:, 5] = 0
    vectors = train_least_squares(csr_array(counts), VOCABULARY, CONFIG).vectors
    assert (vectors["w05"] == 0).all()
    assert (vectors["w06"] != 0).all()


@pytest.mark.parametrize("name", ["d_model", "sweeps", "x_max", "alpha", "ridge"])
def test_wrong_config(name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        LeastSquaresConfig(**{name: 0})


def test_wrong_counts():
    with pytest.raises(ValueError, match="the vocabulary has 1"):
        train_least_squares(random_counts(), Vocabulary(("a",), (5,)), CONFIG)
    counts = random_counts()
    counts.data[0] = -1
    with pytest.raises(ValueError, match="positive and finite, got -1"):
        train_least_squares(counts, VOCABULARY, CONFIG)
