"""Seeds, devices, threads and precision."""

import random
import time

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators (weight initialisation, dropout)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def reseed(seed: int) -> None:
    """Seed torch's global generators before each step; on a CPU 30 times faster than all seeds."""
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def generator(seed: int) -> torch.Generator:
    """Return a CPU generator of its own, so that no other draw can change what it yields."""
    return torch.Generator().manual_seed(seed)


def default_device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator if accelerator is not None else torch.device("cpu")


def set_threads(n: int = 1) -> None:
    """Use `n` CPU threads in torch.

    One is the default because the models of this course are small: a second thread gains little on
    an idle machine and loses much on a busy one.

    Raises:
        ValueError: If `n` is not positive.
    """
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    torch.set_num_threads(n)


def multiplications(dtype: torch.dtype, n: int = 512, seconds: float = 0.05) -> float:
    """Measure how many FLOP per CPU second products of `(n, n)` matrices reach."""
    a = torch.randn(n, n).to(dtype)
    (a @ a).sum().item()  # the first product prepares the kernel
    began, done = time.process_time(), 0
    while (spent := time.process_time() - began) < seconds:
        a @ a
        done += 1
    return 2 * n**3 * done / spent


def faster_precision() -> torch.dtype:
    """Return bfloat16 if this processor multiplies it at least 1.5 times as fast as float32.

    Having the type is not enough: without instructions for it, bfloat16 is many times slower.
    """
    ratio = multiplications(torch.bfloat16) / multiplications(torch.float32)
    return torch.bfloat16 if ratio >= 1.5 else torch.float32
