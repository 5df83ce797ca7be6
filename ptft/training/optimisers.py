"""Which parameters get which optimiser."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer


def adamw(
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.98),
) -> list[Optimizer]:
    """Return AdamW (Loshchilov & Hutter 2019) over all parameters that require a gradient.

    Only matrices decay: shrinking a norm's gain or a bias towards zero has no use.
    """
    matrices, vectors = _by_shape(model.parameters())
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas)]


def muon(
    model: nn.Module, lr: float = 0.02, adamw_lr: float = 3e-3, weight_decay: float = 0.0
) -> list[Optimizer]:
    """Return Muon (Jordan et al. 2024) for the matrices inside blocks, AdamW for all the rest.

    Muon replaces a matrix's momentum by the nearest orthogonal matrix. Embeddings, output layers
    and vectors keep AdamW, as its authors advise.

    Args:
        model: Parameters whose name contains `blocks.` are taken to be inside blocks.
        lr: Learning rate of Muon.
        adamw_lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay of all matrices.

    Raises:
        ValueError: If no parameter is a matrix inside a block.
    """
    inside: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (inside if "blocks." in name and parameter.ndim == 2 else rest).append(parameter)
    if not inside:
        raise ValueError("muon() found no matrix inside a block: use adamw()")
    matrices, vectors = _by_shape(rest)
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [
        torch.optim.Muon(inside, lr=lr, weight_decay=weight_decay, adjust_lr_fn="original"),
        torch.optim.AdamW([g for g in groups if g["params"]], lr=adamw_lr, betas=(0.9, 0.98)),
    ]


def _by_shape(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    trained = [p for p in parameters if p.requires_grad]
    return [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
