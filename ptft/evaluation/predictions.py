"""Predictions of a trained classifier."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptft.models.heads import TextClassifier
from ptft.text.batches import pad


def predict_classes(
    model: TextClassifier, sequences: Sequence[Sequence[int]], batch_size: int = 64
) -> Tensor:
    """Return the most probable class `(n,)` of each text; see `predict_scores`."""
    return predict_scores(model, sequences, batch_size).argmax(dim=-1)


@torch.no_grad()
def predict_scores(
    model: TextClassifier, sequences: Sequence[Sequence[int]], batch_size: int = 64
) -> Tensor:
    """Return the logits of each text.

    Texts of like length share a batch, so little is computed on padding.

    Args:
        model: Put into evaluation mode meanwhile.
        sequences: Token ids of each text, special tokens included.
        batch_size: Texts at a time.

    Returns:
        `(n, C)` logits on the CPU, in the order of `sequences`.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    scores: list[Tensor] = []
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids, attend = pad([sequences[i] for i in rows], model.max_len)
        scores.append(model(ids.to(device), attend.to(device)).cpu())
    model.train(training)
    back = torch.tensor(order).argsort()
    return torch.cat(scores)[back]


@torch.no_grad()
def predict_images(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Return the most probable class of each image.

    Args:
        model: Maps `(B, C, H, W)` to logits; put into evaluation mode meanwhile.
        images: `(n, C, H, W)`.
        batch_size: Images at a time.

    Returns:
        `(n,)` class indices.
    """
    training = model.training
    model.eval()
    classes = torch.cat([model(batch).argmax(dim=-1) for batch in images.split(batch_size)])
    model.train(training)
    return classes
