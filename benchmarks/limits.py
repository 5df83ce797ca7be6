"""How near to the exact limit a CPU-minute or two leads, and what Muon adds to a tuned AdamW."""

import argparse
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from contest import ratios, take_turns

from ptft.core.compute import generator, seed_everything, set_threads
from ptft.data.language import exact_language
from ptft.data.limits import masked_log_probs, next_token_log_probs
from ptft.evaluation.metrics import mean_interval
from ptft.models.config import TransformerConfig
from ptft.models.heads import CausalLanguageModel, MaskedLanguageModel
from ptft.text.batches import CausalBatch, mask_tokens
from ptft.training.loop import TrainConfig, train
from ptft.training.losses import Loss, causal_loss, masked_loss, mean_loss
from ptft.training.optimisers import adamw, muon
from ptft.training.schedules import warmup_linear

LENGTH, BATCH, SCORED = 64, 16, 1000  # 1,000 texts of 64 words are scored
RATE, TRAINED_RATE, TRAINED_SCHEME = 0.15, 0.4, (0.6, 0.2, 0.2)
ADAMW_RATE, OTHER_RATES = 4e-3, (1e-3, 2e-3, 8e-3)


@dataclass(frozen=True)
class Run:
    """One way to train: what, how long, and by which optimiser."""

    causal: bool
    steps: int
    lr: float  # of Muon's matrices, or 0 for AdamW alone
    adamw_lr: float = 3e-3


CAUSAL = Run(causal=True, steps=2_000, lr=0.02, adamw_lr=4e-3)
MASKED = Run(causal=False, steps=4_400, lr=0.02)
RUNS = {
    "causal, Muon": CAUSAL,
    f"causal, AdamW at {ADAMW_RATE:g}": replace(CAUSAL, lr=0.0, adamw_lr=ADAMW_RATE),
    "masked, Muon": MASKED,
    **{  # what the rate of AdamW was chosen from: --only
        f"causal, AdamW at {rate:g}": replace(CAUSAL, lr=0.0, adamw_lr=rate) for rate in OTHER_RATES
    },
}


def work(name: str, seed: int) -> dict[str, float]:
    """Train on texts that never repeat; return the gap to the limit of the scored texts."""
    set_threads(1)
    run, language = RUNS[name], exact_language()
    vocab_size = len(language.words)
    held_out = language.sample(
        SCORED, LENGTH, generator(10_000 + seed)
    ).ids  # other texts for each seed
    config = TransformerConfig(vocab_size, 64, 4, 2, 128, LENGTH, causal=run.causal)
    loss_fn: Loss = causal_loss if run.causal else masked_loss

    began = time.process_time()
    seed_everything(seed)
    model = (CausalLanguageModel if run.causal else MaskedLanguageModel)(config)

    def next_batch(step: int, draws: torch.Generator) -> Any:
        ids = language.sample(BATCH, LENGTH, draws).ids
        if run.causal:
            return CausalBatch(ids, None)
        return mask_tokens(ids, TRAINED_RATE, vocab_size, draws, scheme=TRAINED_SCHEME)

    optimisers = muon(model, run.lr, run.adamw_lr) if run.lr else adamw(model, run.adamw_lr)
    schedule = warmup_linear(run.steps, run.steps // 50, 0.2)
    train(model, loss_fn, next_batch, optimisers, TrainConfig(run.steps, seed), schedule)
    seconds = time.process_time() - began

    if run.causal:
        batch: Any = CausalBatch(held_out, None)
        limit = -next_token_log_probs(language, held_out)[:, 1:].mean().item()
    else:
        batch = mask_tokens(held_out, RATE, vocab_size, generator(5))
        log_probs = masked_log_probs(language, batch.ids, batch.selected, held_out, RATE)
        limit = -log_probs.mean().item()
    loss = mean_loss(model, loss_fn, [batch])
    tokens = run.steps * BATCH * LENGTH
    return {"gap": loss - limit, "limit": limit, "seconds": seconds, "tokens": tokens}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return gaps in nats with intervals, and how many times the gap of Muon each is."""
    muon_gaps = rows.loc[rows["contender"] == "causal, Muon", "gap"].tolist()
    out = []
    for name, group in rows.groupby("contender", sort=False):
        gaps = group["gap"].tolist()
        causal = str(name).startswith("causal")
        out.append({
            "run": name,
            "gap (nats)": str(mean_interval(gaps)),
            "times Muon's": ratios(gaps, muon_gaps) if causal else "",
            "CPU seconds": round(group["seconds"].median(), 1),
            "tokens": group["tokens"].iloc[0],
            "limit": round(group["limit"].iloc[0], 4),
        })  # fmt: skip
    return pd.DataFrame(out).set_index("run")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `limits` to the command line."""
    parser = parts.add_parser("limits", help=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="seeds, at least 2")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS)[:3])
    parser.add_argument("--worker", choices=list(RUNS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Compare, or be one run."""
    if options.worker:
        print(json.dumps(work(options.worker, options.seed)))
        return
    if options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    print(table(take_turns(["limits"], options.only, options.rounds)).to_string())
