"""Muon with all matrices of one shape orthogonalised together."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from ptft.training.distributed import gathered, split_like

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    r"""Return matrices whose singular values are all near 1, the singular vectors as they were.

    A step of the Newton-Schulz iteration is $X \leftarrow (a I + b A + c A^2) X$ with
    $A = X X^\top$. Since the factor is a polynomial of $A$, everything but the first and the last
    product is done on $A$ itself, which is small where a matrix is far from square.

    Args:
        matrices: (n, R, C).
        steps: Number of iterations.

    Returns:
        (n, R, C).
    """
    a, b, c = COEFFICIENTS
    X = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices  # (n, M, N), M <= N
    norm = X.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # (n, 1, 1)
    A = X @ X.mT / norm.square()  # (n, M, M)
    eye = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    factor = eye.expand_as(A)
    for step in range(steps):
        P = torch.baddbmm(A, A, A, beta=b, alpha=c) + a * eye
        factor = P @ factor if step else P
        if step < steps - 1:
            A = P @ A @ P
    out = factor @ X / norm
    return out.mT if matrices.shape[-2] > matrices.shape[-1] else out


class Muon(Optimizer):
    r"""Momentum whose matrix is replaced by the nearest orthogonal one (Jordan et al. 2024).

    $$B \leftarrow \mu B + (1 - \mu) G, \qquad \theta \leftarrow (1 - \eta\lambda)\,\theta
    - \eta \sqrt{\max(1, R / C)}\; \mathrm{orthogonalise}\big(\mu B + (1 - \mu) G\big)$$

    `torch.optim.Muon` with `adjust_lr_fn="original"` does the same for one matrix after the other,
    in bfloat16, which many processors multiply no faster than the precision of the weights.

    Args:
        parameters: Matrices (R, C).
        lr: Learning rate $\eta$.
        momentum: $\mu$.
        weight_decay: $\lambda$.

    Raises:
        ValueError: If `lr` is not positive, `momentum` is not in [0, 1), or a parameter is not a
            matrix.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        if not (lr > 0 and 0 <= momentum < 1):
            raise ValueError(f"lr must be positive and momentum in [0, 1), got {lr} and {momentum}")
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.ndim != 2:
                raise ValueError(f"Muon is for matrices, got a parameter of shape {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for (R, C), weights in by_shape.items():
                directions = [self._direction(p, group["momentum"]) for p in weights]
                rate = group["lr"] * max(1, R / C) ** 0.5
                for p, update in zip(weights, orthogonalise(torch.stack(directions)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_(split_like(update, p), alpha=rate)

    def _direction(self, p: Tensor, momentum: float) -> Tensor:
        """Update the momentum; return the whole matrix that it and the gradient point along."""
        assert p.grad is not None
        if not self.state[p]:
            self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        buffer = self.state[p]["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        return gathered(p.grad.lerp(buffer, momentum))
