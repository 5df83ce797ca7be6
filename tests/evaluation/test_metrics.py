"""Intervals: equal to SciPy's, and as often right as they say."""

import numpy as np
import pytest
from scipy import stats

from ptft.evaluation.metrics import Interval, bootstrap_interval, mean_interval, paired_gap


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_mean_interval_is_scipys(confidence: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, size=5)
    ours = mean_interval(values, confidence=confidence)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert ours.mean == pytest.approx(values.mean(), rel=1e-12)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert ours.n == 5


def test_three_seeds_by_hand() -> None:
    # s = 0.1 and t = 4.303 with two degrees of freedom: half = 4.303 * 0.1 / sqrt(3) = 0.248.
    assert str(mean_interval([0.8, 0.9, 1.0])) == "0.9 [0.652, 1.15], n = 3"


def test_equal_values_leave_no_interval() -> None:
    assert mean_interval([2, 2]) == Interval(2.0, 2.0, 2.0, 2)


def test_bootstrap_interval_is_scipys() -> None:
    right = np.random.default_rng(1).random(400) < 0.8
    ours = bootstrap_interval(right, seed=0, resamples=4000)
    theirs = stats.bootstrap(
        (right.astype(float),), np.mean, n_resamples=4000, method="percentile", batch=500
    ).confidence_interval
    # Two random edges; each has a standard error of about 0.0007 here.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)
    assert ours.low < ours.mean == right.mean() < ours.high


def test_bootstrap_repeats_with_its_seed_alone() -> None:
    values = np.random.default_rng(2).normal(size=50)
    first = bootstrap_interval(values, seed=7)
    np.random.seed(0)
    assert bootstrap_interval(values, seed=7) == first
    assert bootstrap_interval(values, seed=8) != first


def coverage(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    # For a right method the coverage of 2,000 trials is 0.95 +- 0.0049, so a band of 4.5 standard
    # errors would fail for one seed in 100,000; the seed is fixed, so it never fails by chance.
    rng = np.random.default_rng(3)
    normal = [mean_interval(rng.normal(1, 2, size=3)) for _ in range(2000)]
    assert coverage(normal, 1) == pytest.approx(0.95, abs=0.022)
    # The bootstrap is right only in the limit: 400 trials of 200 items, 4.5 errors of 0.011.
    items = [bootstrap_interval(rng.random(200) < 0.7, i, resamples=300) for i in range(400)]
    assert coverage(items, 0.7) == pytest.approx(0.95, abs=0.05)


def test_pairing_removes_what_makes_items_hard() -> None:
    rng = np.random.default_rng(4)
    limit = rng.gamma(4, 10, size=300)  # strings differ much in their loss
    gap = paired_gap(limit + rng.normal(0.5, 1, size=300), limit)
    assert gap.low < 0.5 < gap.high
    assert gap.high - gap.low < 0.3 < mean_interval(limit).high - mean_interval(limit).low


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], r"n >= 2, got \(1,\)"),
        ([[1.0, 2.0]], r"n >= 2, got \(1, 2\)"),
        ([1.0, float("nan")], "must be finite"),
    ],
)
def test_bad_values_are_refused(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_interval(values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, seed=0)  # type: ignore[arg-type]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        mean_interval([1, 2], confidence=95)
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        bootstrap_interval([1, 2], seed=0, resamples=0)
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(3,\)"):
        paired_gap([1, 2], [1, 2, 3])
