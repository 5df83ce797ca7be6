"""Which parameters get which optimiser."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from ptft.training.muon import Muon


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
        Muon(inside, lr=lr, weight_decay=weight_decay),
        torch.optim.AdamW([g for g in groups if g["params"]], lr=adamw_lr, betas=(0.9, 0.98)),
    ]


def _by_shape(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    trained = [p for p in parameters if p.requires_grad]
    return [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]


class SparseSGD(Optimizer):
    r"""Gradient descent on the rows that a batch used; a row that it used often is held back.

    $$\theta_r \leftarrow \theta_r - \eta \min(1, m / n_r) \sum_{i=1}^{n_r} g_{r,i}$$

    where $n_r$ is how often the batch used row $r$. Summed over a batch, as word2vec's updates are,
    the step of a frequent word would grow with the batch until it diverges. Rows used at most $m$
    times, nearly all, learn as in plain SGD. A use is a row that was looked up, whether or not its
    gradient is zero. Look each table up once per step: where torch adds two sparse gradients, it
    may merge equal rows, and $n_r$ comes out too small.

    Args:
        parameters: Their gradients are sparse or dense; a dense one is followed as it is.
        lr: Learning rate $\eta$.
        most: The $m$ above.

    Raises:
        ValueError: If `lr` or `most` is not positive.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, most: float):
        if not (lr > 0 and most > 0):
            raise ValueError(f"lr and most must be positive, got {lr} and {most}")
        super().__init__(parameters, {"lr": lr, "most": most})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; a sparse gradient is used up."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not p.grad.is_sparse:
                    p.sub_(p.grad, alpha=group["lr"])
                    continue
                rows, values = p.grad._indices()[0], p.grad._values()  # (n,), (n, D)
                times = rows.bincount(minlength=len(p))[rows]  # (n,)
                rate = -group["lr"] * (group["most"] / times).clamp(max=1)
                # In place, since the gradient has served; `alpha` would be six times slower.
                p.index_add_(0, rows, values.mul_(rate[:, None]))
