"""Training on rows of examples: the recipe that every chapter shares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ptft.text.batches import epoch_rows
from ptft.training.loop import Evaluate, History, TrainConfig, train
from ptft.training.losses import Loss
from ptft.training.optimisers import adamw
from ptft.training.schedules import warmup_linear

BatchOf = Callable[[Tensor, torch.Generator], Any]


@dataclass(frozen=True)
class FitConfig:
    """Settings of one run over a set of examples.

    AdamW with 10 % warm-up, then a linear decay (Devlin et al. 2019, app. A.3); without the warm-up
    small sets give unstable results (Mosbach et al. 2021).

    Attributes:
        lr: Peak learning rate.
        steps: Number of updates.
        batch_size: Examples per update.
        weight_decay: Of the matrices.
        seed: Decides the order of the examples, corruption and dropout.
        evaluate_every: Steps between evaluations; 0 evaluates only before and after.
        about: What else decides the run, see `TrainConfig`.
    """

    lr: float
    steps: int
    batch_size: int = 16
    weight_decay: float = 0.01
    seed: int = 0
    evaluate_every: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"lr must be positive and weight_decay not negative, got {self.lr} and "
                f"{self.weight_decay}"
            )


def fit(
    model: nn.Module,
    loss_fn: Loss,
    batch_of: BatchOf,
    n: int,
    config: FitConfig,
    optimisers: Sequence[Optimizer] | None = None,
    evaluate: Evaluate | None = None,
    checkpoint: str | Path | None = None,
) -> History:
    """Train all parameters that require a gradient on `n` examples, shuffled anew for each pass.

    Args:
        model: Trained in place. Freeze parameters beforehand to train a part of it.
        loss_fn: See `ptft.training.losses`.
        batch_of: Makes a batch of the examples with the given row numbers `(batch_size,)`; what it
            draws, it draws from the given generator.
        n: Number of examples.
        config: See `FitConfig`.
        optimisers: Instead of AdamW at `config.lr`; they bring their own rates.
        evaluate: See `ptft.training.loop.train`.
        checkpoint: File to resume from if it exists; it is written with each evaluation.

    Raises:
        ValueError: If there is no example.
        DataError: If the checkpoint is damaged or belongs to another run.
    """

    def next_batch(step: int, draws: torch.Generator) -> Any:
        return batch_of(epoch_rows(n, config.batch_size, step, config.seed), draws)

    return train(
        model,
        loss_fn,
        next_batch,
        adamw(model, config.lr, config.weight_decay) if optimisers is None else optimisers,
        TrainConfig(
            config.steps,
            config.seed,
            evaluate_every=config.evaluate_every,
            checkpoint_every=config.evaluate_every,
            about=config.about,
        ),
        schedule=warmup_linear(config.steps, warmup=config.steps // 10),
        evaluate=evaluate,
        checkpoint=checkpoint,
    )
