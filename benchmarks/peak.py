"""How much of what the processor can multiply a training step uses, in float32 and bfloat16."""

import argparse
import time
from functools import partial

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ptft.core.compute import generator, multiplications, seed_everything, set_threads
from ptft.models.config import LLAMA, TransformerConfig
from ptft.models.heads import CausalLanguageModel
from ptft.text.batches import CausalBatch
from ptft.training.losses import causal_loss, in_precision
from ptft.training.optimisers import adamw

BATCH, LENGTH, VOCAB_SIZE = 16, 128, 4096
WIDTHS = (128, 256, 512)
PRODUCTS = (128, 256, 512, 1024)  # sizes of the square matrices whose best speed is the peak


def train_steps(model: nn.Module, dtype: torch.dtype, steps: int) -> None:
    """Take steps on random tokens."""
    optimisers = adamw(model, 1e-3)
    draws = generator(0)
    loss_fn = in_precision(causal_loss, dtype)
    for _ in range(steps):
        ids = torch.randint(5, VOCAB_SIZE, (BATCH, LENGTH + 1), generator=draws)
        loss, n = loss_fn(model, CausalBatch(ids, None))
        (loss / n).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()


def measure(steps: int) -> pd.DataFrame:
    """Return one row for each precision and width."""
    set_threads(1)
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        peak = max(multiplications(dtype, n) for n in PRODUCTS)
        for width in WIDTHS:
            seed_everything(0)
            config = TransformerConfig(
                VOCAB_SIZE, width, width // 32, 4, 3 * width, LENGTH, causal=True, style=LLAMA
            )
            model = CausalLanguageModel(config)
            step = partial(train_steps, model, dtype)
            with FlopCounterMode(display=False) as counter:
                step(1)
            began = time.process_time()
            step(steps)
            seconds = (time.process_time() - began) / steps
            speed = counter.get_total_flops() / seconds
            rows.append({
                "precision": str(dtype).removeprefix("torch."),
                "width": width,
                "tokens per CPU second": round(BATCH * LENGTH / seconds),
                "GFLOP/s": round(speed / 1e9, 1),
                "peak": round(peak / 1e9, 1),
                "of the peak": round(speed / peak, 2),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["precision", "width"])


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `peak` to the command line."""
    parser = parts.add_parser("peak", help=__doc__)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the table."""
    print(measure(options.steps).to_string())
