"""The parts of benchmarks/networks.py run, and say what they should."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import beams
import digits_contest
import digits_peers
import digits_recipe
import recurrent

from ptft.data.digits import Digits, load_printed_digits


@pytest.fixture(scope="module")
def printed() -> Digits:
    return load_printed_digits(train=160, validation=1, test=1)["train"]


@pytest.mark.parametrize("fold", [None, 0, 3, 11])
def test_what_is_for_the_score_is_never_learned(fold):
    images = np.arange(100, dtype=np.float32)[:, None, None].repeat(4, 1)
    digits = Digits(images, np.zeros(100, np.int64))
    learned, scored = (set(part.images[:, 0, 0]) for part in digits_contest.split(digits, fold))
    assert not learned & scored
    assert len(scored) == (20 if fold is None else 10)
    assert len(learned | scored) == (100 if fold is None else 80)
    if fold is not None:
        for_the_score = set(digits_contest.split(digits)[1].images[:, 0, 0])
        assert not (learned | scored) & for_the_score, "tuning looked at what is for the score"


def test_the_script_reads_the_same_images_through_pillow(printed):
    images, labels = digits_peers.normalised(printed)
    dataset = digits_peers.PillowDigits(printed)
    assert len(dataset) == len(printed)
    for i in (0, 7):
        image, label = dataset[i]
        torch.testing.assert_close(
            image, images[i], atol=0.5 / 255 / digits_peers.STD + 1e-5, rtol=0
        )
        assert label == labels[i]


def test_our_recipe_learns_and_crops(printed):
    recipe = replace(digits_recipe.SHORT, passes=12, batch_size=32)
    model = digits_recipe.fit_digits(recipe, printed, seed=0)
    images, labels = digits_peers.normalised(printed)
    assert digits_peers.accuracy(model, images, labels) > 0.6, "chance is 0.1"
    framed = images.clone()
    framed[..., :3, :] = 9.0
    torch.testing.assert_close(model(framed), model(images))


def test_every_peer_has_a_point_per_epoch(printed, monkeypatch):
    small = partial(torch.nn.Sequential, torch.nn.Flatten(), torch.nn.Linear(784, 10))
    monkeypatch.setattr(digits_peers, "script_network", small)
    for peer in (digits_peers.run_script, digits_peers.run_script_in_tensors):
        points = peer(printed, printed, 0, 3)
        assert len(points) == 3
        assert points[0][1] < points[2][1], "seconds add up"
        assert points[2][0] > 0.3, "chance is 0.1"


def test_accuracy_is_compared_seed_by_seed():
    rows = pd.DataFrame([
        {"contender": name, "seed": seed, "points": points}
        for seed in (0, 1)
        for name, points in {
            digits_contest.SCRIPT: [[0.9 + seed / 100, 8.0], [0.95, 16.0]],
            digits_contest.KERAS: [[0.9, 16.0]],
            digits_contest.OURS_SHORT: [[0.96, 2.0]],
            digits_contest.OURS_LONG: [[0.97, 4.0]],
        }.items()
    ])  # fmt: skip
    first, last = (digits_contest.table(rows, epoch) for epoch in (1, 2))
    assert list(last.index) == [digits_contest.SCRIPT, digits_contest.OURS_LONG]
    assert list(first.index)[1:] == [digits_contest.KERAS, digits_contest.OURS_SHORT]
    assert first.loc[digits_contest.KERAS, "script's / this"].startswith("0.50")
    assert first.loc[digits_contest.OURS_SHORT, "points above the script"].startswith("5.5")
    assert last.loc[digits_contest.OURS_LONG, "script's / this"].startswith("4.00")


def test_a_beam_and_the_loop_find_the_same(monkeypatch):
    monkeypatch.setattr(beams, "SENTENCES", 5)
    monkeypatch.setattr(beams, "MAX_LENGTH", 8)
    monkeypatch.setattr(beams, "SIZES", beams.Seq2SeqConfig(20, 20, d_model=16))
    rows = beams.compare(2)
    assert len(rows) == 2 * len(beams.WIDTHS) and rows["same"].all()
    assert rows["length"].between(1, 8).all()
    assert len(beams.table(rows)) == len(beams.WIDTHS)


def test_all_ways_through_an_lstm_have_the_same_gradient(monkeypatch):
    monkeypatch.setattr(recurrent, "TEXTS", 24)
    monkeypatch.setattr(recurrent, "BATCH", 8)
    monkeypatch.setattr(recurrent, "LONGEST", (9,))
    rows = recurrent.compare(2)
    assert (rows["difference"] < 1e-5).all()
    read = rows.groupby("way")["read"].sum()
    assert read["nn.LSTM, padded, like lengths"] < read["nn.LSTM, padded"]
    assert len(recurrent.table(rows)) == len(recurrent.WAYS)
