"""Losses as a sum and a true count, so that unequal batches add up to the right mean."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptft.text.batches import CausalBatch, LabelledBatch, MaskedBatch

Loss = Callable[[nn.Module, Any], tuple[Tensor, int]]


def masked_loss(model: nn.Module, batch: MaskedBatch) -> tuple[Tensor, int]:
    r"""Return $-\sum_{i \in M} \log p(x_i \mid \tilde x)$ in nats, and $|M|$.

    Devlin et al. 2019, sec. 3.1: the sum runs over the selected positions only.
    """
    logits = model(batch.ids, batch.attend, batch.selected)  # (N, V)
    return F.cross_entropy(logits, batch.targets, reduction="sum"), len(batch.targets)


def causal_loss(model: nn.Module, batch: CausalBatch) -> tuple[Tensor, int]:
    r"""Return $-\sum_t \log p(x_{t+1} \mid x_{\le t})$ in nats, and the number of real targets.

    Radford et al. 2018, eq. 1. The first token of a row is never a target.
    """
    logits = model(batch.ids, batch.attend)[:, :-1]  # (B, T-1, V)
    targets = batch.ids[:, 1:].long()  # (B, T-1)
    if batch.attend is not None:
        real = batch.attend[:, 1:]
        logits, targets = logits[real], targets[real]  # (N, V), (N,)
    loss = F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), reduction="sum"
    )
    return loss, targets.numel()


def class_loss(model: nn.Module, batch: LabelledBatch) -> tuple[Tensor, int]:
    r"""Return $-\sum_n \log p(y_n \mid x_n)$ in nats, and the number of rows.

    Raises:
        ValueError: If a label is not a class of the model.
    """
    scores = model(batch.ids, batch.attend)  # (B, C)
    low, high = (int(bound) for bound in batch.labels.aminmax())
    if low < 0 or high >= scores.shape[-1]:
        raise ValueError(f"labels must be in [0, {scores.shape[-1]}), got {low} to {high}")
    return F.cross_entropy(scores, batch.labels, reduction="sum"), len(batch.labels)


@torch.no_grad()
def mean_loss(model: nn.Module, loss_fn: Loss, batches: Iterable[Any]) -> float:
    """Return the loss per target over all batches, with the model in evaluation mode.

    Sums are added before they are divided, so a short last batch has the weight of its targets.

    Raises:
        ValueError: If there is no batch.
    """
    training = model.training
    model.eval()
    try:
        total, count = 0.0, 0
        for batch in batches:
            loss, n = loss_fn(model, batch)
            total, count = total + float(loss), count + n
    finally:
        model.train(training)
    if count == 0:
        raise ValueError("cannot average a loss over no batch")
    return total / count
