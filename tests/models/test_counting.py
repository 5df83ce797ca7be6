from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ptft.models.config import BERT, GPT2, LLAMA, Style, TransformerConfig
from ptft.models.counting import forward_flops, parameter_count
from ptft.models.heads import BertPretrainingModel, CausalLanguageModel, MaskedLanguageModel
from ptft.models.transformer import Transformer

styles = st.builds(
    Style,
    positions=st.sampled_from(["rotary", "learned", "sinusoidal", "none"]),
    norm=st.sampled_from(["layer", "rms"]),
    norm_first=st.booleans(),
    embedding_norm=st.booleans(),
    feed_forward=st.sampled_from(["relu", "geglu", "swiglu"]),
    bias=st.booleans(),
    qk_norm=st.booleans(),
    n_segments=st.integers(0, 3),
    prediction_head=st.booleans(),
    output_bias=st.booleans(),
    tied=st.booleans(),
)
configs = st.builds(
    lambda heads, width, group, **sizes: TransformerConfig(
        n_heads=heads, d_model=heads * width, n_kv_heads=heads // group, **sizes
    ),
    heads=st.sampled_from([2, 4]),
    width=st.sampled_from([2, 6]),
    group=st.sampled_from([1, 2]),
    vocab_size=st.integers(6, 40),
    n_layers=st.integers(1, 3),
    d_ff=st.integers(1, 30),
    max_len=st.integers(5, 20),
    style=styles,
)


def size(model):
    return sum(p.numel() for p in model.parameters())


@settings(max_examples=40, deadline=None)
@given(configs)
def test_parameters_by_formula_are_those_that_torch_has(config):
    assert parameter_count(config, "none") == size(Transformer(config))
    assert parameter_count(config) == size(MaskedLanguageModel(config))
    if config.style.n_segments >= 2:
        assert parameter_count(config, "pairs") == size(BertPretrainingModel(config))


@settings(max_examples=15, deadline=None)
@given(configs, st.integers(1, 3), st.integers(1, 5), st.booleans())
def test_flops_by_formula_are_those_that_torch_counts(config, batch, length, causal):
    config = replace(config, causal=causal)
    ids = torch.ones(batch, length, dtype=torch.int64)
    selected = ids.bool()
    selected[:, 1:] = False
    # The fused kernel of the CPU is one operation that the counter does not know.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        if causal:
            logits, n = CausalLanguageModel(config)(ids), None
        else:
            logits, n = MaskedLanguageModel(config)(ids, None, selected), batch
    expected = forward_flops(config, batch, length, n_outputs=n)
    assert counter.get_total_flops() == expected
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        if causal:
            CausalLanguageModel(config)(ids).sum().backward()
        else:
            MaskedLanguageModel(config)(ids, None, selected).sum().backward()
    assert counter.get_total_flops() == 3 * expected
    assert logits.shape[-1] == config.vocab_size


def test_flops_of_both_objectives_of_bert():
    config = TransformerConfig(30, 8, 2, 2, 12, 6, style=BERT)
    ids = torch.ones(2, 6, dtype=torch.int64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        BertPretrainingModel(config)(ids, None, ids.bool())
    assert counter.get_total_flops() == forward_flops(config, 2, 6, "pairs")


@pytest.mark.parametrize(
    ("config", "head", "published"),
    [  # as transformers 5.23 counts BertForPreTraining, GPT2LMHeadModel and Llama 7B
        (TransformerConfig(30522, 768, 12, 12, 3072, 512, style=BERT), "pairs", 110_106_428),
        (TransformerConfig(50257, 768, 12, 12, 3072, 1024, style=GPT2), "words", 124_439_808),
        (TransformerConfig(32000, 4096, 32, 32, 11008, 2048, style=LLAMA), "words", 6_738_415_616),
    ],
)
def test_sizes_of_published_models(config, head, published):
    assert parameter_count(config, head) == published


def test_bad_input():
    config = TransformerConfig(30, 8, 2, 2, 12, 6)
    with pytest.raises(ValueError, match=r"head must be .* got 'class'"):
        parameter_count(config, "class")
    with pytest.raises(ValueError, match="head must be"):
        forward_flops(config, 1, 1, "class")
    with pytest.raises(ValueError, match=r"length in \[1, 6\], got 2 and 7"):
        forward_flops(config, 2, 7)
    with pytest.raises(ValueError, match="got 0 and 6"):
        forward_flops(config, 0, 6)
    with pytest.raises(ValueError, match=r"n_outputs must be in \[0, 12\], got 13"):
        forward_flops(config, 2, 6, n_outputs=13)
