"""nanoGPT's recipe for a CPU, written again from its published settings; shares nothing with ptft.

karpathy/nanoGPT, README.md ("I only have a macbook"), config/train_shakespeare_char.py and the
defaults of model.py and train.py, commit 3adf61e. Only AdamW is fused here, which is faster.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, ITERATIONS = 4, 4, 128, 64, 12, 2000
MAX_LR, MIN_LR, WARMUP, BETAS, WEIGHT_DECAY, CLIP = 1e-3, 1e-4, 100, (0.9, 0.99), 0.1, 1.0


class Block(nn.Module):
    """Layer norm, attention; layer norm, feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.c_proj_mlp = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, T, 128)` to the same."""
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, HEADS, C // HEADS).transpose(1, 2)
            for part in self.c_attn(self.ln_1(x)).split(C, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.c_proj_mlp(F.gelu(self.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    """Learned positions, pre-norm blocks, output tied to the embedding."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, WIDTH)
        self.wpe = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.ln_f = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                scaled = "c_proj" in name  # it adds to the residual stream
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if scaled else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Map `(B, T)` ids to `(B, T, V)` logits."""
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        return F.linear(self.ln_f(self.blocks(x)), self.wte.weight)


def learning_rate(iteration: int) -> float:
    """Return the warmed-up cosine of train.py."""
    if iteration < WARMUP:
        return MAX_LR * (iteration + 1) / (WARMUP + 1)
    progress = (iteration - WARMUP) / (ITERATIONS - WARMUP)
    return MIN_LR + 0.5 * (1 + math.cos(math.pi * progress)) * (MAX_LR - MIN_LR)


def train_nanogpt(
    text: Tensor, vocab_size: int, seed: int, iterations: int = ITERATIONS
) -> NanoGPT:
    """Train on random windows of `(N,)` ids."""
    torch.manual_seed(seed)
    model = NanoGPT(vocab_size)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": rest},
    ]
    optimiser = torch.optim.AdamW(groups, lr=MAX_LR, betas=BETAS, weight_decay=0.0, fused=True)
    for iteration in range(iterations):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(iteration)
        at = torch.randint(len(text) - CONTEXT, (BATCH, 1)) + torch.arange(CONTEXT)
        logits = model(text[at])
        loss = F.cross_entropy(logits.view(-1, vocab_size), text[at + 1].view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return model
