import errno
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from ptft.core import DataError
from ptft.core.compute import generator, seed_everything
from ptft.models.config import TransformerConfig
from ptft.models.heads import MaskedLanguageModel
from ptft.text.batches import epoch_rows, mask_tokens
from ptft.training.checkpoint import load_checkpoint
from ptft.training.loop import History, NonFiniteLossError, TrainConfig, train
from ptft.training.losses import masked_loss, mean_loss
from ptft.training.optimisers import adamw, muon
from ptft.training.schedules import warmup_linear

V = 40
MODEL = TransformerConfig(V, d_model=16, n_heads=2, n_layers=1, d_ff=16, max_len=16, dropout=0.1)
CONFIG = TrainConfig(steps=12, seed=3, log_every=1, evaluate_every=4, checkpoint_every=4)
TEXT = torch.randint(5, V, (64, 16), generator=generator(0))
HELD_OUT = [mask_tokens(TEXT[:8], 0.5, V, generator(9))]


def next_batch(step, draws):
    return mask_tokens(TEXT[epoch_rows(len(TEXT), 8, step, 3)], 0.3, V, draws)


def evaluate(model):
    return {"loss": mean_loss(model, masked_loss, HELD_OUT)}


def run(config=CONFIG, make=muon, **arguments):
    seed_everything(0)
    model = MaskedLanguageModel(MODEL)
    arguments = {"schedule": warmup_linear(12, 2), "evaluate": evaluate} | arguments
    return model, train(model, masked_loss, next_batch, make(model), config, **arguments)


def numbers(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_it_evaluates_before_the_first_and_after_the_last_step():
    _, history = run(replace(CONFIG, evaluate_every=0))
    assert history.frame("validation")["step"].tolist() == [0, 12]
    assert history.frame("train")["step"].tolist() == list(range(1, 13))
    assert history.last() < history.rows[0]["loss"]
    with pytest.raises(ValueError, match="no 'accuracy' for the split 'validation'"):
        history.last("accuracy")
    assert History().rows == []


def test_the_same_seed_gives_the_same_history_and_another_seed_another():
    (model, history), (again, repeated) = run(), run()
    assert numbers(history) == numbers(repeated)
    assert same_weights(model, again)
    assert numbers(run(replace(CONFIG, seed=4))[1]) != numbers(history)


def test_evaluation_cannot_change_training():
    def noisy(model):
        torch.rand(7)
        return evaluate(model)

    model, _ = run()
    other, _ = run(replace(CONFIG, evaluate_every=1), evaluate=noisy)
    assert same_weights(model, other)


@pytest.mark.parametrize("make", [muon, lambda model: adamw(model, 1e-3)])
def test_resuming_is_bit_exact(tmp_path, make):
    whole, history = run(make=make)
    run(make=make, checkpoint=tmp_path / "run", stop_after=8)
    model, resumed = run(make=make, checkpoint=tmp_path / "run")
    assert same_weights(model, whole)
    assert numbers(resumed) == numbers(history)
    _, finished = run(make=make, checkpoint=tmp_path / "run")
    assert numbers(finished) == numbers(history)


def test_kill_9_loses_nothing(tmp_path):
    """A run that is killed between two checkpoints goes on from the last and ends the same."""
    code = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[2])
        import test_loop as t
        def deadly(step, draws):
            if step == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            return t.next_batch(step, draws)
        t.seed_everything(0)
        model = t.MaskedLanguageModel(t.MODEL)
        t.train(model, t.masked_loss, deadly, t.muon(model), t.CONFIG,
                schedule=t.warmup_linear(12, 2), evaluate=t.evaluate, checkpoint=sys.argv[1])
    """
    path = tmp_path / "run"
    command = [sys.executable, "-c", textwrap.dedent(code), str(path), str(Path(__file__).parent)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert load_checkpoint(path, MaskedLanguageModel(MODEL), [])["step"] == 8
    model, history = run(checkpoint=path)
    whole, expected = run()
    assert same_weights(model, whole)
    assert numbers(history) == numbers(expected)


def test_accumulation_equals_the_big_batch():
    def halves(step, draws):  # two calls for each step
        batch = next_batch(step // 2, generator(step // 2))
        rows = slice(0, 4) if step % 2 == 0 else slice(4, 8)
        chosen = batch.selected[rows]
        before = int(batch.selected[: rows.start].sum())
        targets = batch.targets[before : before + int(chosen.sum())]
        return replace(batch, ids=batch.ids[rows], selected=chosen, targets=targets)

    def whole(step, draws):
        return next_batch(step, generator(step))

    results = []
    for batches, accumulate in ((whole, 1), (halves, 2)):
        seed_everything(0)
        model = MaskedLanguageModel(replace(MODEL, dropout=0.0))
        config = TrainConfig(steps=3, accumulate=accumulate, clip_norm=None)
        train(model, masked_loss, batches, [torch.optim.SGD(model.parameters(), 0.5)], config)
        results.append(model)
    for a, b in zip(*(model.parameters() for model in results), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped():
    seed_everything(0)
    model = MaskedLanguageModel(MODEL)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    train(model, masked_loss, next_batch, [optimiser], TrainConfig(steps=1, clip_norm=0.01))
    moved = torch.cat([(p - q).flatten() for p, q in zip(model.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_it_stops_at_a_loss_that_is_not_finite_and_keeps_the_checkpoint(tmp_path):
    def broken(model, batch):
        loss, n = masked_loss(model, batch)
        broken.calls += 1
        return (loss * float("nan") if broken.calls == 7 else loss), n

    broken.calls = 0
    seed_everything(0)
    model = MaskedLanguageModel(MODEL)
    with pytest.raises(NonFiniteLossError, match="the loss became nan at step 6"):
        train(
            model, broken, next_batch, muon(model), CONFIG, checkpoint=tmp_path / "run"
        )  # fmt: skip
    assert load_checkpoint(tmp_path / "run", model, [])["step"] == 4
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_not_finite_is_caught(clip_norm):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)

    def infinite_slope(model, batch):
        return model.weight.abs().sqrt().sum(), 1

    with pytest.raises(NonFiniteLossError, match="gradient norm became"):
        train(
            model,
            infinite_slope,
            lambda step, draws: None,
            adamw(model, 1e-3),
            TrainConfig(1, clip_norm=clip_norm),
        )


def test_a_damaged_checkpoint_is_an_error(tmp_path):
    path = tmp_path / "run"
    run(checkpoint=path, stop_after=4)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(DataError, match="truncated"):
        run(checkpoint=path)
    path.write_bytes(content[:-3] + bytes(b ^ 1 for b in content[-3:]))
    with pytest.raises(DataError, match="checksum does not match"):
        run(checkpoint=path)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is of a run with"):
        run(replace(CONFIG, seed=5), checkpoint=path)
    with pytest.raises(DataError, match="another model"):
        load_checkpoint(path, MaskedLanguageModel(replace(MODEL, d_ff=8)), [])
    with pytest.raises(DataError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none", MaskedLanguageModel(MODEL), [])


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    run(checkpoint=tmp_path / "run", stop_after=4)
    before = (tmp_path / "run").read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(checkpoint=tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"accumulate": 0}, {"log_every": 0}, {"seed": -1}, {"clip_norm": 0.0}],
)
def test_impossible_settings(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(CONFIG, **change)
