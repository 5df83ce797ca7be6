import math

import pytest
import torch
from torch import nn

from ptft.models.attention import SelfAttention, rotary_angles, rotate, sinusoids
from ptft.models.cache import LayerCache

B, T, D, H = 2, 7, 16, 4
K = D // H


def tables(length=T):
    angles = rotary_angles(length, K)
    return angles.cos(), angles.sin()


def naive(layer, x, attend, causal):
    """Attention as the equation has it: one position, one head, one scalar product at a time."""
    G = layer.n_kv_heads
    q, k, v = layer.qkv(x).view(B, T, H + 2 * G, K).split([H, G, G], dim=2)  # (B, T, H or G, K)
    k, v = k.repeat_interleave(H // G, dim=2), v.repeat_interleave(H // G, dim=2)  # (B, T, H, K)
    if layer.qk_norm:
        q, k = (x / x.square().mean(-1, keepdim=True).sqrt() for x in (q, k))
    out = torch.zeros(B, T, H, K)
    angles = rotary_angles(T, K)

    def turned(vector, position):
        pairs = torch.complex(vector[: K // 2], vector[K // 2 :])
        pairs = pairs * torch.polar(torch.ones(K // 2), angles[position])
        return torch.cat((pairs.real, pairs.imag))

    for b in range(B):
        for h in range(H):
            for i in range(T):
                seen = [j for j in range(T) if attend[b, j] and (j <= i or not causal)]
                scores = torch.stack(
                    [turned(q[b, i, h], i) @ turned(k[b, j, h], j) / K**0.5 for j in seen]
                )
                weights = scores.softmax(0)
                out[b, i, h] = sum(w * v[b, j, h] for w, j in zip(weights, seen, strict=True))
    return layer.out(out.reshape(B, T, D))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    "choices", [{}, {"n_kv_heads": 2}, {"n_kv_heads": 1, "bias": True}, {"qk_norm": True}]
)
def test_it_equals_the_equation(causal, padded, choices):
    torch.manual_seed(0)
    layer, x = SelfAttention(D, H, causal=causal, **choices), torch.randn(B, T, D)
    attend = torch.ones(B, T, dtype=torch.bool)
    if padded:
        attend[1, 4:] = False
    result = layer(x, *tables(), attend if padded else None)
    torch.testing.assert_close(result, naive(layer, x, attend, causal), rtol=1e-5, atol=1e-6)


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, K).expand(1, 1, 12, K), torch.randn(1, 1, 1, K).expand(1, 1, 12, K)
    cos, sin = tables(12)
    rq, rk = rotate(q, cos, sin)[0, 0], rotate(k, cos, sin)[0, 0]  # (12, K)
    torch.testing.assert_close(rq.norm(dim=-1), q[0, 0].norm(dim=-1))
    torch.testing.assert_close(rq[5] @ rk[2], rq[11] @ rk[8])
    assert (rq[5] @ rk[2] - rq[5] @ rk[4]).abs() > 1e-3


def test_without_positions_attention_is_permutation_equivariant():
    torch.manual_seed(0)
    layer, x, order = SelfAttention(D, H), torch.randn(B, T, D), torch.randperm(T)
    still = torch.ones(T, K // 2), torch.zeros(T, K // 2)
    torch.testing.assert_close(layer(x[:, order], *still), layer(x, *still)[:, order])
    moved = layer(x[:, order], *tables()) - layer(x, *tables())[:, order]
    assert moved.abs().max() > 1e-2


def test_odd_heads_are_refused():
    with pytest.raises(ValueError, match="even width, got 3"):
        rotary_angles(4, 3)


def test_it_equals_torchs_module_whose_mask_is_inverted():
    torch.manual_seed(0)
    layer, x = SelfAttention(D, H, causal=True, bias=True), torch.randn(B, T, D)
    twin = nn.MultiheadAttention(D, H, batch_first=True)
    names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    ours = (layer.qkv.weight, layer.qkv.bias, layer.out.weight, layer.out.bias)
    twin.load_state_dict(dict(zip(names, ours, strict=True)))
    past = torch.ones(T, T, dtype=torch.bool).tril()
    torch.testing.assert_close(layer(x), twin(x, x, x, attn_mask=~past)[0])


def test_grouped_keys_and_values_have_fewer_parameters_and_heads_none():
    sizes = {
        (heads, groups): sum(
            p.numel() for p in SelfAttention(D, heads, n_kv_heads=groups).parameters()
        )
        for heads, groups in [(1, None), (4, None), (16, None), (4, 2), (4, 1)]
    }
    assert sizes[1, None] == sizes[4, None] == sizes[16, None] == 4 * D * D
    assert sizes[4, 2] == 3 * D * D
    assert sizes[4, 1] == 2 * D * D + 2 * D * D // 4


@pytest.mark.parametrize("padded", [False, True])
def test_future_and_padding_change_exactly_nothing(padded):
    torch.manual_seed(0)
    layer, x = SelfAttention(D, H, causal=not padded), torch.randn(B, T, D)
    attend = torch.arange(T).expand(B, T) < 4 if padded else None
    other = x.clone()
    other[:, 4:] = torch.randn(B, T - 4, D)
    before, after = layer(x, *tables(), attend), layer(other, *tables(), attend)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


def test_normalised_queries_and_keys_do_not_depend_on_their_scale():
    torch.manual_seed(0)
    x = torch.randn(B, T, D)
    for qk_norm in (True, False):
        layer = SelfAttention(D, H, qk_norm=qk_norm)
        before = layer(x)
        with torch.no_grad():
            layer.qkv.weight[: 2 * D] *= 10.0  # queries and keys
        same = torch.allclose(layer(x), before, atol=1e-4)
        assert same == qk_norm


@torch.no_grad()
@pytest.mark.parametrize("n_kv_heads", [4, 2])
def test_reading_in_pieces_with_a_cache_equals_reading_at_once(n_kv_heads):
    torch.manual_seed(0)
    layer, x = SelfAttention(D, H, causal=True, n_kv_heads=n_kv_heads), torch.randn(B, T, D)
    shape = (B, n_kv_heads, T, K)
    cache = LayerCache(torch.full(shape, torch.nan), torch.full(shape, torch.nan))
    cos, sin = tables()
    pieces = [
        layer(x[:, here], cos[here], sin[here], cache=cache)
        for here in (slice(0, 3), slice(3, 4), slice(4, T))
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x, cos, sin))
    assert cache.length == T


def test_sinusoids_are_the_papers():
    table = sinusoids(50, D)
    for t, i in [(0, 0), (7, 0), (49, 3), (20, D // 2 - 1)]:
        angle = t / 10_000 ** (2 * i / D)
        expected = torch.tensor([math.sin(angle), math.cos(angle)])
        torch.testing.assert_close(table[t, 2 * i : 2 * i + 2], expected, rtol=1e-5, atol=1e-5)


def test_sinusoids_compare_places_by_their_distance():
    table = sinusoids(50, D)
    torch.testing.assert_close(table.square().sum(-1), torch.full((50,), D / 2))
    for distance in (1, 5, 20):
        products = (table[distance:] * table[:-distance]).sum(-1)
        torch.testing.assert_close(products, products[:1].expand_as(products))


def test_sinusoids_of_an_odd_width_are_refused():
    with pytest.raises(ValueError, match="even width, got 5"):
        sinusoids(4, 5)
