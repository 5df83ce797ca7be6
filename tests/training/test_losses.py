import math

import pytest
import torch
import torch.nn.functional as F

from ptft.core.compute import generator
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel, SequenceClassifier
from ptft.models.transformer import Transformer, TransformerConfig
from ptft.text.batches import CausalBatch, LabelledBatch, MaskedBatch, mask_tokens
from ptft.training.losses import causal_loss, class_loss, masked_loss, mean_loss

V = 30
CONFIG = TransformerConfig(V, d_model=16, n_heads=2, n_layers=1, d_ff=16, max_len=12)
DECODER = TransformerConfig(V, d_model=16, n_heads=2, n_layers=1, d_ff=16, max_len=12, causal=True)


def spread(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def ids():
    return torch.randint(5, V, (4, 10), generator=generator(0))


@pytest.mark.parametrize("loss", ["masked", "causal"])
def test_an_untrained_model_is_near_a_uniform_guess(ids, loss):
    if loss == "masked":
        total, count = masked_loss(
            MaskedLanguageModel(CONFIG), mask_tokens(ids, 0.5, V, generator(1))
        )
    else:
        total, count = causal_loss(CausalLanguageModel(DECODER), CausalBatch(ids, None))
    assert total.item() / count == pytest.approx(math.log(V), rel=0.05)


def test_causal_loss_predicts_the_next_token(ids):
    model = spread(CausalLanguageModel(DECODER))
    total, count = causal_loss(model, CausalBatch(ids, None))
    by_hand = sum(
        -model(ids)[b, t].log_softmax(0)[ids[b, t + 1]] for b in range(4) for t in range(9)
    )
    assert count == 36
    torch.testing.assert_close(total, by_hand)


@pytest.mark.parametrize("kind", ["masked", "causal", "class"])
def test_a_padded_slot_cannot_change_a_loss(ids, kind):
    attend = torch.ones_like(ids, dtype=torch.bool)
    attend[:, 7:] = False
    other = ids.clone()
    other[:, 7:] = 6
    if kind == "masked":
        model, loss_fn = spread(MaskedLanguageModel(CONFIG)), masked_loss
        selected = torch.zeros_like(attend)
        selected[:, 2:4] = True
        batches = [MaskedBatch(x, attend, selected, ids[selected]) for x in (ids, other)]
    elif kind == "causal":
        model, loss_fn = spread(CausalLanguageModel(DECODER)), causal_loss
        batches = [CausalBatch(x, attend) for x in (ids, other)]
    else:
        model, loss_fn = spread(SequenceClassifier(Transformer(CONFIG), 3)), class_loss
        batches = [LabelledBatch(x, attend, torch.tensor([0, 1, 2, 0])) for x in (ids, other)]
    (first, n), (second, m) = (loss_fn(model, batch) for batch in batches)
    assert n == m
    assert torch.equal(first, second)


def test_the_mean_weighs_targets_not_batches(ids):
    model = spread(MaskedLanguageModel(CONFIG)).train()
    few, many = mask_tokens(ids[:1], 0.01, V, generator(0)), mask_tokens(ids, 0.9, V, generator(0))
    with torch.no_grad():
        losses = [
            F.cross_entropy(model(b.ids, None, b.selected), b.targets, reduction="none")
            for b in (few, many)
        ]
    expected = torch.cat(losses).mean().item()
    assert mean_loss(model, masked_loss, [few, many]) == pytest.approx(expected)
    assert model.training


def test_bad_labels_and_no_batches():
    model = SequenceClassifier(Transformer(CONFIG), 3)
    ids = torch.full((2, 4), 7)
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    for labels, got in (([0, 3], "0 to 3"), ([-1, 0], "-1 to 0")):
        with pytest.raises(ValueError, match=rf"labels must be in \[0, 3\), got {got}"):
            class_loss(model, LabelledBatch(ids, everywhere, torch.tensor(labels)))
    with pytest.raises(ValueError, match="over no batch"):
        mean_loss(model, class_loss, [])
