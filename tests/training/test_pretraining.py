from dataclasses import replace

import pytest
import torch

from ptft.core.compute import generator
from ptft.models.config import TransformerConfig
from ptft.training.pretraining import (
    PretrainConfig,
    evaluation_batches,
    pretrain_encoder,
    word2vec_embeddings,
)

V = 30
MODEL = TransformerConfig(V, d_model=16, n_heads=2, n_layers=1, d_ff=16, max_len=16)
CONFIG = PretrainConfig(MODEL, steps=20, batch_size=8, warmup=2, evaluate_every=10)
# Pairs of neighbours that always go together, so that a context tells its word.
PAIRS = torch.randint(5, 17, (64, 8), generator=generator(0))
WINDOWS = torch.stack((PAIRS, PAIRS + 12), dim=-1).flatten(1).int()  # (64, 16)


def test_word2vec_repeats_itself_and_puts_partners_together():
    documents = [window.tolist() for window in WINDOWS]
    a, b = (word2vec_embeddings(documents, V, 16, seed=1) for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (V, 16)
    assert a[5:29].std().item() == pytest.approx(0.1, rel=0.1)
    assert not torch.equal(a, word2vec_embeddings(documents, V, 16, seed=2))


def test_a_run_starts_from_the_given_embeddings_and_learns():
    embeddings = torch.randn(V, 16, generator=generator(0)) * 0.1
    model, history = pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG, embeddings)
    losses = history.frame("validation")
    assert losses["step"].tolist() == [0, 10, 20]
    assert losses["loss"].iloc[-1] < losses["loss"].iloc[0] - 0.1
    _, start = pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG, embeddings, stop_after=0)
    _, other = pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG, None, stop_after=0)
    assert start.last() == losses["loss"].iloc[0] != other.last()
    assert model.trunk.config == MODEL


def test_a_run_can_be_stopped_and_resumed(tmp_path):
    whole, _ = pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG)
    path = tmp_path / "run"
    pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG, checkpoint=path, stop_after=7)
    resumed, _ = pretrain_encoder(WINDOWS, WINDOWS[:16], CONFIG, checkpoint=path)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_evaluation_scores_the_same_tokens():
    first, second = evaluation_batches(WINDOWS, V), evaluation_batches(WINDOWS, V)
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, second, strict=True))


def test_impossible_settings():
    with pytest.raises(ValueError, match=r"mask_rate must be in \(0, 1\), got 1"):
        replace(CONFIG, mask_rate=1.0)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        replace(CONFIG, steps=0)
