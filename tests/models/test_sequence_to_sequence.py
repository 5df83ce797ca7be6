from dataclasses import replace

import pytest
import torch
from torch import nn

from ptft.models.sequence_to_sequence import (
    AdditiveAttention,
    Memory,
    Seq2SeqConfig,
    SequenceToSequence,
)
from ptft.text.batches import TranslationBatch, pad
from ptft.training.losses import translation_loss

CONFIG = Seq2SeqConfig(source_size=12, target_size=9, d_model=6)
SOURCES, TARGETS = [[5, 6, 7, 8, 9], [10, 11]], [[2, 5, 6, 7, 3], [2, 8, 3]]
both = pytest.mark.parametrize("attention", [True, False])


def new_model(attention=True, **sizes):
    torch.manual_seed(0)
    return SequenceToSequence(replace(CONFIG, attention=attention, **sizes)).eval()


@both
def test_logits_have_the_documented_shape_and_rows_do_not_mix(attention):
    model = new_model(attention)
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    logits = model(source, attend, target)
    assert logits.shape == (2, 5, 9)
    for b in range(2):  # each alone, without padding
        alone = model(torch.tensor([SOURCES[b]]), None, torch.tensor([TARGETS[b]]))[0]
        torch.testing.assert_close(logits[b, : len(alone)], alone, atol=1e-6, rtol=1e-5)


@both
def test_padding_and_the_future_change_nothing_and_every_source_word_does(attention):
    model = new_model(attention)
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    logits = model(source, attend, target)
    padding, future = source.clone(), target.clone()
    padding[1, 2:], future[:, 3:] = 7, 7
    assert torch.equal(model(padding, attend, target), logits)
    assert torch.equal(model(source, attend, future)[:, :3], logits[:, :3])
    for j in range(5):
        word = source.clone()
        word[0, j] = 4
        assert (model(word, attend, target) - logits)[0].abs().amin() > 0


@both
def test_steps_give_what_forward_gives(attention):
    model = new_model(attention)
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    memory, state = model.begin(source, attend)
    steps = []
    for t in range(target.shape[1]):
        logits, state = model.step(target[:, t], state, tuple(memory))
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), model(source, attend, target))


def test_attention_equals_the_papers_loops():
    torch.manual_seed(0)
    attention = AdditiveAttention(d_state=3, d_memory=4, d_hidden=5)
    s, h = torch.randn(2, 3), torch.randn(2, 6, 4)
    attend = torch.arange(6) < torch.tensor([[6], [4]])
    context, weights = attention(s, Memory(h, attention.u(h), attend))
    W, U, b, v = attention.w.weight, attention.u.weight, attention.u.bias, attention.v.weight[0]
    for row in range(2):
        real = h[row, attend[row]]
        e = torch.stack([v @ torch.tanh(W @ s[row] + U @ h_j + b) for h_j in real])
        alpha = e.exp() / e.exp().sum()
        torch.testing.assert_close(weights[row, : len(real)], alpha)
        assert weights[row, len(real) :].eq(0).all()
        torch.testing.assert_close(context[row], alpha @ real)


def test_the_alignment_is_a_distribution_over_real_source_tokens():
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    weights = new_model().alignment(source, attend, target)
    assert weights.shape == (2, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))
    assert weights[1, :, 2:].eq(0).all()


def test_the_encoder_is_the_librarys_on_each_source_alone():
    model = new_model()
    source, attend = pad(SOURCES)
    memory, _ = model.begin(source, attend)
    expected, _ = model.encoder(model.source_embedding(torch.tensor([SOURCES[1]])))
    torch.testing.assert_close(memory.states[1, :2], expected[0])


def test_without_attention_the_memory_is_one_vector():
    source, attend = pad(SOURCES)
    memory, state = new_model(False).begin(source, attend)
    assert memory.states.shape == (2, 1, 12)
    assert state.shape == (2, 6)


@both
def test_every_parameter_learns_and_a_batch_is_learnt_by_heart(attention):
    model = new_model(attention, d_model=24).train()
    batch = TranslationBatch(*pad(SOURCES), *pad(TARGETS))
    adam = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(40):
        loss, n = translation_loss(model, batch)
        if step == 0:
            assert n == 6
        adam.zero_grad()
        (loss / n).backward()
        adam.step()
    assert loss / n < 0.05
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_dropout_acts_in_training_only():
    model = new_model(dropout=0.5)
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    assert torch.equal(model(source, attend, target), model(source, attend, target))
    model.train()
    assert not torch.equal(model(source, attend, target), model(source, attend, target))


def test_attention_is_the_only_difference_in_size():
    sizes = [sum(p.numel() for p in new_model(kind).parameters()) for kind in (True, False)]
    extra = sum(p.numel() for p in AdditiveAttention(6, 12, 6).parameters())
    assert sizes[0] - sizes[1] == extra
    assert isinstance(new_model().cell, nn.GRUCell)


def test_bad_input():
    model = new_model()
    (source, attend), (target, _) = pad(SOURCES), pad(TARGETS)
    left, gap, empty = attend.clone(), attend.clone(), attend.clone()
    left[1], gap[0, 2], empty[1] = attend[1].flip(0), False, False
    for broken in (left, empty):
        with pytest.raises(ValueError, match="a text is empty or padded elsewhere"):
            model(source, broken, target)
    with pytest.raises(ValueError, match="a text is empty or padded elsewhere"):
        model(source, gap, target)
    with pytest.raises(ValueError, match=r"attend must be bool of shape \(2, 5\)"):
        model(source, attend[:, :3], target)
    with pytest.raises(ValueError, match="attend must be bool"):
        model(source, attend.long(), target)
    with pytest.raises(ValueError, match="a target per source, got 1 and 2"):
        model(source, attend, target[:1])
    with pytest.raises(ValueError, match=r"source ids must be \(B, T\)"):
        model(source[:, :0], attend[:, :0], target)
    with pytest.raises(ValueError, match=r"target ids must be \(B, T\)"):
        model(source, attend, target[0])
    with pytest.raises(ValueError, match=r"source ids must be in \[0, 12\), got 5 to 12"):
        model(source.clamp(min=5).where(source != 9, 12), attend, target)
    with pytest.raises(ValueError, match="has no alignment"):
        new_model(False).alignment(source, attend, target)


@pytest.mark.parametrize("name", ["source_size", "target_size", "d_model"])
def test_bad_config(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        replace(CONFIG, **{name: 0})
    with pytest.raises(ValueError, match="dropout must be in"):
        replace(CONFIG, dropout=1.0)
