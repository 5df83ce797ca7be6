"""Training an LSTM on texts of unequal length: packed, padded, and cell by cell."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from contest import ratios
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ptft.core.compute import generator, seed_everything, set_threads

TEXTS, BATCH, INPUTS, UNITS = 256, 32, 64, 128
SHORTEST, LONGEST = 4, (16, 64)  # tokens


@dataclass(frozen=True)
class Batch:
    """Embedded tokens `(B, T, D)` and how many are real `(B,)`, longest first; targets `(B, U)`."""

    x: Tensor
    lengths: Tensor
    targets: Tensor


# From an LSTM and a batch to the state (B, U) after the last real token of each text.
LastState = Callable[[nn.LSTM, Batch], Tensor]


def packed(lstm: nn.LSTM, batch: Batch) -> Tensor:
    """Let torch go through the real tokens only."""
    return lstm(pack_padded_sequence(batch.x, batch.lengths, batch_first=True))[1][0][0]


def padded(lstm: nn.LSTM, batch: Batch) -> Tensor:
    """Let torch go through all tokens, and take the states at the last real ones."""
    states = lstm(batch.x)[0]  # (B, T, U)
    return states[torch.arange(len(states)), batch.lengths - 1]


def cell_by_cell(lstm: nn.LSTM, batch: Batch) -> Tensor:
    """Call `nn.LSTMCell` for each time step; a text that has ended keeps its state."""
    cell = nn.LSTMCell(INPUTS, UNITS)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(lstm, f"{name}_l0"))
    h = c = batch.x.new_zeros(len(batch.x), UNITS)
    for t in range(batch.x.shape[1]):
        real = (t < batch.lengths)[:, None]  # (B, 1)
        new_h, new_c = cell(batch.x[:, t], (h, c))
        h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
    return h


LOOP = "nn.LSTMCell in a loop"
# How the states are computed, and whether texts of like length share a batch.
WAYS: dict[str, tuple[LastState, bool]] = {
    LOOP: (cell_by_cell, False),
    "nn.LSTM, packed": (packed, False),
    "nn.LSTM, packed, like lengths": (packed, True),
    "nn.LSTM, padded": (padded, False),
    "nn.LSTM, padded, like lengths": (padded, True),
}


def draw(longest: int, seed: int) -> tuple[list[Tensor], Tensor]:
    """Return texts `(T, D)` of all lengths up to the longest, and targets `(N, U)`."""
    draws = generator(seed)
    lengths = torch.randint(SHORTEST, longest + 1, (TEXTS,), generator=draws).tolist()
    texts = [torch.randn(n, INPUTS, generator=draws) for n in lengths]
    return texts, torch.randn(TEXTS, UNITS, generator=draws)


def batches(texts: list[Tensor], targets: Tensor, like_lengths: bool) -> list[Batch]:
    """Pad texts, in batches of their own order or of the order of their lengths."""
    order = sorted(range(TEXTS), key=lambda i: len(texts[i])) if like_lengths else range(TEXTS)
    made = []
    for start in range(0, TEXTS, BATCH):
        rows = sorted(order[start : start + BATCH], key=lambda i: -len(texts[i]))
        x = nn.utils.rnn.pad_sequence([texts[i] for i in rows], batch_first=True)
        made.append(Batch(x, torch.tensor([len(texts[i]) for i in rows]), targets[rows]))
    return made


def one_pass(way: LastState, lstm: nn.LSTM, over: list[Batch]) -> list[Tensor]:
    """Go forward and backward through all batches; return the sum of the gradients."""
    lstm.zero_grad()
    for batch in over:
        (way(lstm, batch) - batch.targets).square().sum().backward()
    return [p.grad for p in lstm.parameters() if p.grad is not None]


def compare(rounds: int) -> pd.DataFrame:
    """Time the ways in turns, each round with other weights and texts; return one row per run."""
    set_threads(1)
    rows = []
    for longest in LONGEST:
        for seed in range(rounds + 1):  # the first warms up
            seed_everything(seed)
            lstm = nn.LSTM(INPUTS, UNITS, batch_first=True)
            texts, targets = draw(longest, seed)
            expected: list[Tensor] = []
            for name, (way, like_lengths) in WAYS.items():
                over = batches(texts, targets, like_lengths)
                began = time.process_time()
                gradients = one_pass(way, lstm, over)
                seconds = time.process_time() - began
                expected = expected or gradients  # the loop's
                pairs = zip(gradients, expected, strict=True)
                rows.append({
                    "longest": longest, "way": name, "seed": seed, "seconds": seconds,
                    "tokens": sum(map(len, texts)),
                    "read": sum(batch.x[..., 0].numel() for batch in over),
                    "difference": max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs),
                })  # fmt: skip
    return pd.DataFrame(rows).query("seed > 0")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the speed of each way, and how much longer the loop takes."""
    out = []
    for (longest, way), group in rows.groupby(["longest", "way"], sort=False):
        loop = rows[(rows["longest"] == longest) & (rows["way"] == LOOP)]
        out.append({
            "longest": longest,
            "way": way,
            "padding, %": round(100 * (1 - group["tokens"].sum() / group["read"].sum())),
            "real tokens per CPU second": round((group["tokens"] / group["seconds"]).median()),
            "loop / this": ratios(list(loop["seconds"]), list(group["seconds"])),
            "gradients differ by": f"{group['difference'].max():.0e} of the largest",
        })  # fmt: skip
    return pd.DataFrame(out).set_index(["longest", "way"])


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `recurrent` to the command line."""
    parser = parts.add_parser("recurrent", help=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="weights and texts")
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the table."""
    rows = compare(options.rounds)
    print(json.dumps(rows.to_dict("records")), file=sys.stderr)
    print(table(rows).to_string())
