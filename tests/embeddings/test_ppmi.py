import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from ptft.embeddings.ppmi import PPMIConfig, ppmi, train_ppmi
from ptft.text.words import Vocabulary

V = 30
VOCABULARY = Vocabulary(tuple(f"w{i:02}" for i in range(V)), (5,) * V)


def random_counts(seed=0):
    rng = np.random.default_rng(seed)
    return csr_array((rng.gamma(1, 5, (V, V)) * (rng.random((V, V)) < 0.3)).astype(np.float32))


@pytest.mark.parametrize(("smoothing", "shift"), [(1.0, 1.0), (0.75, 1.0), (0.5, 3.0)])
def test_equals_the_definition(smoothing, shift):
    counts = random_counts()
    x = counts.toarray().astype(np.float64)
    p = x / x.sum()
    of_context = p.sum(axis=0) ** smoothing
    chance = p.sum(axis=1)[:, None] * of_context / of_context.sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(p / chance) - np.log(shift), 0)
    matrix = ppmi(counts, smoothing, shift)
    assert matrix.toarray() == pytest.approx(expected, abs=1e-5)
    assert matrix.dtype == np.float32
    assert (matrix.data > 0).all()


def test_independent_words_have_none():
    x = np.outer(np.arange(1, V + 1), np.arange(1, V + 1)).astype(np.float32)
    assert ppmi(csr_array(x), smoothing=1.0, shift=1.001).nnz == 0
    with pytest.raises(ValueError, match="more frequent than chance"):
        train_ppmi(csr_array(x), VOCABULARY, PPMIConfig(d_model=3, smoothing=1, shift=1.001))


def test_decomposition_is_that_of_numpy():
    counts = random_counts()
    fitted = train_ppmi(counts, VOCABULARY, PPMIConfig(d_model=V, power=1.0))
    matrix = ppmi(counts).toarray()
    values = np.linalg.svd(matrix, compute_uv=False)
    assert fitted.singular_values == pytest.approx(values, abs=1e-3)
    vectors = fitted.vectors.matrix.numpy()
    assert vectors @ vectors.T == pytest.approx(matrix @ matrix.T, abs=1e-2)  # U S^2 U^T


def test_power_and_seed():
    counts = random_counts()
    root, plain, again = (
        train_ppmi(counts, VOCABULARY, PPMIConfig(d_model=5, power=power))
        for power in (0.5, 1.0, 1.0)
    )
    scale = torch.from_numpy(root.singular_values) ** 0.5
    assert torch.allclose(root.vectors.matrix * scale, plain.vectors.matrix, atol=1e-4)
    assert torch.equal(plain.vectors.matrix, again.vectors.matrix)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_model": 0}, "d_model must be at least 1, got 0"),
        ({"smoothing": 0}, r"smoothing must be in \(0, 1\], got 0"),
        ({"smoothing": 1.5}, "smoothing must be"),
        ({"shift": 0}, "shift must be positive, got 0"),
        ({"power": -1}, "power must not be negative, got -1"),
    ],
)
def test_wrong_config(settings, message):
    with pytest.raises(ValueError, match=message):
        PPMIConfig(**settings)


def test_wrong_input():
    with pytest.raises(ValueError, match="30 words cannot have 31"):
        train_ppmi(random_counts(), VOCABULARY, PPMIConfig(d_model=31))
    with pytest.raises(ValueError, match="the vocabulary has 1"):
        train_ppmi(random_counts(), Vocabulary(("a",), (5,)), PPMIConfig(d_model=1))
    with pytest.raises(ValueError, match="smoothing must be"):
        ppmi(random_counts(), smoothing=2.0)
    with pytest.raises(TypeError, match="got ndarray"):
        ppmi(np.eye(3))
