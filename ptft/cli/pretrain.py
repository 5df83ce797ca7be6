"""`python -m ptft pretrain`: text in, a folder out that `ptft` and `transformers` open."""

import argparse
import json
import math
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ptft.cli.sources import (
    SETTINGS,
    Source,
    exact_limit,
    open_source,
    prepare,
    say,
    scored_batches,
)
from ptft.core import atomic_write
from ptft.core.compute import default_device, seed_everything, set_threads
from ptft.models.config import LLAMA, MODERNBERT, TransformerConfig
from ptft.models.heads import CausalLanguageModel, LanguageModel, MaskedLanguageModel
from ptft.pretrained import save_model
from ptft.text.batches import CausalBatch, mask_tokens
from ptft.training.checkpoint import load_checkpoint
from ptft.training.distributed import ALONE, Workers, distribute, start_workers
from ptft.training.loop import History, TrainConfig, train
from ptft.training.losses import causal_loss, masked_loss, mean_loss
from ptft.training.optimisers import muon
from ptft.training.schedules import warmup_linear

STEPS = 1000  # a minute on one thread for the exact language
MASK_RATE = 0.3
ADAMW_LR = {"causal": 0.01, "masked": 0.003}  # of embeddings and vectors
EVALUATIONS = 10  # in a run; a checkpoint is written with each


def pretrain(args: argparse.Namespace) -> None:
    """Train a language model, or go on with it, and save it.

    Raises:
        DataError: If the text cannot be read, or the folder holds another run.
        ValueError: If a setting is impossible.
        KeyboardInterrupt: If it was stopped; the message says how to go on.
    """
    _check(args)
    set_threads(args.threads)
    folder = Path(args.out)
    checkpoint = folder / "run" / "checkpoint.safetensors"
    with start_workers(args.parallel or "ddp") as workers:
        try:
            if workers.first:
                prepare(args, folder / "run")
            workers.wait()
            source = open_source(args, folder / "run")
            steps = _steps(args, source, folder / "run", workers)
            history = _train(args, source, steps, checkpoint, workers)
        except KeyboardInterrupt:
            on = f"goes on from {checkpoint}" if checkpoint.exists() else "starts anew"
            raise KeyboardInterrupt(f"stopped: the same command {on}") from None
        if workers.first:
            _save(args, source, history, checkpoint, folder)
        workers.wait()


def _check(args: argparse.Namespace) -> None:
    for name in ("steps", "minutes", "batch_size"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if args.steps is not None and args.minutes is not None:
        raise ValueError("give --steps or --minutes, not both")
    if args.parallel and "WORLD_SIZE" not in os.environ:
        raise ValueError(
            f"--parallel {args.parallel} needs several processes: start them by "
            "`torchrun --nproc-per-node 2 -m ptft pretrain ...`"
        )
    _config(args, vocab_size=args.vocab_size)  # before a corpus is tokenised for nothing


def _config(args: argparse.Namespace, vocab_size: int) -> TransformerConfig:
    causal = args.objective == "causal"
    return TransformerConfig(
        vocab_size,
        d_model=args.d_model,
        n_heads=args.heads,
        n_layers=args.layers,
        d_ff=2 * args.d_model,
        max_len=args.length,
        causal=causal,
        style=replace(LLAMA if causal else MODERNBERT, init_std=None),
    )


def _steps(args: argparse.Namespace, source: Source, folder: Path, workers: Workers) -> int:
    """Return the number of updates; for --minutes, a new run times ten of them to find out."""
    if args.minutes is None:
        return args.steps or STEPS
    path = folder / "steps.json"
    if not path.exists():
        trial = _train(args, source, 10, None, workers, trial=True)
        if workers.first:
            steps = round(60 * args.minutes * 10 / trial.rows[-1]["seconds"])
            with atomic_write(path, "w") as file:
                file.write(json.dumps(max(10, steps)))
        workers.wait()
    return json.loads(path.read_text("utf-8"))


def _train(
    args: argparse.Namespace,
    source: Source,
    steps: int,
    checkpoint: Path | None,
    workers: Workers = ALONE,
    trial: bool = False,
) -> History:
    device = default_device()
    model = _model(args, source).to(device)
    parameters = sum(p.numel() for p in model.parameters())
    model_ = distribute(model, workers)
    V, masked = len(source.tokenizer), args.objective == "masked"
    loss_fn: Any = masked_loss if masked else causal_loss
    held_out = scored_batches(source.held_out, not masked, V)
    limit = exact_limit(source.held_out, held_out) if args.data == "exact" else None
    held_out = [_to(batch, device) for batch in held_out]
    now = 0

    def next_batch(step: int, draws: torch.Generator) -> Any:
        nonlocal now
        now = step + 1
        ids = source.draw(step, draws)
        batch = mask_tokens(ids, MASK_RATE, V, draws) if masked else CausalBatch(ids, None)
        return _to(batch, device)

    def evaluate(model: nn.Module) -> dict[str, float]:
        loss = mean_loss(model, loss_fn, held_out)
        rest = f"perplexity {math.exp(loss):.1f}"
        if limit is not None:
            rest = f"exact limit {limit:.4f}  gap {loss - limit:.4f}"
        if workers.first:
            say(f"step {now:5} of {steps}  loss {loss:.4f} nats per token  {rest}")
        return {"loss": loss} if limit is None else {"loss": loss, "limit": limit}

    if workers.first and not trial:
        say(f"{parameters:,} parameters, {V:,} tokens, {workers.size} process(es), {device}")
        if checkpoint is not None and checkpoint.exists():
            say(f"going on from {checkpoint}")
    every = max(1, steps // EVALUATIONS)
    about = json.dumps({name: getattr(args, name) for name in SETTINGS})
    return train(
        model_, loss_fn, next_batch, muon(model_, adamw_lr=ADAMW_LR[args.objective]),
        TrainConfig(steps, args.seed, evaluate_every=every, checkpoint_every=every, about=about),
        schedule=warmup_linear(steps, steps // 20, decay_from=0.4),
        evaluate=None if trial else evaluate, checkpoint=checkpoint, workers=workers,
    )  # fmt: skip


def _model(args: argparse.Namespace, source: Source) -> LanguageModel:
    seed_everything(args.seed)
    make = CausalLanguageModel if args.objective == "causal" else MaskedLanguageModel
    return make(_config(args, len(source.tokenizer)))


def _to(batch: Any, device: torch.device) -> Any:
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{n: None if t is None else t.to(device) for n, t in tensors.items()})


def _save(
    args: argparse.Namespace, source: Source, history: History, checkpoint: Path, folder: Path
) -> None:
    model = _model(args, source)
    load_checkpoint(checkpoint, model, [])  # whole, however many processes had parts of it
    loss = history.last()
    settings = {name: getattr(args, name) for name in SETTINGS}
    record = {"settings": settings, "loss": loss, "history": history.rows}
    card = (
        f"# A small {args.objective} language model\n\nMade by `python -m ptft pretrain` from "
        f"{args.data}; held-out loss {loss:.4f} nats per token. `record.json` has the settings.\n"
    )
    save_model(folder, model, source.tokenizer, record, card)
    say(f"saved to {folder}; see what it can do:")
    say(f"  python -m ptft evaluate --model {folder} --data {args.data}")
    if args.objective == "causal":
        say(f"  python -m ptft generate --model {folder} 'A text to go on with'")
