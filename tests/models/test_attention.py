import pytest
import torch

from ptft.models.attention import SelfAttention, rotary_angles, rotate

B, T, D, H = 2, 7, 16, 4
K = D // H


def tables(length=T):
    angles = rotary_angles(length, K)
    return angles.cos(), angles.sin()


def naive(layer, x, attend, causal):
    """Attention as the equation has it: one position, one head, one scalar product at a time."""
    q, k, v = layer.qkv(x).view(B, T, 3, H, K).unbind(2)  # (B, T, H, K)
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
def test_it_equals_the_equation(causal, padded):
    torch.manual_seed(0)
    layer, x = SelfAttention(D, H, causal=causal), torch.randn(B, T, D)
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
    with pytest.raises(ValueError, match="even head width, got 3"):
        rotary_angles(4, 3)
