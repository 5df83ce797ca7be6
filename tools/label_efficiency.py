"""Measure accuracy against the number of labels, on every task, for every way to get a classifier.

`make label-efficiency` writes `label_efficiency.json` beside the checkpoint. The cover and the page
`why_pretrain` draw it, and the page repeats a part of it live. About 20 minutes on two cores.

Settings are chosen on the validation split, three per arm, with a seed of their own, once for few
labels and once for many; only the chosen one meets the test split.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

from ptft.core import atomic_write, sha256_file
from ptft.core.compute import set_threads
from ptft.data.docstrings import load_docstrings
from ptft.data.tasks import TASKS, Examples, LabelledTask, load_task
from ptft.evaluation.label_efficiency import encoder_accuracy, tfidf_accuracy
from ptft.pretrained import ENCODER, load_masked_model

OUT = ENCODER / "label_efficiency.json"
LABELS = (8, 16, 32, 64, 128, 256, 512, 1024)
SEEDS = (0, 1, 2, 3)
TUNING_SEED = 100
TUNED_AT = {64: (8, 16, 32, 64), 1024: (128, 256, 512, 1024)}
SETTINGS = {
    "pretrained": (5e-4, 1e-3, 2e-3),
    "scratch": (5e-4, 1e-3, 2e-3),
    "tfidf": (1.0, 10.0, 100.0),
}
Score = Callable[[LabelledTask, Examples, int, float, int], float]


@cache
def scorer(arm: str) -> Score:
    """Return the function that trains and scores an arm at one setting."""
    if arm == "tfidf":
        return tfidf_accuracy
    model, tokenizer = load_masked_model()
    start = model if arm == "pretrained" else model.trunk.config

    def score(task: LabelledTask, scored: Examples, n: int, setting: float, seed: int) -> float:
        return encoder_accuracy(start, tokenizer, task, scored, n, setting, seed)

    return score


def measure(job: tuple[str, str, int]) -> list[dict[str, Any]]:
    """Choose the setting of one task and arm on validation, then score the test split."""
    name, arm, tuned_at = job
    set_threads(1)
    task, score = cached_task(name), scorer(arm)
    on_validation = {
        setting: score(task, task.validation, tuned_at, setting, TUNING_SEED)
        for setting in SETTINGS[arm]
    }
    best = max(on_validation, key=lambda setting: on_validation[setting])
    return [
        {
            "task": name,
            "arm": arm,
            "labels": n,
            "seed": seed,
            "setting": best,
            "accuracy": score(task, task.test, n, best, seed),
        }
        for n in TUNED_AT[tuned_at]
        for seed in SEEDS
    ]


@cache
def cached_task(name: str) -> LabelledTask:
    """Return a task; the harvest and the labelling happen once in each process."""
    return load_task(name)


def main() -> None:
    """Measure everything and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    corpus = load_docstrings()
    jobs = [
        (name, arm, n) for n in sorted(TUNED_AT, reverse=True) for name in TASKS for arm in SETTINGS
    ]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        for part in pool.map(measure, jobs):
            rows += part
            last = part[-1]
            print(f"{last['task']:15} {last['arm']:10} setting {last['setting']:g}", flush=True)
    majority = {}
    for name in TASKS:
        labels = cached_task(name).test.labels
        majority[name] = max(labels.count(c) for c in set(labels)) / len(labels)
    record = {
        "checkpoint_sha256": sha256_file(ENCODER / "model.safetensors"),
        "corpus_sha256": corpus.sha256,
        "majority": majority,
        "rows": rows,
    }
    with atomic_write(OUT, "w") as file:
        file.write(json.dumps(record, indent=1) + "\n")
    print(f"{len(rows)} rows are in {OUT}.")


if __name__ == "__main__":
    main()
