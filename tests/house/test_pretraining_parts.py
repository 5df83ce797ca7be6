"""The smaller parts of benchmarks/pretraining.py run, and say what they should."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import generation
import limits
import masked
import peak


def test_generation_writes_one_text_three_ways(monkeypatch):
    tiny = replace(generation.SIZES["small"], d_model=32, n_layers=1, d_ff=32)
    monkeypatch.setattr(generation, "SIZES", {"tiny": tiny})
    monkeypatch.setattr(generation, "NEW", 12)
    rows = generation.compare(2)
    assert len(rows) == 6 and rows["same"].all()
    table = generation.table(rows)
    assert table.loc[("tiny", "with a cache"), "times as long"].startswith("1.00")


def test_the_distance_to_a_limit_is_paired(monkeypatch):
    monkeypatch.setattr(limits, "SCORED", 50)
    short = {name: replace(run, steps=3) for name, run in limits.RUNS.items()}
    monkeypatch.setattr(limits, "RUNS", short)
    rows = []
    for name in list(short)[:3]:
        for seed in (0, 1):
            record = limits.work(name, seed)
            assert 1 < record["gap"] < math.log(170), "three steps teach little"
            assert record["tokens"] == 3 * limits.BATCH * limits.LENGTH
            rows.append({"contender": name, "seed": seed, **record})
    table = limits.table(pd.DataFrame(rows))
    assert list(table.index) == list(short)[:3]
    assert table.iloc[0]["times Muon's"].startswith("1.00")


def test_trainer_and_our_loop_learn_the_same_thing(monkeypatch):
    monkeypatch.setattr(masked, "STEPS", 4)
    monkeypatch.setattr(masked, "MUON_STEPS", 4)
    monkeypatch.setattr(masked, "WARMUP", 1)
    tiny = replace(masked.SIZES, d_model=16, n_heads=2, n_layers=1, d_ff=16)
    monkeypatch.setattr(masked, "SIZES", tiny)
    windows = torch.randint(5, 4096, (80, masked.LENGTH), dtype=torch.int32)
    for fit in masked.CONTENDERS.values():
        model, steps = fit(windows, 0)
        assert steps == 4
        batches = masked.evaluation_batches(windows[:64], 4096)
        loss = masked.mean_loss(model, masked.masked_loss, batches)
        assert loss == pytest.approx(math.log(4096), rel=0.1)


def test_the_peak_is_not_exceeded(monkeypatch):
    monkeypatch.setattr(peak, "WIDTHS", (32,))
    monkeypatch.setattr(peak, "PRODUCTS", (256,))
    table = peak.measure(1)
    assert len(table) == 2
    assert table["of the peak"].between(0, 1.2).all()
