"""Two processes and one do the same; what `torchrun` starts is in `distributed_run.py`."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ptft.core.compute import generator
from ptft.text.batches import CausalBatch, LabelledBatch
from ptft.training.distributed import Workers, distribute, shard, split_like, start_workers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import distributed_run as worker  # noqa: E402


def torchrun(task, folder):
    """Start two processes on a free port, without what this test run has set for its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(HERE / "distributed_run.py"), task, str(folder)]
    environment = {"PYTHONPATH": str(HERE.parents[1]), **os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def numbers(rows):
    return [(row["step"], row["split"], row.get("targets")) for row in rows], [
        row["loss"] for row in rows
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run one process for 4 steps; two go on to step 6, and do all the rest."""
    folder = tmp_path_factory.mktemp("equal")
    for parallel in ("ddp", "fsdp"):
        worker.run("masked", "muon", checkpoint=folder / parallel, stop_after=4)
    done = torchrun("equal", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, {p: json.loads((folder / f"{p}.json").read_text()) for p in ("ddp", "fsdp")}


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("optimiser", worker.OPTIMISERS)
def test_two_processes_have_the_losses_of_one(results, parallel, objective, optimiser):
    expected, losses = numbers(worker.run(objective, optimiser).rows)
    got, found = numbers(results[1][parallel][f"{objective} {optimiser}"])
    assert got == expected  # the same steps, with the same global number of targets
    assert found == pytest.approx(losses, abs=1e-5)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_run_goes_on_with_another_number_of_processes(results, parallel):
    folder, found = results
    steps, losses = numbers(worker.run("masked", "muon").rows)
    got, _ = numbers(found[parallel]["resumed"])
    assert got[-1][0] == 6
    history = worker.run("masked", "muon", checkpoint=folder / parallel)
    assert numbers(history.rows)[0] == steps
    assert history.rows[: len(got)] == found[parallel]["resumed"]
    assert numbers(history.rows)[1] == pytest.approx(losses, abs=1e-5)


def test_a_batch_with_fewer_rows_than_processes(results):
    for found in results[1].values():
        assert found["error"] == "a batch of 1 rows cannot be shared by 2 processes"


def test_a_killed_process_ends_the_run_and_leaves_the_checkpoint(tmp_path):
    done = torchrun("killed", tmp_path)
    seconds = time.time() - float((tmp_path / "began").read_text())
    assert done.returncode != 0
    assert seconds < 60  # the time limit of a collective is an hour
    assert "WorkerLostError: process 0 of 2 lost another one" in done.stderr
    assert "Signal 9 (SIGKILL)" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["began", "run"]
    history = worker.run("masked", checkpoint=tmp_path / "run")
    steps, losses = numbers(worker.run("masked").rows)
    assert numbers(history.rows)[0] == steps
    assert numbers(history.rows)[1] == pytest.approx(losses, abs=1e-5)


def test_shares_of_a_batch_are_the_batch():
    batch = worker.masked_batch(0, generator(0))
    shares = [shard(batch, Workers(rank, 3)) for rank in range(3)]
    assert [len(share.ids) for share in shares] == [3, 2, 2]
    for rank, share in enumerate(shares):
        assert share.attend is None
        for i, ids in enumerate(share.ids):
            row = rank + 3 * i
            assert torch.equal(ids, batch.ids[row])
            mine = share.targets[share.selected[:i].sum() :][: share.selected[i].sum()]
            before = batch.selected[:row].sum()
            assert torch.equal(mine, batch.targets[before:][: batch.selected[row].sum()])
    labelled = LabelledBatch(batch.ids, batch.ids > 0, torch.arange(7))
    assert shard(labelled, Workers(1, 2)).labels.tolist() == [1, 3, 5]
    causal = CausalBatch(batch.ids, None)
    assert shard(causal, Workers(0, 7)).ids.tolist() == batch.ids[:1].tolist()
    assert shard(causal, Workers()) is causal
    with pytest.raises(ValueError, match="a batch of 7 rows cannot be shared by 8 processes"):
        shard(causal, Workers(0, 8))
    with pytest.raises(TypeError, match="dataclasses can be shared"):
        shard([1, 2], Workers(0, 2))


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with start_workers("fsdp") as workers:
        assert (workers.size, workers.first, workers.add(1.5, 2)) == (1, True, [1.5, 2])
    model = torch.nn.Linear(1, 1)
    assert distribute(model, workers) is model
    assert split_like(model.weight, model.weight) is model.weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"parallel": "tensor"}, "parallel must be 'ddp' or 'fsdp', got 'tensor'"),
    ],
)
def test_impossible_workers(change, message):
    with pytest.raises(ValueError, match=message):
        replace(Workers(1, 2), **change)
