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


def grown(*, is_collected: bool) -> int:
    """Make garbage, and return by how many MiB the process has been larger than before, at most."""
    gc.collect()
    garbage, before = Garbage(), resident_mib()
    most = 0
    for _ in range(3 * GROWTH_MIB // ROUND_MIB):
        Cycle(ROUND_MIB)
        if is_collected:
            garbage.collect()
        most = max(most, resident_mib() - before)
    gc.collect()
    return most


def test_large_garbage_is_collected_although_it_is_few_objects() -> None:
    assert grown(is_collected=False) > 2 * GROWTH_MIB, "Python would have collected it"
    assert grown(is_collected=True) < GROWTH_MIB + GROWTH_MIB // 2
