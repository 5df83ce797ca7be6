"""Writing 200 tokens: our cache, no cache, and `generate` of transformers, on the same weights."""

import argparse
import json
import sys
import time
from collections.abc import Callable

import pandas as pd
import torch
from contest import ratios
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from ptft.core.compute import seed_everything, set_threads
from ptft.models.config import GPT2, TransformerConfig
from ptft.models.generation import generate
from ptft.models.heads import CausalLanguageModel
from ptft.pretrained.interchange import to_transformers

PROMPT, NEW = 8, 200
SIZES = {
    "small": TransformerConfig(4096, 128, 4, 4, 512, 256, causal=True, style=GPT2),
    "medium": TransformerConfig(4096, 384, 6, 6, 1536, 256, causal=True, style=GPT2),
}
Write = Callable[[Tensor], Tensor]  # from a prompt (1, T) to prompt and continuation (1, T + 200)


def writers(config: TransformerConfig) -> dict[str, Write]:
    """Return the three ways to continue a prompt, likeliest token first, with equal weights."""
    seed_everything(0)
    ours = CausalLanguageModel(config)
    ours.eval()
    settings, weights = to_transformers(ours)
    theirs = GPT2LMHeadModel(GPT2Config(**settings))
    theirs.eval()  # type: ignore[no-untyped-call]
    theirs.load_state_dict(weights, strict=False)

    def their_generate(prompt: Tensor) -> Tensor:
        with torch.inference_mode():
            return theirs.generate(  # type: ignore[misc, return-value]
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW,
                min_new_tokens=NEW, do_sample=False, use_cache=True,
            )  # fmt: skip

    return {
        "with a cache": lambda prompt: generate(ours, prompt, NEW),
        "without a cache": lambda prompt: generate(ours, prompt, NEW, use_cache=False),
        "transformers": their_generate,
    }


def compare(rounds: int) -> pd.DataFrame:
    """Time every writer in turns, in one process; return one row per run."""
    set_threads(1)
    rows = []
    for size, config in SIZES.items():
        ways = writers(config)
        prompt = torch.randint(5, 4096, (1, PROMPT))
        texts = {name: way(prompt) for name, way in ways.items()}  # warms up, too
        for seed in range(rounds):
            for name, way in ways.items():
                began = time.process_time()
                way(prompt)
                seconds = time.process_time() - began
                rows.append({"size": size, "writer": name, "seed": seed, "seconds": seconds,
                             "same": bool(texts[name].equal(texts["with a cache"]))})  # fmt: skip
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return tokens per second, and how much slower than our cache each writer is."""
    out = []
    for (size, writer), group in rows.groupby(["size", "writer"], sort=False):
        mine = rows[(rows["size"] == size) & (rows["writer"] == "with a cache")]
        out.append({
            "size": size,
            "writer": writer,
            "tokens per CPU second": round(NEW / group["seconds"].median()),
            "times as long": ratios(list(group["seconds"]), list(mine["seconds"])),
            "same text": bool(group["same"].all()),
        })  # fmt: skip
    return pd.DataFrame(out).set_index(["size", "writer"])


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `generation` to the command line."""
    parser = parts.add_parser("generation", help=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions")
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the table."""
    rows = compare(options.rounds)
    print(json.dumps(rows.to_dict("records")), file=sys.stderr)
    print(table(rows).to_string())
