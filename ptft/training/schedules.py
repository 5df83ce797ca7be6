"""Learning-rate schedules: functions from the step to a factor between 0 and 1."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(step: int) -> float:
    """Return 1 at every step."""
    return 1.0


def warmup_linear(steps: int, warmup: int = 0, decay_from: float = 0.0) -> Schedule:
    """Rise linearly for `warmup` steps, hold, then fall linearly to zero at `steps`.

    With `decay_from=0` it is BERT's schedule (Devlin et al. 2019, app. A.2); with a larger share it
    is a trapezoid.

    Args:
        steps: Length of the run.
        warmup: Steps of the rise.
        decay_from: Share of the run after which the fall begins (never before the rise has ended).

    Raises:
        ValueError: If `warmup` is not in [0, steps) or `decay_from` not in [0, 1).
    """
    _check(steps, warmup)
    if not 0 <= decay_from < 1:
        raise ValueError(f"decay_from must be in [0, 1), got {decay_from}")
    start = max(warmup, decay_from * steps)

    def factor(step: int) -> float:
        return max(0.0, min(1.0, (step + 1) / max(1, warmup), (steps - step) / (steps - start)))

    return factor


def warmup_cosine(steps: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """Rise linearly for `warmup` steps, then follow half a cosine down to `floor` at `steps`.

    Raises:
        ValueError: If `warmup` is not in [0, steps) or `floor` not in [0, 1].
    """
    _check(steps, warmup)
    if not 0 <= floor <= 1:
        raise ValueError(f"floor must be in [0, 1], got {floor}")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / (steps - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return factor


def _check(steps: int, warmup: int) -> None:
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be in [0, {steps}), got {warmup}")
