"""Plots: what is drawn is what was measured, in colours that everybody can tell apart."""

from collections.abc import Iterator
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ptft.evaluation.metrics import mean_interval
from ptft.show.plots import PALETTE, draw_limit, plot_loss, plot_with_interval, use_style

# Viénot, Brettel and Mollon (1999): linear RGB as seen without long or without medium cones.
SIGHT = {
    "full": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}
RUNS = pd.DataFrame(
    [(8, 0, 0.5), (8, 1, 0.7), (64, 0, 0.8), (64, 1, 0.9)], columns=["labels", "seed", "accuracy"]
)
HISTORY = pd.DataFrame(
    [(0, 0, "train", 7.0), (0, 0, "valid", 7.1), (10, 80_000, "train", 5.0)],
    columns=["step", "tokens", "split", "loss"],
)


@pytest.fixture
def ax() -> Iterator[Axes]:
    with mpl.rc_context():
        mpl.use("agg")
        use_style()
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


def linear(colour: str) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB under daylight (D65)."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    f = np.cbrt(to_xyz @ rgb.clip(0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_colours_differ_for_every_sight(sight: str) -> None:
    seen = [lab(SIGHT[sight] @ linear(colour)) for colour in PALETTE]
    # A difference of 2.3 is just noticeable.
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 25


def test_every_colour_stands_out_from_white() -> None:
    luminance = [float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in PALETTE]
    assert min(1.05 / (y + 0.05) for y in luminance) >= 3  # WCAG 2.1, 1.4.11


def test_importing_changes_nothing_and_use_style_is_readable_on_a_phone() -> None:
    with mpl.rc_context():
        mpl.rcdefaults()
        assert mpl.rcParams["axes.grid"] is False
        use_style()
        assert mpl.rcParams["axes.grid"] is True
        phone, points = 350, mpl.rcParams["figure.figsize"][0] * 72
        assert mpl.rcParams["font.size"] * phone / points > 9.5
        assert mpl.rcParams["savefig.transparent"] is False


def test_mean_and_band_are_those_of_the_runs(ax: Axes) -> None:
    plot_with_interval(ax, RUNS.sample(frac=1, random_state=0), x="labels", y="accuracy", label="a")
    (line,) = ax.get_lines()
    assert np.allclose(line.get_xydata(), [(8, 0.6), (64, 0.85)])
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    expected = mean_interval([0.5, 0.7])
    at_8 = corners[corners[:, 0] == 8][:, 1]
    assert (at_8.min(), at_8.max()) == pytest.approx((expected.low, expected.high))
    assert line.get_label() == "a"


def test_two_lines_differ_in_more_than_colour(ax: Axes) -> None:
    for label in ("a", "b"):
        plot_with_interval(ax, RUNS, x="labels", y="accuracy", label=label)
    assert len({line.get_marker() for line in ax.get_lines()}) == 2


def test_one_run_has_no_interval(ax: Axes) -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        plot_with_interval(ax, RUNS[:1], x="labels", y="accuracy", label="a")


def test_loss_has_a_line_per_split_and_the_limit(ax: Axes) -> None:
    plot_loss(ax, HISTORY, limit=4.5, limit_label="entropy rate")
    train, valid, limit = ax.get_lines()
    assert np.allclose(train.get_xydata(), [(0, 7), (80_000, 5)])
    assert valid.get_label() == "valid"
    assert set(limit.get_ydata()) == {4.5}
    assert [text.get_text() for text in ax.texts] == ["entropy rate"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tokens seen", "loss (nats per token)")


@pytest.mark.parametrize("below", [False, True])
def test_the_name_of_a_limit_is_on_its_side_and_inside_the_axes(ax: Axes, below: bool) -> None:
    ax.plot([0, 1], [0.5, 0.9])
    limit = 0.4 if below else 1.0
    draw_limit(ax, limit, "Bayes limit", below=below)
    ax.figure.draw_without_rendering()
    text, frame = ax.texts[0].get_window_extent(), ax.get_window_extent()
    line = ax.transData.transform((0, limit))[1]
    assert (
        (frame.y0 <= text.y0 < text.y1 < line) if below else (line < text.y0 < text.y1 <= frame.y1)
    )


def test_wrong_columns_are_named(ax: Axes) -> None:
    with pytest.raises(ValueError, match="x must be one of step, tokens, seconds, got 'epoch'"):
        plot_loss(ax, HISTORY, x="epoch")
    with pytest.raises(ValueError, match=r"lack the columns \['seconds'\]"):
        plot_loss(ax, HISTORY, x="seconds")
    with pytest.raises(ValueError, match=r"lack the columns \['f1'\]"):
        plot_with_interval(ax, RUNS, x="labels", y="f1", label="a")
