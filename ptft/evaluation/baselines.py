"""What counting alone can do: the losses that a neural language model has to beat."""

import torch
from torch import Tensor


class ClozeNgram:
    r"""Predicts a token from its two neighbours by interpolated counts.

    $p(x \mid l, r) = \lambda_1 \frac{c(x)+1}{N+V} + \lambda_2 \frac{c(l,x)}{c(l)}
    + \lambda_3 \frac{c(x,r)}{c(r)} + \lambda_4 \frac{c(l,x,r)}{c(l,\cdot,r)}$, the masked
    counterpart of Jelinek & Mercer 1980. It sees the true neighbours, even where a masked model
    would see `[MASK]`, so it is a generous baseline.

    Args:
        windows: `(N, T)` token ids to count in.
        vocab_size: Number of ids `V`.
    """

    def __init__(self, windows: Tensor, vocab_size: int):
        if windows.ndim != 2 or windows.shape[1] < 3:
            raise ValueError(f"windows must be (N, T) with T >= 3, got {tuple(windows.shape)}")
        self.vocab_size = vocab_size
        left, token, right = _neighbours(windows)
        self.unigram = torch.bincount(windows.flatten().long(), minlength=vocab_size).double()
        self.counts = {
            name: torch.unique(self._key(*ids), return_counts=True)
            for name, ids in {
                "left": (left,),
                "right": (right,),
                "left,token": (left, token),
                "token,right": (token, right),
                "left,right": (left, right),
                "left,token,right": (left, token, right),
            }.items()
        }
        self.weights = torch.full((4,), 0.25, dtype=torch.float64)

    def fit_weights(self, windows: Tensor, steps: int = 20) -> "ClozeNgram":
        """Choose the interpolation weights by expectation maximisation on held-out windows."""
        parts = self._parts(*_neighbours(windows))  # (n, 4)
        for _ in range(steps):
            share = parts * self.weights
            self.weights = (share / share.sum(1, keepdim=True)).mean(0)
        return self

    def losses(self, windows: Tensor, selected: Tensor) -> Tensor:
        r"""Return the loss in nats of each selected token that has two neighbours.

        Args:
            windows: `(N, T)` original ids.
            selected: `(N, T)` bool; the first and last column are ignored.

        Returns:
            `(n,)` values of $-\log p$.
        """
        chosen = selected[:, 1:-1].flatten()
        left, token, right = (ids[chosen] for ids in _neighbours(windows))
        return -(self._parts(left, token, right) * self.weights).sum(1).log()

    def _parts(self, left: Tensor, token: Tensor, right: Tensor) -> Tensor:
        both = self._count("left,token,right", left, token, right)
        ratios = [
            (self.unigram[token] + 1) / (self.unigram.sum() + self.vocab_size),
            self._count("left,token", left, token) / self._count("left", left).clamp_min(1),
            self._count("token,right", token, right) / self._count("right", right).clamp_min(1),
            both / self._count("left,right", left, right).clamp_min(1),
        ]
        return torch.stack(ratios, dim=1)  # (n, 4)

    def _key(self, *ids: Tensor) -> Tensor:
        key = torch.zeros_like(ids[0], dtype=torch.int64)
        for i in ids:
            key = key * self.vocab_size + i.long()
        return key

    def _count(self, name: str, *ids: Tensor) -> Tensor:
        keys, counts = self.counts[name]
        wanted = self._key(*ids)
        place = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        return torch.where(keys[place] == wanted, counts[place], 0).double()


def unigram_losses(windows: Tensor, vocab_size: int, targets: Tensor) -> Tensor:
    r"""Return $-\log p(x)$ of `(n,)` target ids under the add-one unigram counts of `windows`."""
    counts = torch.bincount(windows.flatten().long(), minlength=vocab_size).double() + 1
    return -(counts / counts.sum()).log()[targets.long()]


def _neighbours(windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return windows[:, :-2].flatten(), windows[:, 1:-1].flatten(), windows[:, 2:].flatten()
