"""The one training loop of the course."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from ptft.core import DataError
from ptft.core.compute import reseed
from ptft.training.checkpoint import load_checkpoint, save_checkpoint
from ptft.training.distributed import ALONE, Workers, gathered, shard, undistributed
from ptft.training.losses import Loss
from ptft.training.schedules import Schedule, constant

NextBatch = Callable[[int, torch.Generator], Any]
Evaluate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class TrainConfig:
    """How long to train, and what to do on the way.

    Attributes:
        steps: Number of updates.
        seed: Decides data order, masks and dropout.
        accumulate: Batches added up before each update.
        clip_norm: Gradients are scaled down to at most this norm; None leaves them, and sparse
            gradients must be left.
        average: The gradient is that of the mean loss per target; False leaves the sum, as word2vec
            has it: a word learns as much from a pair however many others are in the batch.
        evaluate_every: Steps between evaluations; 0 evaluates only before the first and after the
            last step.
        log_every: Steps between rows of the training loss in the history.
        checkpoint_every: Steps between checkpoints; 0 writes only one, at the end.
        about: What else decides the run, in words: a checkpoint of a run about something else is
            refused.
    """

    steps: int
    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = 1.0
    average: bool = True
    evaluate_every: int = 0
    log_every: int = 10
    checkpoint_every: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("evaluate_every", "checkpoint_every", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be positive or None, got {self.clip_norm}")


@dataclass
class History:
    """What happened, as rows: step, targets seen, seconds of training, split, loss, and metrics."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def frame(self, split: str | None = None) -> pd.DataFrame:
        """Return the rows, or those of one split, as a DataFrame."""
        rows = [row for row in self.rows if split in (None, row["split"])]
        return pd.DataFrame(rows).dropna(axis="columns", how="all")

    def last(self, name: str = "loss", split: str = "validation") -> float:
        """Return the newest value of a column in a split.

        Raises:
            ValueError: If there is none.
        """
        values = [row[name] for row in self.rows if row["split"] == split and name in row]
        if not values:
            raise ValueError(f"the history has no {name!r} for the split {split!r}")
        return values[-1]


class NonFiniteLossError(RuntimeError):
    """The loss or the gradient became infinite or not a number; the message says at which step."""


def train(
    model: nn.Module,
    loss_fn: Loss,
    next_batch: NextBatch,
    optimisers: Sequence[Optimizer],
    config: TrainConfig,
    schedule: Schedule = constant,
    evaluate: Evaluate | None = None,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
    workers: Workers = ALONE,
) -> History:
    """Minimise `loss_fn` by stochastic gradient descent; go on where a checkpoint left off.

    Every step draws from generators seeded by `(config.seed, step)`. So the same seed gives the
    same history, evaluation cannot disturb training, and a resumed run is bit-identical to one that
    was never stopped.

    Args:
        model: Trained in place.
        loss_fn: Returns the sum of the losses of a batch and the number of targets.
        next_batch: Makes the batch for a step number, drawing from the given generator only.
        optimisers: They step together; each group's learning rate is scaled by `schedule(step)`.
        config: See `TrainConfig`.
        schedule: See `ptft.training.schedules`.
        evaluate: Called before the first and after the last step, and every
            `config.evaluate_every` steps, with the model in evaluation mode. Returns metrics.
        checkpoint: File to resume from if it exists, and to write to.
        stop_after: Return after this step even if `config.steps` is further away; a later call with
            the same checkpoint goes on from there.
        workers: The processes that share each batch, see `ptft.training.distributed`; then `model`
            comes from `distribute`. The first one shows progress and writes the checkpoint, which
            another number of processes can go on from. All of them evaluate.

    Returns:
        The history of the whole run, including what came before a resume.

    Raises:
        NonFiniteLossError: If the loss or the norm of the gradient is not finite; of sparse
            gradients only the loss is looked at. The last checkpoint stays.
        ValueError: If sparse gradients are to be clipped, or a batch has fewer rows than there are
            processes.
        DataError: If the checkpoint is damaged or belongs to another run.
    """
    settings = asdict(config)
    history, start, clock = History(), 0, 0.0
    base_lrs = [[group["lr"] for group in o.param_groups] for o in optimisers]
    if checkpoint is not None and Path(checkpoint).exists():
        record = load_checkpoint(checkpoint, model, optimisers)
        if record["config"] != settings:
            raise DataError(
                f"{checkpoint} is of a run with {record['config']}, this run has {settings}"
            )
        history, start, clock = History(record["rows"]), record["step"], record["seconds"]

    def log(step: int, split: str, values: dict[str, float]) -> None:
        history.rows.append({"step": step, "seconds": clock, "split": split, **values})

    def run_evaluation(step: int) -> None:
        if evaluate is not None:
            training = model.training
            model.eval()
            with torch.no_grad():
                log(step, "validation", evaluate(undistributed(model)))
            model.train(training)

    def write_checkpoint(step: int) -> None:
        if checkpoint is not None:
            record = {"step": step, "seconds": clock, "rows": history.rows, "config": settings}
            save_checkpoint(checkpoint, model, optimisers, record, workers)

    if start == 0:
        run_evaluation(0)
    end = config.steps if stop_after is None else min(stop_after, config.steps)
    model.train()
    steps: Iterable[int] = range(start, end)
    if workers.first:
        steps = tqdm(steps, initial=start, total=config.steps, leave=False)
    for step in steps:
        began = time.perf_counter()
        loss, targets = _update(
            model, loss_fn, next_batch, optimisers, base_lrs, schedule, config, step, workers
        )
        clock += time.perf_counter() - began
        done = step + 1
        if done % config.log_every == 0 or done == end:
            log(done, "train", {"loss": loss, "targets": targets})
        if done == end or (config.evaluate_every and done % config.evaluate_every == 0):
            run_evaluation(done)
        if done == end or (config.checkpoint_every and done % config.checkpoint_every == 0):
            write_checkpoint(done)
    return history


def _update(
    model: nn.Module,
    loss_fn: Loss,
    next_batch: NextBatch,
    optimisers: Sequence[Optimizer],
    base_lrs: list[list[float]],
    schedule: Schedule,
    config: TrainConfig,
    step: int,
    workers: Workers,
) -> tuple[float, int]:
    """Take one step; return the mean loss of its batches and their number of targets."""
    seed = config.seed * 1_000_003 + step
    generator = torch.Generator().manual_seed(seed)
    reseed(seed + (workers.rank << 48))  # dropout, of other rows in each process
    total, count = 0.0, 0
    for i in range(config.accumulate):
        batch = shard(next_batch(step * config.accumulate + i, generator), workers)
        loss, n = loss_fn(model, batch)
        loss.backward()
        total, count = total + loss.item(), count + n
    total, targets = workers.add(total, count)
    count = int(targets)
    if not math.isfinite(total):
        raise NonFiniteLossError(f"the loss became {total} at step {step}: lower the learning rate")
    parameters = [p for p in model.parameters() if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    # Several processes end up with the mean of their gradients of the sum.
    divisor = (max(count, 1) if config.average else 1) / workers.size
    if divisor != 1:
        for gradient in gradients:
            gradient.div_(divisor)
    sparse = any(gradient.is_sparse for gradient in gradients)
    if sparse and config.clip_norm is not None:
        raise ValueError("sparse gradients cannot be clipped: set clip_norm to None")
    if not sparse:  # rows of a sparse gradient may repeat, so that their norm is not its norm
        norm = nn.utils.get_total_norm(gradients)
        if not math.isfinite(value := gathered(norm).item()):
            raise NonFiniteLossError(f"the gradient norm became {value} at step {step}")
        if config.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, norm)
    for optimiser, lrs in zip(optimisers, base_lrs, strict=True):
        for group, lr in zip(optimiser.param_groups, lrs, strict=True):
            group["lr"] = lr * schedule(step)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return total / max(count, 1), count  # word2vec may meet a batch without pairs
