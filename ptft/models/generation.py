"""Text from a causal language model, one token after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ptft.models.cache import KeyValueCache
from ptft.models.heads import CausalLanguageModel


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. The three cut down what is unlikely, in this order.

    Attributes:
        temperature: Logits are divided by it: below 1 the likely becomes likelier.
        top_k: Only the `k` likeliest tokens may be drawn (Fan et al. 2018, sec. 5.4). None: all.
        top_p: Only the likeliest tokens that together reach probability `p` may be drawn (nucleus
            sampling, Holtzman et al. 2020, sec. 3.1). None: all.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"temperature must be positive, got {self.temperature}: sampling=None is greedy"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")


def next_token_probs(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the distribution that the next token is drawn from.

    Args:
        logits: `(B, V)` scores of the next token.
        sampling: How to cut down what is unlikely.

    Returns:
        `(B, V)`, each row sums to one. Tokens that tie with the last one allowed by `top_k` stay.
    """
    logits = logits.float()
    # The largest is 0 then, and stays finite however cold it gets.
    logits = (logits - logits.amax(-1, keepdim=True)) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < least, -torch.inf)
    probs = logits.softmax(-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        ranked, order = probs.sort(dim=-1, descending=True, stable=True)  # (B, V)
        before = ranked.cumsum(-1) - ranked  # probability of all likelier tokens
        ranked = ranked.masked_fill(before >= sampling.top_p, 0.0)
        probs = torch.zeros_like(probs).scatter(-1, order, ranked)
        probs = probs / probs.sum(-1, keepdim=True)
    return probs


def generate(
    model: CausalLanguageModel,
    prompt: Tensor,
    n: int,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Continue each prompt by `n` tokens.

    Args:
        model: Is put into evaluation mode.
        prompt: `(B, T)` token ids, T at least 1, without padding.
        n: Number of new tokens.
        sampling: None takes the likeliest token.
        generator: Source of randomness, on the CPU; torch's own if None.
        use_cache: False reads everything again for each token, to the same result.

    Returns:
        `(B, T + n)` token ids.

    Raises:
        ValueError: If `n` is below 1, the prompt is empty or of another shape, or the text would
            become longer than the model can read.
    """
    steps = stream(model, prompt, n, sampling, generator, use_cache)
    return torch.cat([prompt, *(token[:, None] for token in steps)], dim=1)


def stream(
    model: CausalLanguageModel,
    prompt: Tensor,
    n: int,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
) -> Iterator[Tensor]:
    """Yield the `n` new tokens `(B,)` of `generate` one by one, as soon as each is known."""
    if prompt.ndim != 2 or prompt.numel() == 0:
        raise ValueError(
            f"prompt must have shape (B, T) with at least one token, got {tuple(prompt.shape)}"
        )
    B, T = prompt.shape
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if T + n > model.config.max_len:
        raise ValueError(
            f"the model reads at most {model.config.max_len} tokens, "
            f"got a prompt of {T} and {n} to add"
        )
    model.eval()
    weight = model.trunk.embedding.weight
    cache = KeyValueCache(model.config, B, T + n, like=weight) if use_cache else None
    ids = new = prompt
    for _ in range(n):
        with torch.inference_mode():
            logits = model(new if use_cache else ids, cache=cache)[:, -1]  # (B, V)
            if sampling is None:
                token = logits.argmax(-1)  # (B,)
            else:
                probs = next_token_probs(logits, sampling).cpu()
                token = torch.multinomial(probs, 1, generator=generator)[:, 0].to(ids.device)
        yield token
        new = token[:, None]
        ids = torch.cat((ids, new), dim=1)
