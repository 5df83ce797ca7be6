"""Next characters of one text: counting, nanoGPT's recipe, ours, and counting and ours together."""

import argparse
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from characters_recipe import HYBRID, OURS, PLAIN, Recipe, fit_recipe, rows_from
from contest import ratios, take_turns
from nanogpt_recipe import BATCH, CONTEXT, ITERATIONS, train_nanogpt
from torch import Tensor, nn

from ptft.core.compute import set_threads
from ptft.evaluation.metrics import mean_interval
from ptft.models.kneser_ney import KneserNey, cross_fitted

ORDER = 7  # of the n-grams

# From ids (B, 64) and the position (B,) of each first one in the text to scores (B, 64, V) of the
# characters that follow.
Scores = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Characters:
    """Ids `(N,)` to learn from, ids `(M,)` to be scored on, and the size of the alphabet."""

    train: Tensor
    validation: Tensor
    vocab_size: int


@dataclass(frozen=True)
class Fitted:
    """What a contender has learned, from how many characters, with how many parameters."""

    scores: Scores = field(repr=False)
    tokens: int
    parameters: int


Fit = Callable[[Characters, int], Fitted]


def read_characters(path: Path, tuning: bool = False) -> Characters:
    """Split a text as nanoGPT does: the first nine tenths to learn from, the rest for validation.

    With `tuning`, the first part alone is split in that way, and the rest is not looked at.
    """
    text = path.read_text("utf-8")
    ids = {character: i for i, character in enumerate(sorted(set(text)))}
    encoded = torch.tensor([ids[character] for character in text])
    if tuning:
        encoded = encoded[: int(0.9 * len(encoded))]
    cut = int(0.9 * len(encoded))
    return Characters(encoded[:cut], encoded[cut:], len(ids))


@torch.no_grad()
def loss_in_windows(scores: Scores, text: Tensor) -> float:
    """Return nats per character over the whole text, cut into windows of 64: the shared evaluator.

    Scores may be logits or log probabilities.
    """
    n = (len(text) - 1) // CONTEXT
    inputs = text[: n * CONTEXT].view(n, CONTEXT)
    targets = text[1 : n * CONTEXT + 1].view(n, CONTEXT)
    total = 0.0
    for rows in torch.arange(n).split(128):
        logits = scores(inputs[rows], rows * CONTEXT).flatten(0, 1)  # (B * 64, V)
        total += float(F.cross_entropy(logits.float(), targets[rows].flatten(), reduction="sum"))
    return total / (n * CONTEXT)


# Counting


def _following(model: KneserNey, text: Tensor) -> Tensor:
    """Return `(N, V)`: row t holds the log probabilities of the character after position t."""
    return torch.from_numpy(np.log(model.distributions(text, 1, len(text) + 1)))


def fit_ngrams(text: Characters, seed: int) -> Fitted:
    """Count; a character is given all that stands to its left in the validation text."""
    model = KneserNey.fit([text.train], ORDER, text.vocab_size)
    table = _following(model, text.validation)
    return Fitted(lambda ids, at: rows_from(table, at), len(text.train), 0)


def fit_ngrams_in_windows(text: Characters, seed: int) -> Fitted:
    """Count; a character is given what stands to its left in its window, as for a network."""
    model = KneserNey.fit([text.train], ORDER, text.vocab_size)

    def scores(ids: Tensor, at: Tensor) -> Tensor:
        return torch.stack([_following(model, row) for row in ids])

    return Fitted(scores, len(text.train), 0)


# nanoGPT


def fit_nanogpt(text: Characters, seed: int) -> Fitted:
    """Follow nanoGPT's recipe for a CPU."""
    model = train_nanogpt(text.train, text.vocab_size, seed).eval()
    return Fitted(lambda ids, at: model(ids), ITERATIONS * BATCH * CONTEXT, _size(model))


def _fit(recipe: Recipe) -> Fit:
    def fit(text: Characters, seed: int) -> Fitted:
        model = fit_recipe(recipe, text.train, text.vocab_size, seed)
        tokens = recipe.steps * recipe.batch_size * CONTEXT
        return Fitted(lambda ids, at: model(ids), tokens, _size(model))

    return fit


def _fit_hybrid(recipe: Recipe) -> Fit:
    def fit(text: Characters, seed: int) -> Fitted:
        known = torch.from_numpy(cross_fitted(text.train, ORDER, text.vocab_size))
        model = fit_recipe(recipe, text.train, text.vocab_size, seed, known)
        counted = KneserNey.fit([text.train], ORDER, text.vocab_size)
        table = _following(counted, text.validation)
        tokens = recipe.steps * recipe.batch_size * CONTEXT
        return Fitted(lambda ids, at: model(ids, rows_from(table, at)), tokens, _size(model))

    return fit


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


NANOGPT = "nanoGPT's recipe for a CPU"
CONTENDERS: dict[str, Fit] = {
    "7-grams": fit_ngrams,
    "7-grams, within windows": fit_ngrams_in_windows,
    NANOGPT: fit_nanogpt,
    "ours": _fit(OURS),
    "ours, without neighbours": _fit(PLAIN),
    "ours on 7-grams": _fit_hybrid(HYBRID),
}


# The contest


def fetch(source: str, folder: Path) -> Path:
    """Return a copy, in a folder, of the text at a path or an address."""
    path = folder / "text.txt"
    if source.startswith(("https://", "http://")):
        with urllib.request.urlopen(source) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    else:
        shutil.copyfile(source, path)
    return path


def work(fit: Fit, text: Characters, seed: int) -> dict[str, float]:
    """Be one contender: learn, then be scored; return what it took."""
    set_threads(1)
    began = time.process_time()
    fitted = fit(text, seed)
    seconds = time.process_time() - began
    loss = loss_in_windows(fitted.scores, text.validation)
    return {
        "loss": loss,
        "seconds": seconds,
        "tokens": fitted.tokens,
        "parameters": fitted.parameters,
    }


def contest_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return losses (95 % over the rounds), characters read, and CPU seconds beside nanoGPT's."""
    groups = {str(name): group for name, group in rows.groupby("contender", sort=False)}
    reference = groups[NANOGPT]
    table = []
    for name, group in groups.items():
        losses = group["loss"].tolist()
        table.append({
            "contender": name,
            "parameters": group["parameters"].iloc[0],
            "loss": str(mean_interval(losses)) if len(set(losses)) > 1 else f"{losses[0]:.4f}",
            "characters read": group["tokens"].iloc[0],
            "of nanoGPT's": f"1/{reference['tokens'].iloc[0] / group['tokens'].iloc[0]:.2f}",
            "CPU seconds": round(group["seconds"].median(), 1),
            "nanoGPT's / these": ratios(list(reference["seconds"]), list(group["seconds"])),
        })  # fmt: skip
    return pd.DataFrame(table).set_index("contender")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `characters` to the command line."""
    parser = parts.add_parser("characters", help=__doc__)
    parser.add_argument("--text", required=True, help="path or address of a text")
    parser.add_argument("--rounds", type=int, default=3, help="seeds, at least 2")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), help="beside nanoGPT")
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Compare, or be one contender."""
    if options.worker:
        text = read_characters(Path(options.text))
        print(json.dumps(work(CONTENDERS[options.worker], text, options.seed)))
        return
    if options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    names = [n for n in CONTENDERS if not options.only or n in options.only or n == NANOGPT]
    with tempfile.TemporaryDirectory() as folder:
        path = fetch(options.text, Path(folder))
        rows = take_turns(["characters", "--text", str(path)], names, options.rounds)
    print(contest_table(rows).to_string())
