"""Our models and those of `transformers` with the same weights say the same."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, BertForPreTraining

from ptft.core import DataError
from ptft.models.config import (
    BERT,
    GPT2,
    LLAMA,
    MODERNBERT,
    ROBERTA,
    SPEEDRUN,
    VASWANI,
    TransformerConfig,
)
from ptft.models.heads import BertPretrainingModel, CausalLanguageModel, MaskedLanguageModel
from ptft.pretrained.interchange import from_transformers, to_transformers
from ptft.text.batches import CausalBatch, MaskedBatch
from ptft.training.losses import causal_loss, masked_loss

V = 30
MASKED = [MODERNBERT, BERT, ROBERTA]
CAUSAL = [GPT2, LLAMA, replace(LLAMA, tied=True, rope_base=500.0)]
IGNORE = -100  # their label of what is no target


def spread(model, seed):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def theirs_of(model):
    """Return their model with our weights, opened by an auto class from our config."""
    values, weights = to_transformers(model)
    kind = AutoModelForCausalLM if model.config.causal else AutoModelForMaskedLM
    kind = BertForPreTraining if isinstance(model, BertPretrainingModel) else kind
    config = AutoConfig.for_model(**values)
    theirs = kind(config) if kind is BertForPreTraining else kind.from_config(config)
    theirs = theirs.to(model.trunk.embedding.weight.dtype)
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    tied = ("lm_head", "decoder.weight", "cls.predictions.decoder")
    assert all(any(name in key for name in tied) for key in missing), missing
    return theirs.eval()


def sizes():
    return st.fixed_dictionaries(
        {
            "heads": st.sampled_from([1, 2, 4]),
            "pairs": st.integers(1, 3),
            "layers": st.integers(2, 3),  # one layer: transformers 5.15 opens no such ModernBERT
            "d_ff": st.integers(1, 24),
            "length": st.integers(2, 12),
            "max_len": st.integers(12, 20),
            "dtype": st.sampled_from([torch.float32, torch.float64]),
            "seed": st.integers(0, 99),
        }
    )


def make(kind, style, size):
    heads = size["heads"]
    config = TransformerConfig(
        V, d_model=2 * size["pairs"] * heads, n_heads=heads, n_layers=size["layers"],
        d_ff=size["d_ff"], max_len=size["max_len"], causal=kind is CausalLanguageModel,
        n_kv_heads=max(1, heads // 2) if style.feed_forward == "swiglu" else None, style=style,
    )  # fmt: skip
    return spread(kind(config), size["seed"]).to(size["dtype"])


def padded(size):
    """Return ids without PAD among the real ones, since RoBERTa counts positions by it."""
    ids = torch.randint(5, V, (3, size["length"]))
    attend = torch.arange(size["length"]) < torch.tensor([[1], [size["length"] // 2 + 1], [99]])
    return ids.where(attend, 0), attend


def same(mine, expected):
    # their loss of float64 logits is taken in float32
    torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5, check_dtype=False)


def round_trip(ours, theirs):
    back = from_transformers(theirs.config.to_dict(), theirs.state_dict())
    assert type(back) is type(ours)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    _, again = to_transformers(back)
    assert set(again) <= set(theirs.state_dict())


@pytest.mark.parametrize("style", MASKED)
@settings(max_examples=6, deadline=None)
@given(size=sizes())
def test_masked_models_agree(style, size):
    ours = make(MaskedLanguageModel, style, size)
    theirs = theirs_of(ours)
    ids, attend = padded(size)
    selected = attend & (torch.rand(ids.shape) < 0.5)
    selected[:, 0] = True
    targets = torch.randint(0, V, ids.shape)
    with torch.no_grad():
        answer = theirs(
            ids, attention_mask=attend.long(), labels=targets.masked_fill(~selected, IGNORE)
        )
        same(ours(ids, attend, attend), answer.logits[attend])
        loss, n = masked_loss(ours, MaskedBatch(ids, attend, selected, targets[selected]))
    same(loss / n, answer.loss)
    round_trip(ours, theirs)


@pytest.mark.parametrize("style", CAUSAL)
@settings(max_examples=6, deadline=None)
@given(size=sizes())
def test_causal_models_agree(style, size):
    ours = make(CausalLanguageModel, style, size)
    theirs = theirs_of(ours)
    ids, attend = padded(size)
    labels = ids.masked_fill(~attend, IGNORE)
    with torch.no_grad():
        answer = theirs(ids, attention_mask=attend.long(), labels=labels)
        same(ours(ids, attend)[attend], answer.logits[attend])
        loss, n = causal_loss(ours, CausalBatch(ids, attend))
    same(loss / n, answer.loss)
    round_trip(ours, theirs)


@settings(max_examples=6, deadline=None)
@given(size=sizes())
def test_pretraining_models_of_pairs_agree(size):
    ours = make(BertPretrainingModel, BERT, size)
    theirs = theirs_of(ours)
    ids, attend = padded(size)
    segments = torch.randint(0, 2, ids.shape)
    labels = torch.tensor([0, 1, 0])
    targets = ids.masked_fill(~attend, IGNORE)
    with torch.no_grad():
        answer = theirs(
            ids, attention_mask=attend.long(), token_type_ids=segments, labels=targets,
            next_sentence_label=labels,
        )  # fmt: skip
        words, pairs = ours(ids, attend, attend, segments)
    same(words, answer.prediction_logits[attend])
    same(pairs, answer.seq_relationship_logits)
    same(F.cross_entropy(words, ids[attend]) + F.cross_entropy(pairs, labels), answer.loss)
    round_trip(ours, theirs)


def test_a_style_that_nobody_has_is_refused():
    size = {"vocab_size": V, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 8}
    for style in (SPEEDRUN, VASWANI, replace(MODERNBERT, bias=True)):
        model = MaskedLanguageModel(TransformerConfig(**size, style=style))
        with pytest.raises(ValueError, match="transformers has no masked model of Style"):
            to_transformers(model)
    grouped = TransformerConfig(**size, n_kv_heads=1, style=BERT)
    with pytest.raises(ValueError, match="transformers has no masked model"):
        to_transformers(MaskedLanguageModel(grouped))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "no hidden_act = 'gelu'"),
        ({"head_dim": 8}, "no head_dim = 8"),
        ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "llama3"}}, "no rope_parameters"),
        ({"num_key_value_heads": 3}, "config.json: n_kv_heads must divide"),
        ({"tie_word_embeddings": True}, "weights left over|should have shape|missing"),
        ({"hidden_size": "8"}, "config.json: d_model must be a positive whole number"),
    ],
)
def test_settings_that_we_have_not_are_refused(change, message):
    config = TransformerConfig(V, 8, 2, 2, 8, causal=True, style=LLAMA)
    values, weights = to_transformers(CausalLanguageModel(config))
    if "tie_word_embeddings" in change:
        del weights["model.norm.weight"]
    with pytest.raises(DataError, match=message):
        from_transformers(values | change, weights)


def test_gpt2_without_an_inner_size_has_four_times_the_width():
    config = TransformerConfig(V, 8, 2, 1, 32, causal=True, style=GPT2)
    values, weights = to_transformers(CausalLanguageModel(config))
    assert from_transformers(values | {"n_inner": None}, weights).config == config
