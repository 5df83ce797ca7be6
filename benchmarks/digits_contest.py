"""MNIST: the script of the PyTorch examples, its twin in Keras, and ours, at equal accuracy."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from contest import ratios, take_turns
from digits_peers import (
    Point,
    accuracy,
    normalised,
    run_keras,
    run_script,
    run_script_in_tensors,
)
from digits_recipe import LONG, SHORT, Recipe, fit_digits

from ptft.core.compute import generator, set_threads
from ptft.data.digits import Digits, load_mnist
from ptft.evaluation.metrics import mean_interval

HELD_OUT = 5  # one image in five is for the score
FOLDS = 8  # of the rest, one in eight when settings are chosen
EPOCHS = 14  # of the script
SCRIPT, TENSORS, KERAS = "the script", "the script, no loader", "its twin in Keras"
OURS_SHORT, OURS_LONG = "ours, short", "ours, long"

# From images to learn from, images to be scored on, a seed and a number of epochs to what was
# reached after each. Ours has one point, whatever the number of epochs.
Contender = Callable[[Digits, Digits, int, int], list[Point]]


def split(digits: Digits, fold: int | None = None) -> tuple[Digits, Digits]:
    """Split at random, always in the same way: four fifths to learn from, the rest for the score.

    With a fold, the first part alone is split, and the rest is not looked at.
    """
    order = torch.randperm(len(digits), generator=generator(0)).numpy()
    held = len(order) // HELD_OUT
    if fold is None:
        return digits.rows(order[held:]), digits.rows(order[:held])
    folds = np.array_split(order[held:], FOLDS)
    test = folds.pop(fold % FOLDS)
    return digits.rows(np.concatenate(folds)), digits.rows(test)


def run_ours(recipe: Recipe, train: Digits, test: Digits, seed: int, epochs: int) -> list[Point]:
    """Train by our recipe, and score what comes out."""
    began = time.process_time()
    model = fit_digits(recipe, train, seed)
    seconds = time.process_time() - began
    return [(accuracy(model, *normalised(test)), seconds)]


CONTENDERS: dict[str, Contender] = {
    SCRIPT: run_script,
    TENSORS: run_script_in_tensors,
    KERAS: run_keras,
    OURS_SHORT: partial(run_ours, SHORT),
    OURS_LONG: partial(run_ours, LONG),
}


def work(contender: str, train: Digits, test: Digits, seed: int, epochs: int) -> list[Point]:
    """Be one contender; what a process does once, loading libraries, is done before the clock."""
    set_threads(1)
    few = train.rows(slice(256))
    if contender in (OURS_SHORT, OURS_LONG):
        recipe = {OURS_SHORT: SHORT, OURS_LONG: LONG}[contender]
        run_ours(replace(recipe, passes=2), few, few, seed, 1)
    else:
        CONTENDERS[contender](few, few, seed, 1)
    return CONTENDERS[contender](train, test, seed, epochs)


def table(rows: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """Return accuracy and time after an epoch (1 is the first) beside the script's.

    Ours is as it is after its own last step: the short run for epoch 1, else the long one.
    """
    reached = {}
    for name, group in rows.groupby("contender", sort=False):
        points = group["points"].tolist()
        if name == (OURS_SHORT if epoch == 1 else OURS_LONG):
            reached[str(name)] = [p[-1] for p in points]
        elif name in (OURS_SHORT, OURS_LONG):
            continue  # it is for the other epoch
        elif all(len(p) >= epoch for p in points):
            reached[str(name)] = [p[epoch - 1] for p in points]
    scores, times = zip(*reached[SCRIPT], strict=True)
    out = []
    for name, points in reached.items():
        accuracies, seconds = zip(*points, strict=True)
        ahead = [100 * (a - b) for a, b in zip(accuracies, scores, strict=True)]
        out.append({
            "contender": name,
            "% right": str(mean_interval([100 * a for a in accuracies])),
            "points above the script": "" if name == SCRIPT else str(mean_interval(ahead)),
            "CPU seconds": round(pd.Series(seconds).median(), 2),
            "script's / this": ratios(list(times), list(seconds)),
        })  # fmt: skip
    return pd.DataFrame(out).set_index("contender")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `digits` to the command line."""
    parser = parts.add_parser("digits", help=__doc__)
    parser.add_argument("--mnist", required=True, help="folder of *-images-idx3-ubyte.gz")
    parser.add_argument("--rounds", type=int, default=3, help="seeds, at least 2")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the script")
    parser.add_argument("--peer-epochs", type=int, default=1, help="of the two other peers")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), help="beside the script")
    parser.add_argument("--tuning", action="store_true", help="score on a part of what is learned")
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Compare, or be one contender."""
    if options.worker:
        parts = split(load_mnist(options.mnist), options.seed if options.tuning else None)
        epochs = options.epochs if options.worker == SCRIPT else options.peer_epochs
        print(json.dumps({"points": work(options.worker, *parts, options.seed, epochs)}))
        return
    if options.rounds < 2 or min(options.epochs, options.peer_epochs) < 1:
        parser.error("--rounds must be at least 2, the epochs at least 1")
    names = [n for n in CONTENDERS if not options.only or n in options.only or n == SCRIPT]
    part = ["digits", "--mnist", str(Path(options.mnist).resolve())]
    part += ["--epochs", str(options.epochs), "--peer-epochs", str(options.peer_epochs)]
    part += ["--tuning"] * options.tuning
    rows = take_turns(part, names, options.rounds, "networks.py")
    for epoch in sorted({1, options.epochs}):
        print(f"after epoch {epoch} of the script, and ours after its last step")
        print(table(rows, epoch).to_string(), end="\n\n")
