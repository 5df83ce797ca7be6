"""Reading piece by piece with a cache gives what reading at once gives."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ptft.models.cache import KeyValueCache, LayerCache
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
from ptft.models.heads import CausalLanguageModel

STYLES = {"modernbert": MODERNBERT, "bert": BERT, "roberta": ROBERTA, "gpt2": GPT2}
STYLES |= {"llama": LLAMA, "vaswani": VASWANI, "speedrun": SPEEDRUN}
CONFIG = TransformerConfig(40, 16, 4, 2, 24, 12, causal=True)
every_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)


def decoder(**changes) -> CausalLanguageModel:
    """Return a decoder whose every weight matters."""
    torch.manual_seed(0)
    model = CausalLanguageModel(replace(CONFIG, **changes))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def ids():
    return torch.randint(5, 40, (3, 12), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def read(model, ids, lengths):
    """Return the logits `(B, T, V)` of a text that is read in pieces of these lengths."""
    cache = KeyValueCache(model.config, len(ids))
    pieces = [model(piece, cache=cache) for piece in ids.split(lengths, dim=1)]
    assert cache.length == ids.shape[1]
    return torch.cat(pieces, dim=1)


@every_style
@pytest.mark.parametrize("n_kv_heads", [None, 2, 1])
def test_pieces_give_the_logits_of_the_whole(ids, style, n_kv_heads):
    model = decoder(style=style, n_kv_heads=n_kv_heads)
    with torch.no_grad():
        whole = model(ids)  # (B, T, V)
    for lengths in ([12], [1] * 12, [5, 7], [1, 4, 1, 6]):
        torch.testing.assert_close(read(model, ids, lengths), whole, rtol=1e-5, atol=1e-5)


def test_rows_do_not_mix(ids):
    model = decoder(n_kv_heads=2)
    together = read(model, ids, [4, 1, 7])
    for row, logits in zip(ids, together, strict=True):
        alone = read(model, row[None], [4, 1, 7])[0]
        torch.testing.assert_close(alone, logits, rtol=1e-5, atol=1e-5)


def test_a_cache_keeps_only_the_heads_of_keys_and_values():
    cache = KeyValueCache(replace(CONFIG, n_kv_heads=2), 3, room=7)
    assert [layer.keys.shape for layer in cache.layers] == [(3, 2, 7, 4)] * 2
    assert [layer.values.shape for layer in cache.layers] == [(3, 2, 7, 4)] * 2
    assert cache.length == 0


def test_a_cache_has_the_precision_of_the_model(ids):
    model = decoder().double()
    cache = KeyValueCache(model.config, 3, like=model.trunk.embedding.weight)
    assert cache.layers[0].keys.dtype == torch.float64
    with torch.no_grad():
        logits = torch.cat((model(ids[:, :8], cache=cache), model(ids[:, 8:], cache=cache)), dim=1)
        torch.testing.assert_close(logits, model(ids), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_full_cache_refuses_and_stays_as_it_was(ids):
    model = decoder()
    cache = KeyValueCache(model.config, 3, room=6)
    model(ids[:, :5], cache=cache)
    with pytest.raises(ValueError, match="room for 3 rows of 6 positions, got 3 rows that end at"):
        model(ids[:, 5:8], cache=cache)
    assert cache.length == 5
    sixth = model(ids[:, 5:6], cache=cache)
    torch.testing.assert_close(sixth, model(ids[:, :6])[:, 5:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_text_does_not_outgrow_the_context(ids):
    model = decoder()
    cache = KeyValueCache(model.config, 3)
    model(ids, cache=cache)
    with pytest.raises(ValueError, match="at most 12 tokens, got 13"):
        model(ids[:, :1], cache=cache)


@torch.no_grad()
def test_other_rows_than_the_caches_are_refused(ids):
    model = decoder()
    for n in (1, 2):
        with pytest.raises(ValueError, match=f"room for 3 rows of 12 positions, got {n} rows"):
            model(ids[:n], cache=KeyValueCache(model.config, 3))


def test_an_encoder_has_no_cache():
    with pytest.raises(ValueError, match="causal must be True"):
        KeyValueCache(replace(CONFIG, causal=False), 1)


def test_padding_and_a_cache_are_refused(ids):
    model = decoder()
    attend = torch.ones_like(ids, dtype=torch.bool)
    with pytest.raises(ValueError, match="attend must be None"):
        model(ids, attend, KeyValueCache(model.config, 3))


def test_what_a_layer_has_read_comes_back_in_order():
    layer = LayerCache(torch.empty(1, 1, 4, 2), torch.empty(1, 1, 4, 2))
    keys, values = torch.randn(1, 1, 4, 2), torch.randn(1, 1, 4, 2)
    layer.extend(keys[:, :, :3], values[:, :, :3])
    all_keys, all_values = layer.extend(keys[:, :, 3:], values[:, :, 3:])
    assert torch.equal(all_keys, keys)
    assert torch.equal(all_values, values)
