"""Beam search: keep the best few beginnings, and continue them all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """A complete output.

    Attributes:
        tokens: Without the start and the end token.
        log_prob: Sum over its tokens and the end token, in nats.
        score: `log_prob` divided by the length penalty; hypotheses are ranked by it.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float


class Decodable(Protocol):
    """What beam search asks of a model."""

    def begin(
        self, source: Tensor, source_attend: Tensor | None
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Return tensors to look at, and the first state; rows are sources."""

    def step(
        self, tokens: Tensor, state: Tensor, memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """Return logits `(N, V)` of the tokens after `tokens` `(N,)`, and the new state."""


@torch.inference_mode()
def beam_search(
    model: Decodable,
    source: Tensor,
    source_attend: Tensor | None,
    width: int,
    max_length: int,
    start: int,
    end: int,
    alpha: float = 0.0,
) -> list[list[Hypothesis]]:
    r"""Return the best outputs that a beam of some width finds for each source, best first.

    At each step every kept beginning is continued by every token, and those `width` of highest log
    probability are kept. One that has ended stays as it is and keeps its place. What has not ended
    before the last position ends there. The result is ranked by

    $$\log p(y \mid x) \,/\, \Bigl(\frac{5 + N}{5 + 1}\Bigr)^{\alpha}$$

    (Wu et al. 2016, eq. 14), where $N$ counts the tokens of $y$, the end token too. All beginnings
    of all sources take a step in one call of the model. Width 1 is greedy search. With room for
    every beginning, the first is the likeliest of all outputs. Put the model into evaluation mode
    before.

    Args:
        model: Has `begin` and `step`, as `SequenceToSequence` does.
        source: `(B, S)` token ids.
        source_attend: `(B, S)` bool, True on real tokens, or None.
        width: Number of beginnings that are kept, `K`.
        max_length: Most tokens of an output, the end token included.
        start: Token that the decoder reads first.
        end: Token that ends an output.
        alpha: Strength of the length penalty; 0 ranks by log probability, and favours short ones.

    Returns:
        A list per source, of at most `width` hypotheses.

    Raises:
        ValueError: If `width` or `max_length` is below 1, `alpha` is negative, the source is empty,
            or `end` is not a token.
    """
    if width < 1 or max_length < 1:
        raise ValueError(f"width and max_length must be at least 1, got {width} and {max_length}")
    if alpha < 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    if source.ndim != 2 or source.numel() == 0:
        raise ValueError(f"source must be (B, S) and not empty, got {tuple(source.shape)}")
    (B, K), device = (len(source), width), source.device
    memory, state = model.begin(source, source_attend)
    memory = tuple(tensor.repeat_interleave(K, 0) for tensor in memory)  # (B * K, ...)
    state = state.repeat_interleave(K, 0)  # (B * K, ...)
    first_row = torch.arange(B, device=device)[:, None] * K  # (B, 1)
    tokens = torch.full((B, K, 1), start, device=device)  # (B, K, 1 + t)
    log_probs = torch.full((B, K), -torch.inf, device=device)
    log_probs[:, 0] = 0.0  # the K beginnings are still the same: count one
    lengths = torch.zeros(B, K, dtype=torch.long, device=device)
    ended = torch.zeros(B, K, dtype=torch.bool, device=device)

    for t in range(max_length):
        logits, state = model.step(tokens[..., -1].flatten(), state, memory)  # (B * K, V)
        V = logits.shape[-1]
        if not 0 <= end < V:
            raise ValueError(f"end must be a token in [0, {V}), got {end}")
        steps = logits.log_softmax(-1).view(B, K, V)
        only_end = torch.full_like(steps[0, 0], -torch.inf)  # (V,)
        only_end[end] = 0.0
        if t == max_length - 1:
            steps = steps + only_end
        steps = torch.where(ended[..., None], only_end, steps)  # what has ended costs nothing
        continued = (log_probs[..., None] + steps).flatten(1)  # (B, K * V)
        log_probs, best = continued.topk(K, dim=-1)  # (B, K)
        origin, token = best // V, best % V  # (B, K) each
        tokens = torch.cat(
            (tokens.gather(1, origin[..., None].expand_as(tokens)), token[..., None]), -1
        )
        lengths, was_ended = lengths.gather(1, origin), ended.gather(1, origin)
        lengths = lengths + ~was_ended
        ended = (token == end) | log_probs.isneginf()  # what had ended can only end again
        state = state[(first_row + origin).flatten()]
        if ended.all():
            break

    scores = log_probs / ((5 + lengths) / 6) ** alpha  # (B, K)
    order = scores.argsort(dim=-1, descending=True, stable=True)
    found = []
    for b in range(B):
        ranked = [int(k) for k in order[b] if log_probs[b, k] > -torch.inf]
        found.append(
            [
                Hypothesis(
                    tuple(tokens[b, k, 1 : int(lengths[b, k])].tolist()),
                    float(log_probs[b, k]),
                    float(scores[b, k]),
                )
                for k in ranked
            ]
        )
    return found
