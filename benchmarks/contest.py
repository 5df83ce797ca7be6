"""Run contenders one after another, each in a process of its own, and measure what it took."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ptft.core.compute import set_threads
from ptft.data.bundled import load_analogies, load_word_similarity
from ptft.evaluation.word_tasks import analogy_score, similarity_score
from ptft.text.word_vectors import WordVectors

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
QUIET = {"TQDM_DISABLE": "1"}

# What a contender does: from the corpus in a folder and a seed to a cost (or nan) and vectors.
Fit = Callable[[Path, int], tuple[float, WordVectors | None]]


@dataclass(frozen=True)
class Measurement:
    """One run: CPU seconds of the work and of the process, peak memory in MiB, cost, vectors."""

    contender: str
    seconds: float
    process: float
    memory: float
    cost: float
    vectors: Path


# On Linux a process starts with the peak memory of the one that starts it, so a small one has to.
LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
with open("usage", "w") as file:
    print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file=file)
"""


def spend(
    command: list[str], folder: Path, stdin: str = os.devnull, stdout: str = "out"
) -> tuple[float, float, str]:
    """Run a command; return its CPU seconds, its peak memory in MiB and its standard error."""
    launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    with (
        (folder / stdin).open("rb") as source,
        (folder / stdout).open("wb") as out,
        (folder / "err").open("wb") as err,
    ):
        environment = os.environ | ONE_THREAD | QUIET
        subprocess.run(
            launch, cwd=folder, stdin=source, stdout=out, stderr=err, env=environment, check=True
        )
    status, seconds, memory = (folder / "usage").read_text().split()
    errors = (folder / "err").read_text("utf-8", "replace")
    if status != "0":
        raise RuntimeError(f"{command[0]} failed with status {status}: {errors[-500:]}")
    return float(seconds), float(memory), errors


def run_worker(script: str, contender: str, folder: Path, seed: int) -> Measurement:
    """Have `script` be one contender, see `work`, in a process of its own."""
    command = [sys.executable, str(Path(script).resolve()), "--worker", contender]
    command += ["--folder", str(folder), "--seed", str(seed)]
    process, memory, _ = spend(command, folder)
    record = json.loads((folder / "out").read_text("utf-8").splitlines()[-1])
    return Measurement(
        contender, record["seconds"], process, memory, record["cost"], Path(record["vectors"])
    )


def work(contender: str, fit: Fit, folder: Path, seed: int) -> None:
    """Be the process of one contender: fit, save the vectors, and print what it took."""
    set_threads(1)
    began = time.process_time()
    cost, vectors = fit(folder, seed)
    seconds = time.process_time() - began
    path = folder / f"{contender.replace(' ', '_').replace(',', '')}_{seed}.txt"
    if vectors is not None:
        vectors.save(path)
    print(json.dumps({"seconds": seconds, "cost": cost, "vectors": str(path)}))


def take_turns(
    part: list[str], contenders: list[str], rounds: int, script: str = "pretraining.py"
) -> pd.DataFrame:
    """Run contenders of a part of a benchmark in turns; return one row per run.

    Each is a process of its own, `<part> --worker <contender> --seed <round>`, that prints a record
    as its last line.
    """
    path = str(Path(__file__).with_name(script))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(rounds):
            for contender in contenders:
                command = [sys.executable, path, *part, "--worker", contender]
                _, memory, _ = spend([*command, "--seed", str(seed)], folder)
                record = json.loads((folder / "out").read_text("utf-8").splitlines()[-1])
                rows.append({"contender": contender, "seed": seed, "MiB": memory, **record})
                print(f"{contender}, seed {seed}: {record}", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def quality(path: Path) -> dict[str, float]:
    """Return the scores of the word tasks, nothing if there are no vectors."""
    if not path.is_file():
        return {}
    vectors = WordVectors.load(path)
    analogies = analogy_score(vectors, load_analogies())
    return {
        "WordSim-353": similarity_score(vectors, load_word_similarity("wordsim353")).rho,
        "SimLex-999": similarity_score(vectors, load_word_similarity("simlex999")).rho,
        "semantic": analogies.semantic,
        "syntactic": analogies.syntactic,
        "analogies": analogies.accuracy,
    }


def ratios(mine: list[float], theirs: list[float]) -> str:
    """Return the median, least and largest ratio, round by round."""
    each = np.array(mine) / np.array(theirs)
    return f"{np.median(each):.2f} [{each.min():.2f}, {each.max():.2f}]"
