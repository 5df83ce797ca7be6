"""Our recipe for characters: a model of the course, trained by the course's loop."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from nanogpt_recipe import CONTEXT
from torch import Tensor, nn

from ptft.core.compute import seed_everything
from ptft.models.config import SPEEDRUN, TransformerConfig
from ptft.models.heads import CausalLanguageModel
from ptft.text.batches import epoch_rows
from ptft.training.loop import TrainConfig, train
from ptft.training.optimisers import adamw, muon
from ptft.training.schedules import warmup_linear


@dataclass(frozen=True)
class Recipe:
    """How ours is trained; an ablation changes one field.

    Attributes:
        model: Sizes and style; the vocabulary is the text's.
        steps: Number of updates.
        batch_size: Windows of 64 characters in each.
        optimiser: `"muon"` or `"adamw"`.
        lr: Learning rate of Muon.
        adamw_lr: Learning rate of AdamW.
        warmup: Steps of the rise of the learning rate.
        decay_from: Share of the run after which it falls.
        previous: Characters before each whose embeddings are added to its own.
        repeat: Windows at random places, as nanoGPT has them, not each once.
    """

    model: TransformerConfig
    steps: int
    batch_size: int = 12
    optimiser: str = "muon"
    lr: float = 0.03
    adamw_lr: float = 3e-3
    warmup: int = 20
    decay_from: float = 0.2
    previous: int = 2
    repeat: bool = False


class NeighbourEmbedding(nn.Embedding):
    """An embedding to which those of the characters before are added, each from its own table.

    Attention has to find its neighbours; this hands it the nearest (smeared embeddings and short
    convolutions do the same). Before the first character stands character 0.
    """

    def __init__(self, vocab_size: int, d_model: int, previous: int):
        super().__init__(vocab_size, d_model)
        self.before = nn.ModuleList(nn.Embedding(vocab_size, d_model) for _ in range(previous))

    def forward(self, ids: Tensor) -> Tensor:
        """Map `(B, T)` to `(B, T, D)`."""
        x = super().forward(ids)
        for distance, table in enumerate(self.before, 1):
            x = x + table(F.pad(ids, (distance, 0))[:, : ids.shape[1]])
        return x


class Residual(nn.Module):
    """Adds the logits of a network to scaled log probabilities of n-grams."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, ids: Tensor, ngrams: Tensor) -> Tensor:
        """Map `(B, T)` ids and `(B, T, V)` log probabilities to `(B, T, V)` logits."""
        return self.network(ids) + self.scale * ngrams


def rows_from(table: Tensor, at: Tensor) -> Tensor:
    """Return `(B, 64, V)`, 64 rows of `(N, V)` from each of the `(B,)` positions on."""
    return table[at[:, None] + torch.arange(CONTEXT)]


def build(recipe: Recipe, vocab_size: int) -> CausalLanguageModel:
    """Return the model of a recipe, untrained."""
    config = replace(recipe.model, vocab_size=vocab_size)
    model = CausalLanguageModel(config)
    if recipe.previous:
        embedding = NeighbourEmbedding(vocab_size, config.d_model, recipe.previous)
        for table in embedding.modules():
            if isinstance(table, nn.Embedding):
                nn.init.normal_(table.weight, std=config.style.embedding_std)
        model.trunk.embedding = embedding
    return model


def fit_recipe(
    recipe: Recipe, text: Tensor, vocab_size: int, seed: int, ngrams: Tensor | None = None
) -> nn.Module:
    """Train on `(N,)` ids; with `(N, V)` log probabilities, as a residual on them."""
    seed_everything(seed)
    network = build(recipe, vocab_size)
    model = network if ngrams is None else Residual(network)
    windows = (len(text) - 1) // CONTEXT

    def next_batch(step: int, draws: torch.Generator) -> tuple[Tensor, Tensor | None]:
        if recipe.repeat:
            last = len(text) - CONTEXT
            at = torch.randint(last, (recipe.batch_size,), generator=draws)
        else:
            at = CONTEXT * epoch_rows(windows, recipe.batch_size, step, seed)
        ids = text[at[:, None] + torch.arange(CONTEXT + 1)]  # (B, 65)
        return ids, None if ngrams is None else rows_from(ngrams, at + 1).float()

    def loss_fn(model: nn.Module, batch: tuple[Tensor, Tensor | None]) -> tuple[Tensor, int]:
        ids, known = batch
        arguments = (ids[:, :-1],) if known is None else (ids[:, :-1], known)
        targets = ids[:, 1:].flatten()
        logits = model(*arguments).flatten(0, 1)  # (B * 64, V)
        return F.cross_entropy(logits, targets, reduction="sum"), len(targets)

    if recipe.optimiser == "muon":
        optimisers = muon(model, recipe.lr, recipe.adamw_lr)
    else:
        optimisers = adamw(model, recipe.adamw_lr)
    train(
        model,
        loss_fn,
        next_batch,
        optimisers,
        TrainConfig(recipe.steps, seed),
        schedule=warmup_linear(recipe.steps, recipe.warmup, recipe.decay_from),
    )
    return model.eval()


# On a CPU, layer norm and GELU are one operation each in torch, RMS norm and ReLU squared several.
STYLE = replace(SPEEDRUN, norm="layer", feed_forward="gelu")
SIZES = TransformerConfig(
    1, d_model=128, n_heads=4, n_layers=2, d_ff=512, max_len=CONTEXT, causal=True, style=STYLE
)
OURS = Recipe(SIZES, steps=250)
PLAIN = Recipe(replace(SIZES, n_layers=4), steps=285, previous=0)
HYBRID = Recipe(SIZES, steps=400)
