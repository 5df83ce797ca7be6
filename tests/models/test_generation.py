"""Sampling against slow references, and text with a cache against text without."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ptft.models.config import GPT2, LLAMA, MODERNBERT, SPEEDRUN, VASWANI, TransformerConfig
from ptft.models.generation import Sampling, generate, next_token_probs, stream
from ptft.models.heads import CausalLanguageModel

STYLES = {"modernbert": MODERNBERT, "gpt2": GPT2, "llama": LLAMA}
STYLES |= {"vaswani": VASWANI, "speedrun": SPEEDRUN}
CONFIG = TransformerConfig(40, 16, 4, 2, 24, 20, causal=True)
LOGITS = torch.randn(6, 30, generator=torch.Generator().manual_seed(2)) * 3


def decoder(**changes) -> CausalLanguageModel:
    """Return a decoder whose every weight matters."""
    torch.manual_seed(0)
    model = CausalLanguageModel(replace(CONFIG, **changes))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def prompt():
    return torch.randint(5, 40, (3, 6), generator=torch.Generator().manual_seed(1))


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reference(scores: list[float], sampling: Sampling) -> list[float]:
    """Return the distribution of one row by the papers' sentences, token by token."""
    largest = max(scores)
    weights = [math.exp((score - largest) / sampling.temperature) for score in scores]
    ranking = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = ranking if sampling.top_k is None else ranking[: sampling.top_k]
    total = sum(weights[i] for i in kept)
    if sampling.top_p is not None:
        nucleus, reached = [], 0.0
        for i in kept:
            if reached >= sampling.top_p:
                break
            nucleus.append(i)
            reached += weights[i] / total
        kept = nucleus
    total = sum(weights[i] for i in kept)
    return [weights[i] / total if i in kept else 0.0 for i in range(len(scores))]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=4.0),
        Sampling(top_k=1),
        Sampling(top_k=7),
        Sampling(top_k=30),
        Sampling(top_k=1000),
        Sampling(top_p=1e-9),
        Sampling(top_p=0.3),
        Sampling(top_p=0.9),
        Sampling(top_p=1.0),
        Sampling(temperature=1.7, top_k=9, top_p=0.8),
    ],
    ids=str,
)
def test_distributions_are_those_of_a_slow_reference(sampling):
    probs = next_token_probs(LOGITS, sampling)
    torch.testing.assert_close(probs.sum(-1), torch.ones(6))
    expected = [reference(row, sampling) for row in LOGITS.double().tolist()]
    torch.testing.assert_close(probs, torch.tensor(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [1e-6, 1e-30, 1e-44])
def test_cold_sampling_is_greedy(temperature):
    probs = next_token_probs(LOGITS, Sampling(temperature))
    assert torch.equal(probs, nn.functional.one_hot(LOGITS.argmax(-1), 30).float())


def test_hot_sampling_is_uniform():
    probs = next_token_probs(LOGITS, Sampling(math.inf))
    torch.testing.assert_close(probs, torch.full((6, 30), 1 / 30))


def test_ties():
    logits = torch.tensor([[2.0, 1.0, 2.0, 1.0, 1.0]])
    top_k = next_token_probs(logits, Sampling(top_k=3))  # a tie with the third stays
    torch.testing.assert_close(top_k, logits.softmax(-1))
    top_p = next_token_probs(torch.zeros(1, 4), Sampling(top_p=0.5))  # the first of equals
    assert torch.equal(top_p, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))


def test_bfloat16_and_forbidden_tokens():
    logits = torch.tensor([[1.0, -torch.inf, 1.0]], dtype=torch.bfloat16)
    probs = next_token_probs(logits, Sampling(0.7, top_k=2, top_p=0.99))
    assert torch.equal(probs, torch.tensor([[0.5, 0.0, 0.5]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive, got 0.0: sampling=None is greedy"),
        ({"temperature": -1.0}, "temperature must be positive, got -1.0"),
        ({"temperature": math.nan}, "temperature must be positive, got nan"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\], got 0.0"),
        ({"top_p": 1.1}, r"top_p must be in \(0, 1\], got 1.1"),
        ({"top_p": math.nan}, r"top_p must be in \(0, 1\], got nan"),
    ],
)
def test_impossible_sampling(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("n_kv_heads", [None, 2])
@pytest.mark.parametrize("sampling", [None, Sampling(1.5, top_k=30, top_p=0.95)])
def test_the_cache_changes_no_token(prompt, style, n_kv_heads, sampling):
    model = decoder(style=style, n_kv_heads=n_kv_heads)
    with_cache, without = (
        generate(model, prompt, 14, sampling, draws(3), use_cache) for use_cache in (True, False)
    )
    assert with_cache.shape == (3, 20)
    assert torch.equal(with_cache[:, :6], prompt)
    assert torch.equal(with_cache, without)


def test_greedy_text_is_the_likeliest_token_again_and_again(prompt):
    model = decoder().eval()
    expected = prompt
    for _ in range(14):
        with torch.no_grad():
            token = model(expected)[:, -1].argmax(-1, keepdim=True)
        expected = torch.cat((expected, token), dim=1)
    assert torch.equal(generate(model, prompt, 14), expected)
    assert torch.equal(generate(model, prompt, 14, Sampling(top_k=1), draws(0)), expected)
    assert torch.equal(generate(model, prompt, 14, Sampling(1e-9), draws(0)), expected)


def test_a_seed_decides_the_text(prompt):
    model = decoder()
    one, again, other = (generate(model, prompt, 14, Sampling(), draws(s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_dropout_is_off_and_the_text_can_be_trained_on(prompt):
    model = decoder(dropout=0.5)
    text = generate(model.train(), prompt, 14)
    assert torch.equal(text, generate(model.train(), prompt, 14))
    assert not text.is_inference()


def test_drawn_tokens_have_the_frequencies_of_the_distribution(prompt):
    model = decoder()
    rows = prompt[:1].expand(4000, -1)
    sampling = Sampling(0.8, top_k=6)
    tokens = generate(model, rows, 1, sampling, draws(0))[:, -1]
    with torch.no_grad():
        p = next_token_probs(model(prompt[:1])[:, -1], sampling)[0]  # (V,)
    shares = torch.bincount(tokens, minlength=40) / 4000
    assert ((shares - p).abs() <= 5 * (p * (1 - p) / 4000).sqrt()).all()


def test_a_stream_yields_what_generate_returns(prompt):
    tokens = list(stream(decoder(), prompt, 5, Sampling(), draws(0)))
    text = generate(decoder(), prompt, 5, Sampling(), draws(0))
    assert torch.equal(torch.stack(tokens, dim=1), text[:, 6:])


@pytest.mark.parametrize(
    ("T", "n", "message"),
    [
        (6, 0, "n must be at least 1, got 0"),
        (6, -2, "n must be at least 1, got -2"),
        (6, 15, "at most 20 tokens, got a prompt of 6 and 15 to add"),
        (21, 1, "at most 20 tokens, got a prompt of 21 and 1 to add"),
        (0, 1, r"prompt must have shape \(B, T\) with at least one token, got \(3, 0\)"),
    ],
)
def test_impossible_lengths(T, n, message):
    with pytest.raises(ValueError, match=message):
        generate(decoder(), torch.full((3, T), 7), n)


def test_a_prompt_is_a_batch_of_ids(prompt):
    with pytest.raises(ValueError, match=r"prompt must have shape \(B, T\) .* got \(6,\)"):
        generate(decoder(), prompt[0], 1)
    with pytest.raises(ValueError, match=r"ids must be in \[0, 40\)"):
        generate(decoder(), torch.full((1, 3), 40), 1)
    with pytest.raises(TypeError, match=r"ids must be int64 or int32, got torch\.float32"):
        generate(decoder(), torch.ones(1, 3), 1)
