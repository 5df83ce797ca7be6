"""Masked language modelling of docstrings: `Trainer` of transformers and the course's loop."""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from contest import ratios, take_turns
from torch import Tensor
from torch.utils.data import Dataset

from ptft.core.compute import generator, seed_everything, set_threads
from ptft.data.docstrings import Split, load_docstrings
from ptft.evaluation.metrics import mean_interval
from ptft.models.config import BERT, TransformerConfig
from ptft.models.heads import MaskedLanguageModel
from ptft.pretrained import ENCODER
from ptft.pretrained.interchange import from_transformers, to_transformers
from ptft.text.batches import epoch_rows, mask_tokens, pack
from ptft.text.tokenizer import Tokenizer
from ptft.training.loop import TrainConfig, train
from ptft.training.losses import masked_loss, mean_loss
from ptft.training.optimisers import adamw, muon
from ptft.training.pretraining import evaluation_batches
from ptft.training.schedules import warmup_linear

LENGTH, BATCH, RATE = 64, 32, 0.15
STEPS, WARMUP, LR = 1_000, 100, 2e-3  # of Trainer; the best of three rates on validation text
MUON_STEPS = 450
SIZES = TransformerConfig(4096, 128, 4, 2, 512, LENGTH, style=BERT)
TRAINER, SAME, MUON = "Trainer", "our loop, same recipe", "our loop, Muon"


def read_windows(split: Split) -> Tensor:
    """Return `(N, 64)` windows of the docstrings of a split."""
    tokenizer = Tokenizer.load(ENCODER / "tokenizer.json")
    texts = [document.text for document in load_docstrings().split(split)]
    windows = pack(tokenizer.encode_all(texts, add_special_tokens=False), LENGTH)
    return windows[torch.randperm(len(windows), generator=generator(0))]


class Windows(Dataset[dict[str, Tensor]]):
    """Windows as `Trainer` reads them."""

    def __init__(self, windows: Tensor):
        self.windows = windows

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.windows)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        """Return one window."""
        return {"input_ids": self.windows[i].long()}


def fit_trainer(windows: Tensor, seed: int, lr: float = LR) -> tuple[MaskedLanguageModel, int]:
    """Follow the documentation of transformers: collator, arguments, `Trainer.train()`."""
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainingArguments,
    )

    seed_everything(seed)
    settings, _ = to_transformers(MaskedLanguageModel(SIZES))
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    theirs = BertForMaskedLM(BertConfig(**settings | dropout))
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=STEPS, per_device_train_batch_size=BATCH,
            learning_rate=lr, warmup_steps=WARMUP, lr_scheduler_type="linear", adam_beta2=0.98,
            weight_decay=0.01, seed=seed, use_cpu=True, report_to=[], save_strategy="no",
            logging_steps=STEPS, disable_tqdm=True, dataloader_num_workers=0,
        )  # fmt: skip
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=RATE)
        Trainer(theirs, arguments, collator, Windows(windows)).train()
    model = from_transformers(theirs.config.to_dict(), theirs.state_dict())
    assert isinstance(model, MaskedLanguageModel)
    return model, STEPS


def fit_ours(
    windows: Tensor, seed: int, steps: int, rate: float, with_muon: bool
) -> tuple[MaskedLanguageModel, int]:
    """Train the same architecture by the course's loop."""
    seed_everything(seed)
    model = MaskedLanguageModel(SIZES)

    def next_batch(step: int, draws: torch.Generator) -> Any:
        rows = epoch_rows(len(windows), BATCH, step, seed)
        return mask_tokens(windows[rows].long(), rate, SIZES.vocab_size, draws)

    if with_muon:
        optimisers, schedule = muon(model, 0.02, 3e-3), warmup_linear(steps, steps // 15, 0.3)
    else:
        optimisers, schedule = adamw(model, LR), warmup_linear(steps, WARMUP)
    train(model, masked_loss, next_batch, optimisers, TrainConfig(steps, seed), schedule)
    return model, steps


CONTENDERS: dict[str, Callable[[Tensor, int], tuple[MaskedLanguageModel, int]]] = {
    TRAINER: fit_trainer,
    SAME: lambda windows, seed: fit_ours(windows, seed, STEPS, RATE, with_muon=False),
    MUON: lambda windows, seed: fit_ours(windows, seed, MUON_STEPS, 0.3, with_muon=True),
}


def work(contender: str, seed: int) -> dict[str, float]:
    """Be one contender: learn, then be scored on the same masked tokens as the others."""
    set_threads(1)
    windows, test = read_windows("train"), read_windows("test")[:1024]
    began = time.process_time()
    model, steps = CONTENDERS[contender](windows, seed)
    seconds = time.process_time() - began
    batches = evaluation_batches(test, SIZES.vocab_size)
    loss = mean_loss(model, masked_loss, batches)
    return {"loss": loss, "seconds": seconds, "tokens": steps * BATCH * LENGTH}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return losses, tokens per second and time beside Trainer's."""
    groups = {str(name): group for name, group in rows.groupby("contender", sort=False)}
    reference = groups[TRAINER]
    out = []
    for name, group in groups.items():
        out.append({
            "contender": name,
            "loss": str(mean_interval(group["loss"].tolist())),
            "tokens per CPU second": round((group["tokens"] / group["seconds"]).median()),
            "CPU seconds": round(group["seconds"].median(), 1),
            "of Trainer's": ratios(list(group["seconds"]), list(reference["seconds"])),
            "peak MiB": round(group["MiB"].median()),
        })  # fmt: skip
    return pd.DataFrame(out).set_index("contender")


def add_arguments(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `masked` to the command line."""
    parser = parts.add_parser("masked", help=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="seeds, at least 2")
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Compare, or be one contender."""
    if options.worker:
        print(json.dumps(work(options.worker, options.seed)))
        return
    if options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    print(table(take_turns(["masked"], list(CONTENDERS), options.rounds)).to_string())
    print(f"a uniform guess: {math.log(SIZES.vocab_size):.3f} nats")
