import random

import numpy as np
import pytest
import torch

from ptft.core.compute import default_device, generator, seed_everything, set_threads


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_the_same_seed_gives_the_same_draws():
    seed_everything(3)
    first = draws()
    seed_everything(3)
    assert draws() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_a_generator_is_its_own():
    a = torch.rand(3, generator=generator(1))
    torch.rand(5)
    assert torch.equal(torch.rand(3, generator=generator(1)), a)


def test_the_device_exists():
    assert torch.zeros(1, device=default_device()).item() == 0


def test_threads():
    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    set_threads(before)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        set_threads(0)
