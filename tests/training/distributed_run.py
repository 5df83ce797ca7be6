"""What the processes of `test_distributed.py` do; `torchrun` starts it."""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from ptft.core.compute import generator, seed_everything, set_threads
from ptft.models.config import TransformerConfig
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel
from ptft.text.batches import CausalBatch, epoch_rows, mask_tokens
from ptft.training.distributed import ALONE, Workers, distribute, start_workers
from ptft.training.loop import TrainConfig, train
from ptft.training.losses import causal_loss, masked_loss, mean_loss
from ptft.training.optimisers import muon
from ptft.training.schedules import warmup_linear

import torch  # isort: skip

V, STEPS = 40, 8
TEXT = torch.randint(5, V, (64, 16), generator=generator(0))
CONFIG = TrainConfig(
    STEPS, seed=3, clip_norm=None, log_every=1, evaluate_every=2, checkpoint_every=2
)


def masked_batch(step, draws):
    return mask_tokens(TEXT[epoch_rows(len(TEXT), 7, step, 3)], 0.3, V, draws)


def causal_batch(step, draws):
    rows = TEXT[epoch_rows(len(TEXT), 7, step, 3)]
    attend = torch.arange(16) < torch.randint(4, 17, (7, 1), generator=draws)
    return CausalBatch(rows, attend)


OBJECTIVES = {
    "masked": (MaskedLanguageModel, masked_loss, masked_batch),
    "causal": (CausalLanguageModel, causal_loss, causal_batch),
}


def sgd(model):
    return [torch.optim.SGD(model.parameters(), 0.5)]


OPTIMISERS = {  # and settings; SGD feels the length of a gradient, which Muon forgets
    "sgd": (sgd, {}),
    "accumulated": (sgd, {"accumulate": 2}),
    "clipped": (sgd, {"clip_norm": 0.3}),
    "muon": (muon, {"clip_norm": 1.0}),
}


def run(objective, optimiser="sgd", workers=ALONE, next_batch=None, **arguments):
    """Train a small model; 7 rows a batch, so that two processes have unequal shares."""
    make, loss_fn, batches = OBJECTIVES[objective]
    seed_everything(0)
    model = make(TransformerConfig(V, 16, 2, 2, 24, 16, causal=objective == "causal"))
    model = distribute(model, workers)
    optimisers, settings = OPTIMISERS[optimiser]
    held_out = [batches(0, generator(9))]
    return train(
        model, loss_fn, next_batch or batches, optimisers(model),
        replace(CONFIG, **settings),
        schedule=warmup_linear(STEPS, 2),
        evaluate=lambda model: {"loss": mean_loss(model, loss_fn, held_out)},
        workers=workers, **arguments,
    )  # fmt: skip


def equal_runs(workers: Workers, folder: Path) -> None:
    """Run each objective and optimiser, and go on with a run that one process began."""
    results = {}
    for objective in OBJECTIVES:
        for optimiser in OPTIMISERS:
            results[f"{objective} {optimiser}"] = run(objective, optimiser, workers).rows
    checkpoint = folder / workers.parallel
    results["resumed"] = run("masked", "muon", workers, checkpoint=checkpoint, stop_after=6).rows
    try:
        run("masked", workers=workers, next_batch=lambda step, draws: masked_batch_of_one(draws))
    except ValueError as error:
        results["error"] = str(error)
    if workers.first:
        (folder / f"{workers.parallel}.json").write_text(json.dumps(results))


def masked_batch_of_one(draws):
    return mask_tokens(TEXT[:1], 0.3, V, draws)


def killed(workers: Workers, folder: Path) -> None:
    """Kill the second process in mid-run, a while after a checkpoint."""
    # torchrun ends the survivor too, at times before it can say what it lost.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def next_batch(step, draws):
        if step == 6 and workers.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return masked_batch(step, draws)

    (folder / "began").write_text(str(time.time()))
    run("masked", workers=workers, next_batch=next_batch, checkpoint=folder / "run")


if __name__ == "__main__":
    set_threads(1)
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "equal":
        with start_workers() as workers:
            for parallel in ("ddp", "fsdp"):
                equal_runs(Workers(workers.rank, workers.size, parallel), folder)
    else:
        with start_workers() as workers:
            killed(workers, folder)
