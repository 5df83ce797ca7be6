"""One look for every figure, and the few plots that chapters share."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from ptft.evaluation.metrics import mean_interval

# Any two differ also for a reader who lacks one kind of cone, and each stands out from white by
# 3:1 or more; the tests measure both.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#7a1f5c", "#000000")
_MARKERS = ("o", "s", "^", "D", "v")  # a second sign beside the colour, also for print

_X_LABELS = {"step": "optimiser steps", "tokens": "tokens seen", "seconds": "seconds"}


def use_style() -> None:
    """Set matplotlib's defaults for this process: call once, in a chapter's first cell.

    A figure is 6 inches wide, so that its 12-point text is still about 10 pixels high on a phone
    350 pixels wide.
    """
    plt.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 130,
            "figure.figsize": (6.0, 4.0),
            "font.size": 12,
            "grid.color": "#dddddd",
            "legend.frameon": False,
            "lines.linewidth": 2,
            "savefig.transparent": False,  # white stays behind the black text of a dark page
        }
    )


def draw_limit(ax: Axes, value: float, label: str, *, below: bool = False) -> None:
    """Draw what theory gives as a dashed horizontal line that carries its name.

    Args:
        ax: Where to draw.
        value: In the unit of the vertical axis.
        label: Its name, written at the right end.
        below: True writes it under the line, for a limit that curves come down to.
    """
    ax.margins(y=0.12)  # room for the name
    ax.axhline(value, color="black", linestyle="--", linewidth=1.5)
    ax.annotate(
        label,
        xy=(1, value),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4 if below else 3),
        textcoords="offset points",
        ha="right",
        va="top" if below else "bottom",
    )


def plot_with_interval(
    ax: Axes, rows: pd.DataFrame, *, x: str, y: str, label: str, confidence: float = 0.95
) -> None:
    """Draw the mean of `y` at each `x`, and a band that is Student's interval over the seeds.

    Args:
        ax: Where to draw.
        rows: One row per run; columns `x` and `y`; two runs or more at each `x`.
        x: Column of the horizontal axis.
        y: Column of the measured value.
        label: Name of the line in the legend.
        confidence: Of the interval.

    Raises:
        ValueError: If a column is missing, or an `x` has fewer than two finite values.
    """
    _require(rows, x, y)
    at = np.sort(rows[x].unique())
    means = [mean_interval(rows.loc[rows[x] == v, y], confidence=confidence) for v in at]
    marker = _MARKERS[len(ax.get_lines()) % len(_MARKERS)]
    (line,) = ax.plot(at, [m.mean for m in means], marker=marker, label=label)
    low, high = [m.low for m in means], [m.high for m in means]
    ax.fill_between(at, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def plot_loss(
    ax: Axes,
    history: pd.DataFrame,
    *,
    x: str = "tokens",
    unit: str = "nats per token",
    limit: float | None = None,
    limit_label: str = "exact limit",
) -> None:
    """Draw the loss of each split of a training history, and the exact limit if there is one.

    Args:
        ax: Where to draw.
        history: Rows as `ptft.training` returns them, with `split`, `loss` and the column `x`.
        x: `"step"`, `"tokens"` or `"seconds"`.
        unit: Unit of the loss and of `limit`.
        limit: The loss that no model can beat.
        limit_label: Name of that line.

    Raises:
        ValueError: If `x` is none of the three, or a column is missing.
    """
    if x not in _X_LABELS:
        raise ValueError(f"x must be one of {', '.join(_X_LABELS)}, got {x!r}")
    _require(history, "split", "loss", x)
    for split, rows in history.groupby("split", sort=False):
        ax.plot(rows[x], rows["loss"], label=str(split))
    if limit is not None:
        draw_limit(ax, limit, limit_label, below=True)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))  # 200k: "200000" collides on a phone
    ax.set(xlabel=_X_LABELS[x], ylabel=f"loss ({unit})")
    ax.legend()


def _require(rows: pd.DataFrame, *columns: str) -> None:
    if missing := [column for column in columns if column not in rows.columns]:
        raise ValueError(f"rows lack the columns {missing}; they have {list(rows.columns)}")
