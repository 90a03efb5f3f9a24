# SPDX-License-Identifier: GPL-2.0-only
"""Garbage of searches: states and step code in cycles of references. Python collects by the number of objects."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

ALLOCATIONS = 200_000
"""Allocations between two runs of the garbage collector: a compilation makes many small objects that live on."""
GROWTH_MIB = 512
"""Growth of the process after which everything is looked through: that takes some tenths of a second."""
STATM = Path("/proc/self/statm")


def resident_mib() -> int:
    """Return how much memory this process has, in MiB."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


class Garbage:
    """Collects garbage of this process rarely, by how much memory it holds rather than by how many objects."""

    def __init__(self) -> None:
        gc.set_threshold(ALLOCATIONS)
        self._kept = resident_mib()

    def collect(self) -> None:
        """Collect it all if the process has grown by GROWTH_MIB since the last time."""
        if resident_mib() > self._kept + GROWTH_MIB:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # or else the holes between what lives stay with the process
            self._kept = resident_mib()
