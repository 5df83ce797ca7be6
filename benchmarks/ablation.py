"""What each part of our recipe for characters is worth: one is changed at a time."""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from characters import fetch, loss_in_windows, read_characters
from characters_recipe import OURS, Recipe, fit_recipe
from nanogpt_recipe import CONTEXT
from torch import Tensor, nn

from ptft.core.compute import set_threads
from ptft.evaluation.metrics import mean_interval
from ptft.models.config import Style


def _styled(style: Style) -> Recipe:
    return replace(OURS, model=replace(OURS.model, style=style))


STYLE = OURS.model.style
VARIANTS: dict[str, Recipe] = {
    "the recipe": OURS,
    **{
        f"AdamW at {lr}": replace(OURS, optimiser="adamw", adamw_lr=lr)
        for lr in (0.002, 0.004, 0.008, 0.016)
    },
    "own embedding only": replace(OURS, previous=0),
    "windows at random places": replace(OURS, repeat=True),
    "rate held half the run": replace(OURS, decay_from=0.5),
    "without QK-norm": _styled(replace(STYLE, qk_norm=False)),
    "ReLU squared": _styled(replace(STYLE, feed_forward="relu2")),
    "all matrices start at 0.02": _styled(replace(STYLE, init_std=0.02)),
    "learned positions": _styled(replace(STYLE, positions="learned")),
    "RMS norm": _styled(replace(STYLE, norm="rms")),
    "four layers": replace(OURS, model=replace(OURS.model, n_layers=4)),
    "tied output": _styled(replace(STYLE, tied=True, embedding_std=0.02)),
}


def _scores(model: nn.Module, ids: Tensor, at: Tensor) -> Tensor:
    return model(ids)


def ablate(source: str, rounds: int, names: list[str]) -> pd.DataFrame:
    """Train each variant on part of the training text; return one row per run."""
    set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        text = read_characters(fetch(source, Path(folder)), tuning=True)
    rows = []
    for seed in range(rounds):
        for name in names:
            recipe = VARIANTS[name]
            began = time.process_time()
            model = fit_recipe(recipe, text.train, text.vocab_size, seed)
            seconds = time.process_time() - began
            loss = loss_in_windows(partial(_scores, model), text.validation)
            rows.append({"variant": name, "seed": seed, "loss": loss,
                         "ms": 1000 * seconds / recipe.steps})  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def ablation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return losses, their difference from the recipe's with the same seed, and CPU time."""
    losses = rows.pivot(index="seed", columns="variant", values="loss")
    table = []
    for name in rows["variant"].unique():
        difference = (losses[name] - losses["the recipe"]).tolist()
        table.append({
            "variant": name,
            "loss": str(mean_interval(losses[name].tolist())),
            "more than the recipe": str(mean_interval(difference)) if any(difference) else "",
            "CPU ms a step": round(rows.loc[rows["variant"] == name, "ms"].median(), 1),
        })  # fmt: skip
    return pd.DataFrame(table).set_index("variant")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `ablation` to the command line."""
    parser = parts.add_parser("ablation", help=__doc__)
    parser.add_argument("--text", required=True, help="path or address of a text")
    parser.add_argument("--rounds", type=int, default=3, help="seeds, at least 2")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), help="beside the recipe")
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the table."""
    if options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    names = [n for n in VARIANTS if not options.only or n in options.only or n == "the recipe"]
    rows = ablate(options.text, options.rounds, names)
    print(f"each read {OURS.steps * OURS.batch_size * CONTEXT:,} characters")
    print(ablation_table(rows).to_string())
