"""Beam search: all sentences and beginnings in one step of the model, and one after the other."""

import argparse
import json
import math
import sys
import time
from typing import NamedTuple

import pandas as pd
import torch
from contest import ratios
from torch import Tensor

from ptft.core.compute import generator, seed_everything, set_threads
from ptft.models.beam_search import Hypothesis, beam_search
from ptft.models.sequence_to_sequence import Seq2SeqConfig, SequenceToSequence
from ptft.text.batches import pad

SIZES = Seq2SeqConfig(source_size=1000, target_size=1000, d_model=64)
SENTENCES, SHORTEST, LONGEST = 32, 5, 25  # tokens of a source
MAX_LENGTH = 30  # tokens of an output
WIDTHS = (1, 4, 8)
START, END = 1, 2
ALPHA = 0.6  # of the length penalty, Wu et al. 2016, sec. 7


class _Beginning(NamedTuple):
    """What a hypothesis is while it grows; without a state it has ended."""

    log_prob: float
    tokens: tuple[int, ...]
    state: Tensor | None


@torch.inference_mode()
def loop_search(
    model: SequenceToSequence, source: Tensor, attend: Tensor, width: int
) -> list[list[Hypothesis]]:
    """Search sentence by sentence, beginning by beginning; nothing is computed on padding."""
    found = []
    for row, real in zip(source, attend, strict=True):
        memory, state = model.begin(row[real][None], None)
        beam = [_Beginning(0.0, (), state)]
        for t in range(MAX_LENGTH):
            if all(b.state is None for b in beam):
                break
            last = t == MAX_LENGTH - 1
            continued = [new for b in beam for new in _continue(model, b, memory, width, last)]
            beam = sorted(continued, key=lambda b: b.log_prob, reverse=True)[:width]
        hypotheses = [Hypothesis(b.tokens, b.log_prob, _score(b)) for b in beam]
        found.append(sorted(hypotheses, key=lambda h: h.score, reverse=True))
    return found


def _continue(
    model: SequenceToSequence,
    beginning: _Beginning,
    memory: tuple[Tensor, ...],
    width: int,
    last: bool,
) -> list[_Beginning]:
    """Return the likeliest continuations of a beginning by one token."""
    log_prob, tokens, state = beginning
    if state is None:
        return [beginning]
    logits, state = model.step(torch.tensor([tokens[-1] if tokens else START]), state, memory)
    steps = logits[0].log_softmax(-1)  # (V,)
    if last:
        return [_Beginning(log_prob + float(steps[END]), tokens, None)]
    values, best = steps.topk(width)
    return [
        _Beginning(log_prob + value, tokens, None)
        if token == END
        else _Beginning(log_prob + value, (*tokens, token), state)
        for value, token in zip(values.tolist(), best.tolist(), strict=True)
    ]


def _score(beginning: _Beginning) -> float:
    length = len(beginning.tokens) + 1  # the end token counts
    return beginning.log_prob / ((5 + length) / 6) ** ALPHA


def untrained(seed: int) -> tuple[SequenceToSequence, Tensor, Tensor]:
    """Return a model, and sources `(B, S)` with their mask.

    Drawn or learned, weights cost the same; these are large, so that sentences end at any length.
    """
    seed_everything(seed)
    model = SequenceToSequence(SIZES).eval()
    with torch.no_grad():
        model.output.weight.mul_(6)
    draws = generator(seed)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (SENTENCES,), generator=draws).tolist()
    sentences = [torch.randint(5, SIZES.source_size, (n,), generator=draws) for n in lengths]
    return model, *pad([sentence.tolist() for sentence in sentences])


def same(mine: list[list[Hypothesis]], theirs: list[list[Hypothesis]]) -> bool:
    """Return whether two searches found the same outputs, in the same order, with equal scores."""
    pairs = [pair for a, b in zip(mine, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return all(
        a.tokens == b.tokens and math.isclose(a.score, b.score, rel_tol=1e-4) for a, b in pairs
    )


def compare(rounds: int) -> pd.DataFrame:
    """Search in turns, each round by another model; return one row per round and width."""
    set_threads(1)
    rows = []
    for seed in range(rounds + 1):  # the first warms up
        model, source, attend = untrained(seed)
        for width in WIDTHS:
            began = time.process_time()
            mine = beam_search(model, source, attend, width, MAX_LENGTH, START, END, ALPHA)
            middle = time.process_time()
            theirs = loop_search(model, source, attend, width)
            ended = time.process_time()
            length = sum(len(found[0].tokens) for found in mine) / len(mine)
            rows.append({"width": width, "seed": seed, "ours": middle - began,
                         "loop": ended - middle, "same": same(mine, theirs),
                         "length": length})  # fmt: skip
    return pd.DataFrame(rows).query("seed > 0")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return sentences per second, and how much longer the loop takes."""
    out = []
    for width, group in rows.groupby("width", sort=False):
        out.append({
            "width": width,
            "words in the best": round(group["length"].mean(), 1),
            "sentences per CPU second": round(SENTENCES / group["ours"].median()),
            "of the loop": round(SENTENCES / group["loop"].median(), 1),
            "loop / ours": ratios(list(group["loop"]), list(group["ours"])),
            "same hypotheses": bool(group["same"].all()),
        })  # fmt: skip
    return pd.DataFrame(out).set_index("width")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `beams` to the command line."""
    parser = parts.add_parser("beams", help=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="models")
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Print the table."""
    rows = compare(options.rounds)
    print(json.dumps(rows.to_dict("records")), file=sys.stderr)
    print(table(rows).to_string())
