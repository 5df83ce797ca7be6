from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptft.models.config import (
    BERT,
    GPT2,
    LLAMA,
    MODERNBERT,
    ROBERTA,
    SPEEDRUN,
    VASWANI,
    Style,
    TransformerConfig,
)
from ptft.models.heads import CausalLanguageModel, LanguageModel, MaskedLanguageModel
from ptft.models.transformer import Block, Transformer

STYLES = {"modernbert": MODERNBERT, "bert": BERT, "roberta": ROBERTA, "gpt2": GPT2}
STYLES |= {"llama": LLAMA, "vaswani": VASWANI, "speedrun": SPEEDRUN}
CONFIG = TransformerConfig(40, 16, 4, 2, 24, 10)
every_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)


def spread(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def ids():
    return torch.randint(5, 40, (3, 10), generator=torch.Generator().manual_seed(1))


def scores(model, ids):
    """Return `(B, T, V)` logits of either kind of language model."""
    if isinstance(model, CausalLanguageModel):
        return model(ids)
    return model(ids, None, torch.ones_like(ids, dtype=torch.bool)).view(*ids.shape, -1)


def both(config) -> list[LanguageModel]:
    torch.manual_seed(0)
    return [MaskedLanguageModel(config), CausalLanguageModel(replace(config, causal=True))]


@every_style
def test_an_untrained_model_has_the_right_shape_and_guesses_uniformly(ids, style):
    targets = torch.randint(5, 40, (30,), generator=torch.Generator().manual_seed(2))
    for model in both(replace(CONFIG, style=style)):
        logits = scores(model, ids)
        assert logits.shape == (3, 10, 40)
        loss = F.cross_entropy(logits.flatten(0, 1), targets).item()
        assert loss == pytest.approx(torch.tensor(40.0).log().item(), rel=0.05)


@every_style
def test_the_gradient_reaches_every_parameter(ids, style):
    # Behind a projection that starts at zero nothing moves until it has moved; SPEEDRUN has two
    # such projections in a row, its output layer being the second.
    steps = 1 if style.init_std else 2 if style.tied else 3
    for model in both(replace(CONFIG, style=style)):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        reached = set()
        for _ in range(steps):
            sgd.zero_grad()
            F.cross_entropy(scores(model, ids).flatten(0, 1), ids.flatten()).backward()
            sgd.step()
            reached |= {n for n, p in model.named_parameters() if p.grad.count_nonzero()}
        assert reached == {name for name, _ in model.named_parameters()}


@every_style
@pytest.mark.parametrize("n_kv_heads", [None, 2, 1])
def test_padding_and_future_change_nothing(ids, style, n_kv_heads):
    encoder, decoder = (
        spread(Transformer(replace(CONFIG, style=style, causal=causal, n_kv_heads=n_kv_heads)))
        for causal in (False, True)
    )
    attend = torch.ones_like(ids, dtype=torch.bool)
    attend[:, 7:] = False
    other = ids.clone()
    other[:, 7:] = 9
    assert torch.equal(encoder(ids, attend)[:, :7], encoder(other, attend)[:, :7])
    assert torch.equal(decoder(ids)[:, :7], decoder(other)[:, :7])
    assert not torch.allclose(encoder(ids)[:, 0], encoder(other)[:, 0])


@every_style
def test_segments_and_order_enter_where_they_should(ids, style):
    trunk = spread(Transformer(replace(CONFIG, style=style)))
    assert not torch.allclose(trunk(ids).mean(1), trunk(ids.flip(1)).mean(1), atol=1e-3)
    segments = torch.zeros_like(ids)
    if not style.n_segments:
        with pytest.raises(ValueError, match="n_segments is 0"):
            trunk(ids, segments=segments)
        return
    assert torch.equal(trunk(ids), trunk(ids, segments=segments))
    segments[:, 5:] = 1
    if style.n_segments == 1:
        with pytest.raises(ValueError, match=r"segments must be in \[0, 1\)"):
            trunk(ids, segments=segments)
    else:
        assert not torch.allclose(trunk(ids), trunk(ids, segments=segments))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_block_equals_the_librarys_encoder_layer(norm_first, activation):
    style = replace(VASWANI, norm_first=norm_first, feed_forward=activation)
    layer = spread(
        nn.TransformerEncoderLayer(
            16, 4, 24, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
        )
    )
    block = Block(replace(CONFIG, style=style))
    weights = layer.state_dict()
    names = {
        "attention.qkv": "self_attn.in_proj_", "attention.out": "self_attn.out_proj.",
        "attention_norm": "norm1.", "feed_forward_norm": "norm2.",
        "feed_forward.inner": "linear1.", "feed_forward.out": "linear2.",
    }  # fmt: skip
    ends = ("weight", "bias")
    block.load_state_dict({f"{a}.{e}": weights[b + e] for a, b in names.items() for e in ends})
    x, attend = torch.randn(2, 9, 16), torch.ones(2, 9, dtype=torch.bool)
    attend[1, 5:] = False
    expected = layer(x, src_key_padding_mask=~attend)[attend]
    torch.testing.assert_close(block(x, attend=attend)[attend], expected, rtol=1e-5, atol=1e-5)


def test_gates_squares_and_norms_are_what_their_papers_write():
    config = replace(CONFIG, style=LLAMA)
    feed_forward = spread(Block(config)).feed_forward
    x = torch.randn(3, 16)
    value, gate = feed_forward.inner(x).split(24, dim=-1)
    torch.testing.assert_close(
        feed_forward(x), feed_forward.out(value * value.sigmoid() * gate)
    )  # Shazeer 2020, eq. 6
    squared = spread(Block(replace(CONFIG, style=SPEEDRUN))).feed_forward
    torch.testing.assert_close(squared(x), squared.out(squared.inner(x).clamp(min=0) ** 2))
    norm = Block(config).feed_forward_norm  # Zhang & Sennrich 2019, eq. 4
    torch.testing.assert_close(norm(x), x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": "absolute"}, "positions must be one of .* got 'absolute'"),
        ({"norm": "batch"}, "norm must be one of .* got 'batch'"),
        ({"feed_forward": "silu"}, "feed_forward must be one of .* got 'silu'"),
        ({"n_segments": -1}, "n_segments must not be negative, got -1"),
        ({"norm_eps": 0.0}, "norm_eps must be positive, got 0.0"),
        ({"embedding_std": -1.0}, "embedding_std must be positive, got -1.0"),
    ],
)
def test_impossible_styles(change, message):
    with pytest.raises(ValueError, match=message):
        Style(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_kv_heads": 3}, "n_kv_heads must divide 4 heads, got 3"),
        ({"n_kv_heads": 0}, "kv_heads must be a positive whole number, got 0"),
        ({"d_model": 20, "n_heads": 4}, "even number, got 20 / 4"),
        ({"d_model": 15, "n_heads": 3, "style": VASWANI}, "even d_model, got 15"),
    ],
)
def test_impossible_configs_of_a_style(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


def test_an_odd_head_is_possible_without_rotation():
    config = replace(CONFIG, d_model=20, style=GPT2, causal=True)
    assert Transformer(config)(torch.ones(1, 4, dtype=torch.int64)).shape == (1, 4, 20)
