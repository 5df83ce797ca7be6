"""The benchmark of pretraining scores all contenders alike, and its twin of nanoGPT is nanoGPT."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ablation import VARIANTS, ablation_table
from characters import (
    CONTENDERS,
    NANOGPT,
    Characters,
    Fitted,
    contest_table,
    fetch,
    fit_ngrams,
    fit_ngrams_in_windows,
    loss_in_windows,
    read_characters,
    work,
)
from characters_recipe import HYBRID, OURS, PLAIN, Residual, build, fit_recipe, rows_from
from nanogpt_recipe import ITERATIONS, MAX_LR, MIN_LR, NanoGPT, learning_rate, train_nanogpt
from pretraining import main

VOCAB = 7
DRAWS = torch.Generator().manual_seed(0)
TEXT = torch.randint(2, (1500,), generator=DRAWS).cumsum(0) % VOCAB


def test_the_split_is_that_of_nanogpt_and_tuning_does_not_see_validation(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ba" * 45 + "cd" * 5, "utf-8")
    text = read_characters(path)
    assert (len(text.train), len(text.validation), text.vocab_size) == (90, 10, 4)
    assert text.train[:2].tolist() == [1, 0]
    inner = read_characters(path, tuning=True)
    assert (len(inner.train), len(inner.validation)) == (81, 9)
    assert inner.validation.max() == 1


def test_a_text_is_fetched_from_a_path_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("abc", "utf-8")
    assert fetch(str(tmp_path / "here"), tmp_path).read_text("utf-8") == "abc"


def test_the_loss_is_the_mean_over_all_windows() -> None:
    table = torch.randn(len(TEXT), VOCAB, generator=torch.Generator().manual_seed(1))
    n = (len(TEXT) - 1) // 64 * 64
    expected = torch.nn.functional.cross_entropy(table[:n], TEXT[1 : n + 1]).item()
    assert loss_in_windows(lambda ids, at: rows_from(table, at), TEXT) == pytest.approx(expected)
    seen = []
    loss_in_windows(lambda ids, at: (seen.append(ids), rows_from(table, at))[1], TEXT)
    assert torch.equal(torch.cat(seen).flatten(), TEXT[:n])


def test_ngrams_know_more_than_their_window() -> None:
    text = Characters(TEXT[:1000], TEXT[1000:], VOCAB)
    whole, windows = (fit(text, 0) for fit in (fit_ngrams, fit_ngrams_in_windows))
    known, cut = (loss_in_windows(f.scores, text.validation) for f in (whole, windows))
    assert known < cut < np.log(VOCAB)
    ids, at = text.validation[:64][None], torch.tensor([0])
    assert torch.allclose(whole.scores(ids, at), windows.scores(ids, at), atol=1e-5)


def test_the_twin_has_nanogpts_size_start_and_rates() -> None:
    torch.manual_seed(0)
    model = NanoGPT(65)
    assert sum(p.numel() for p in model.parameters()) == 804_096  # as nanoGPT counts, + positions
    logits = model(torch.zeros(2, 64, dtype=torch.long))
    assert logits.logsumexp(-1).mean().item() == pytest.approx(np.log(65), abs=0.1)
    assert learning_rate(0) == pytest.approx(MAX_LR / 101)
    assert learning_rate(100) == MAX_LR
    assert learning_rate(ITERATIONS) == pytest.approx(MIN_LR)
    ids = torch.arange(64)[None]
    changed = ids.clone()
    changed[0, 40] = 0
    same = torch.isclose(model(ids), model(changed), atol=1e-6).all(-1)[0]
    assert same[:40].all()
    assert not same[40:].any()


def test_everybody_learns() -> None:
    """The next character is this one or its successor, so that log 2 is the limit."""
    text = Characters(TEXT[:1200], TEXT[1200:], VOCAB)
    small = replace(OURS.model, d_model=16, d_ff=32)
    recipe = replace(OURS, model=small, steps=40, warmup=5)
    for model in (
        fit_recipe(recipe, text.train, VOCAB, seed=0),
        train_nanogpt(text.train, VOCAB, seed=0, iterations=25),
    ):
        assert loss_in_windows(lambda ids, at, model=model: model(ids), text.validation) < 1.6


def test_the_residual_starts_as_the_ngrams() -> None:
    model = Residual(build(HYBRID, VOCAB))
    ngrams = torch.randn(2, 9, VOCAB)
    assert torch.allclose(model(TEXT[:18].view(2, 9), ngrams), ngrams)


@pytest.mark.parametrize("recipe", [OURS, PLAIN, HYBRID])
def test_ours_is_not_larger_than_nanogpt_and_cannot_look_ahead(recipe) -> None:
    model = build(recipe, 65).eval()
    assert sum(p.numel() for p in model.parameters()) <= 810_000
    torch.nn.init.normal_(model.output.weight)
    ids = torch.arange(64)[None]
    changed = ids.clone()
    changed[0, 40] = 0
    same = (model(ids) == model(changed)).all(-1)[0]
    assert same[:40].all()
    assert not same[40]


def test_a_contender_is_scored_and_timed() -> None:
    text = Characters(TEXT[:1000], TEXT[1000:], VOCAB)
    uniform = Fitted(lambda ids, at: torch.zeros(*ids.shape, VOCAB), 5, 6)
    record = work(lambda text, seed: uniform, text, 0)
    assert record["loss"] == pytest.approx(np.log(VOCAB))
    assert (record["tokens"], record["parameters"]) == (5, 6)
    assert 0 <= record["seconds"] < 1


def test_the_tables_compare_round_by_round() -> None:
    rows = pd.DataFrame(
        {"contender": name, "seed": seed, "loss": loss + seed, "seconds": seconds,
         "tokens": tokens, "parameters": 1}
        for name, loss, seconds, tokens in ((NANOGPT, 1.9, 80.0, 700), ("ours", 1.8, 10.0, 100))
        for seed in (0, 1)
    )  # fmt: skip
    table = contest_table(rows)
    assert table.loc["ours", "nanoGPT's / these"] == "8.00 [8.00, 8.00]"
    assert table.loc["ours", "of nanoGPT's"] == "1/7.00"
    losses = pd.DataFrame(
        {"variant": name, "seed": seed, "loss": 1.0 + seed + more, "ms": 3.0}
        for name, more in (("the recipe", 0.0), ("GELU", 0.25))
        for seed in (0, 1)
    )
    table = ablation_table(losses)
    assert table.loc["GELU", "more than the recipe"] == "0.25 [0.25, 0.25], n = 2"
    assert table.loc["the recipe", "more than the recipe"] == ""


def test_names_are_those_of_the_contest() -> None:
    assert NANOGPT in CONTENDERS
    assert VARIANTS["the recipe"] is OURS
    assert len(set(VARIANTS.values())) == len(VARIANTS)  # each changes something


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: part"),
        (["characters"], "required: --text"),
        (["characters", "--text", "x", "--rounds", "1"], "--rounds must be at least 2"),
        (["ablation", "--text", "x", "--rounds", "1"], "--rounds must be at least 2"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["pretraining.py", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
