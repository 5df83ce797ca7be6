from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ptft.models.config import BERT, GPT2, LLAMA, MODERNBERT, SPEEDRUN, VASWANI, TransformerConfig
from ptft.models.encoder_decoder import EncoderDecoder

CONFIG = TransformerConfig(20, 16, 4, 2, 24, 12, causal=True, style=VASWANI)
STYLES = {"vaswani": VASWANI, "bert": BERT, "gpt2": GPT2, "llama": LLAMA}
STYLES |= {"modernbert": MODERNBERT, "speedrun": SPEEDRUN}


def spread(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def texts():
    draw = torch.Generator().manual_seed(1)
    source, target = (torch.randint(5, 20, (3, n), generator=draw) for n in (9, 7))
    attend = torch.ones_like(source, dtype=torch.bool)
    attend[1, 6:] = False
    return source, attend, target


def copy_attention(ours, theirs, cross=False):
    D = theirs.embed_dim
    weight, bias = theirs.in_proj_weight, theirs.in_proj_bias
    if cross:
        ours.q.weight.copy_(weight[:D]), ours.q.bias.copy_(bias[:D])
        ours.kv.weight.copy_(weight[D:]), ours.kv.bias.copy_(bias[D:])
    else:
        ours.qkv.weight.copy_(weight), ours.qkv.bias.copy_(bias)
    ours.out.load_state_dict(theirs.out_proj.state_dict())


def copy_block(block, layer):
    decoder = hasattr(layer, "norm3")
    copy_attention(block.attention, layer.self_attn)
    block.attention_norm.load_state_dict(layer.norm1.state_dict())
    if decoder:
        copy_attention(block.cross, layer.multihead_attn, cross=True)
        block.cross_norm.load_state_dict(layer.norm2.state_dict())
    last = layer.norm3 if decoder else layer.norm2
    block.feed_forward_norm.load_state_dict(last.state_dict())
    block.feed_forward.inner.load_state_dict(layer.linear1.state_dict())
    block.feed_forward.out.load_state_dict(layer.linear2.state_dict())


# The library warns that pre-norm layers cannot take its fast path for padded rows.
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("norm_first", [False, True])
def test_it_equals_the_librarys_transformer(texts, norm_first):
    source, attend, target = texts
    style = replace(VASWANI, norm_first=norm_first)
    ours = EncoderDecoder(replace(CONFIG, style=style)).eval()
    theirs = spread(
        nn.Transformer(16, 4, 2, 2, 24, dropout=0.0, norm_first=norm_first, batch_first=True)
    )
    if not norm_first:  # the library normalises once more than the paper
        theirs.encoder.norm = theirs.decoder.norm = None
    with torch.no_grad():
        for mine, other in ((ours.encoder, theirs.encoder), (ours.trunk, theirs.decoder)):
            for block, layer in zip(mine.blocks, other.layers, strict=True):
                copy_block(block, layer)
            if norm_first:
                mine.final_norm.load_state_dict(other.norm.state_dict())

    def embed(ids):
        return F.embedding(ids, ours.trunk.embedding.weight) + ours.trunk.sinusoids[: ids.shape[1]]

    expected = theirs(
        embed(source),
        embed(target),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7),
        src_key_padding_mask=~attend,  # the library's masks are inverted
        memory_key_padding_mask=~attend,
    )
    expected = F.linear(expected, ours.trunk.embedding.weight)
    torch.testing.assert_close(ours(source, attend, target), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_future_and_padding_change_nothing_and_the_source_does(texts, style):
    source, attend, target = texts
    model = spread(EncoderDecoder(replace(CONFIG, n_kv_heads=2, style=style)))
    logits = model(source, attend, target)
    assert logits.shape == (3, 7, 20)
    padding, future, word = source.clone(), target.clone(), source.clone()
    padding[1, 6:], future[:, 5:], word[:, 0] = 9, 9, 4
    assert torch.equal(model(padding, attend, target), logits)
    assert torch.equal(model(source, attend, future)[:, :5], logits[:, :5])
    assert (model(word, attend, target) - logits).abs().amin(dim=(1, 2)).gt(0).all()


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_an_untrained_model_guesses_uniformly(texts, style):
    torch.manual_seed(0)
    source, attend, target = texts
    logits = EncoderDecoder(replace(CONFIG, style=style))(source, attend, target)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), target[:, 1:].flatten())
    assert loss.item() == pytest.approx(torch.tensor(20.0).log().item(), rel=0.05)


def test_it_overfits_a_batch_of_reversals():
    torch.manual_seed(0)
    source = torch.randint(5, 20, (8, 6))
    target = torch.cat((torch.full((8, 1), 2), source.flip(1)), dim=1)  # (8, 7)
    model = EncoderDecoder(replace(CONFIG, d_model=32, d_ff=64, style=MODERNBERT))
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(80):
        logits = model(source, None, target[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_source_and_target_share_their_embedding_if_the_style_is_tied():
    model, untied = EncoderDecoder(CONFIG), EncoderDecoder(replace(CONFIG, style=LLAMA))
    assert model.encoder.embedding is model.trunk.embedding
    assert untied.encoder.embedding is not untied.trunk.embedding


def test_bad_input(texts):
    source, attend, target = texts
    with pytest.raises(ValueError, match="causal must be True"):
        EncoderDecoder(replace(CONFIG, causal=False))
    model = EncoderDecoder(CONFIG)
    with pytest.raises(ValueError, match="one source per target, got 3 and 2"):
        model(source, attend, target[:2])
    with pytest.raises(ValueError, match="at most 12 tokens, got 14"):
        model(source, attend, target.repeat(1, 2))
    with pytest.raises(TypeError, match="int64 or int32"):
        model(source, attend, target.float())
    with pytest.raises(TypeError, match="attend must be bool"):
        model(source, attend.long(), target)
