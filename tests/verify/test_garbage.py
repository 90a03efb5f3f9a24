# SPDX-License-Identifier: GPL-2.0-only
"""Large garbage in cycles of few objects, as the states of a search are."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from pfncache.verify.garbage import GROWTH_MIB, Garbage, resident_mib

ROUND_MIB = 32


class Cycle:
    """A table that nothing refers to but itself."""

    def __init__(self, mib: int) -> None:
        self.table: NDArray[np.uint8] = np.ones(mib << 20, dtype=np.uint8)
        self.itself = self


@pytest.fixture(autouse=True)
def threshold() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def grown(rounds: int, garbage: Garbage | None) -> int:
    """Make garbage, and return by how many MiB the process has been larger than before, at most."""
    gc.collect()
    before = resident_mib()
    most = 0
    for _ in range(rounds):
        Cycle(ROUND_MIB)
        if garbage is not None:
            garbage.collect()
        most = max(most, resident_mib() - before)
    gc.collect()
    return most


def test_large_garbage_is_collected_although_it_is_few_objects() -> None:
    rounds = 3 * GROWTH_MIB // ROUND_MIB
    garbage = Garbage()
    assert grown(rounds, None) > 2 * GROWTH_MIB, "Python would have collected it"
    assert grown(rounds, garbage) <= GROWTH_MIB + 2 * ROUND_MIB
