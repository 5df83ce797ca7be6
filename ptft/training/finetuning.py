"""Fine-tuning a sequence classifier: the recipe that every chapter shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ptft.models.heads import SequenceClassifier
from ptft.text.batches import LabelledBatch, epoch_rows, pad
from ptft.training.loop import Evaluate, History, TrainConfig, train
from ptft.training.losses import class_loss
from ptft.training.optimisers import adamw
from ptft.training.schedules import warmup_linear


@dataclass(frozen=True)
class FineTuneConfig:
    """Settings of one fine-tuning run.

    AdamW with 10 % warm-up, then a linear decay (Devlin et al. 2019, app. A.3); without the warm-up
    small sets give unstable results (Mosbach et al. 2021).

    Attributes:
        lr: Peak learning rate.
        steps: Number of updates.
        batch_size: Texts per update.
        weight_decay: Of the matrices.
        seed: Decides the order of the examples and dropout.
    """

    lr: float
    steps: int
    batch_size: int = 16
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"lr must be positive and weight_decay not negative, got {self.lr} and "
                f"{self.weight_decay}"
            )


def fine_tune(
    model: SequenceClassifier,
    sequences: Sequence[Sequence[int]],
    labels: Sequence[int],
    config: FineTuneConfig,
    evaluate: Evaluate | None = None,
) -> History:
    """Train all parameters that require a gradient on labelled token sequences.

    Args:
        model: Trained in place. Freeze parameters beforehand to train a part of it.
        sequences: Token ids of each text, special tokens included.
        labels: The class of each text.
        config: See `FineTuneConfig`.
        evaluate: See `ptft.training.loop.train`.

    Raises:
        ValueError: If there is no example, or not one label for each text.
    """
    if not sequences or len(sequences) != len(labels):
        raise ValueError(
            f"expected as many labels as texts and at least one, got {len(labels)} labels and "
            f"{len(sequences)} texts"
        )
    classes = torch.tensor(labels)
    max_len = model.trunk.config.max_len

    def next_batch(step: int, draws: torch.Generator) -> LabelledBatch:
        rows = epoch_rows(len(sequences), config.batch_size, step, config.seed)
        ids, attend = pad([sequences[i] for i in rows.tolist()], max_len)
        return LabelledBatch(ids, attend, classes[rows])

    return train(
        model,
        class_loss,
        next_batch,
        adamw(model, config.lr, config.weight_decay),
        TrainConfig(steps=config.steps, seed=config.seed),
        schedule=warmup_linear(config.steps, warmup=config.steps // 10),
        evaluate=evaluate,
    )
