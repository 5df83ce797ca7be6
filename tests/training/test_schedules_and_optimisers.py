import pytest
import torch
from torch import nn

from ptft.models.config import TransformerConfig
from ptft.models.heads import MaskedLanguageModel
from ptft.training.optimisers import adamw, muon
from ptft.training.schedules import constant, warmup_cosine, warmup_linear

CONFIG = TransformerConfig(20, d_model=16, n_heads=2, n_layers=2, d_ff=16, max_len=8)


def test_warmup_linear_rises_holds_and_falls():
    schedule = warmup_linear(100, warmup=10, decay_from=0.5)
    values = [schedule(step) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert values[9:51] == [1.0] * 42
    assert values[75] == pytest.approx(0.5)
    assert values[100] == 0
    assert warmup_linear(100, warmup=10)(55) == pytest.approx(0.5)


def test_warmup_cosine_ends_at_the_floor():
    schedule = warmup_cosine(100, warmup=10, floor=0.1)
    assert schedule(4) == pytest.approx(0.5)
    assert schedule(10) == 1
    assert schedule(55) == pytest.approx(0.55)
    assert schedule(100) == schedule(200) == pytest.approx(0.1)
    assert constant(7) == 1


@pytest.mark.parametrize("schedule", [warmup_linear, warmup_cosine])
def test_a_warmup_must_fit_into_the_run(schedule):
    with pytest.raises(ValueError, match=r"warmup must be in \[0, 10\), got 10"):
        schedule(10, warmup=10)


def test_other_impossible_schedules():
    with pytest.raises(ValueError, match="decay_from"):
        warmup_linear(10, decay_from=1.0)
    with pytest.raises(ValueError, match="floor"):
        warmup_cosine(10, floor=1.5)


@pytest.mark.parametrize("make", [lambda m: adamw(m, 1e-3), muon])
def test_every_trained_parameter_has_one_optimiser(make):
    model = MaskedLanguageModel(CONFIG)
    model.head.dense.weight.requires_grad_(False)
    ids = [id(p) for o in make(model) for group in o.param_groups for p in group["params"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in model.parameters() if p.requires_grad}


def test_only_matrices_decay():
    for optimiser in adamw(MaskedLanguageModel(CONFIG), 1e-3, weight_decay=0.1):
        for group in optimiser.param_groups:
            for p in group["params"]:
                assert group["weight_decay"] == (0.1 if p.ndim >= 2 else 0.0)


def test_muon_takes_the_matrices_of_the_blocks_and_its_step_is_orthogonal():
    model = MaskedLanguageModel(CONFIG)
    optimiser = muon(model, lr=1.0)[0]
    names = {id(p): n for n, p in model.named_parameters()}
    taken = {names[id(p)] for p in optimiser.param_groups[0]["params"]}
    assert taken == {n for n, p in model.named_parameters() if ".blocks." in n and p.ndim == 2}
    weight = model.trunk.blocks[0].attention.out.weight
    before = weight.detach().clone()
    weight.grad = torch.randn_like(weight)
    optimiser.step()
    singular = torch.linalg.svdvals(before - weight.detach())
    assert singular.min() > 0.5  # five Newton-Schulz steps leave singular values near 1
    assert singular.max() < 1.4


def test_muon_needs_blocks():
    with pytest.raises(ValueError, match="use adamw"):
        muon(nn.Linear(3, 3))
