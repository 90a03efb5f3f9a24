# SPDX-License-Identifier: GPL-2.0-only
"""Pace of this machine: time bounds of tests grow with it, so that load or emulation does not decide an outcome.

A factor belongs to a process and is inherited by its children. A bound that expires is measured again and granted once
more: what ends late ends. An expiry after that is counted, so that a failure can be distinguished from a time-out.
Standard library only: this also runs inside a guest.
"""

from __future__ import annotations

import time
from collections.abc import Callable

REFERENCE_SECONDS = 0.005
"""Time of the loop on an idle processor of 2020."""
EMULATED_SECONDS = 0.1
"""Time of the loop in a guest that QEMU emulates on such a processor."""
MAX_FACTOR = 20.0
"""Bound of the factor, so that a hang ends."""
SHORTEST_SECONDS = 1.0
"""Shorter bounds do not grow: they are waits inside a window that is open for so long only."""
_LOOP = 200_000
_ROUNDS = 3


class _Pace:
    """State of a process."""

    factor = 1.0
    reference = REFERENCE_SECONDS
    expirations = 0


def measure(reference: float = REFERENCE_SECONDS) -> float:
    """Return how much slower than the reference this machine is now: the slowest of a few loops, at least 1."""
    slowest = max(_loop_seconds() for _ in range(_ROUNDS))
    return min(max(slowest / reference, 1.0), MAX_FACTOR)


def _loop_seconds() -> float:
    started = time.monotonic()
    for _ in range(_LOOP):
        pass
    return time.monotonic() - started


def calibrate(factor: float | None = None, reference: float = REFERENCE_SECONDS) -> float:
    """Set the factor of this process, measured if it is not given. Returns it."""
    _Pace.reference = reference
    _Pace.factor = measure(reference) if factor is None else factor
    return _Pace.factor


def factor() -> float:
    """Return the factor of this process."""
    return _Pace.factor


def bound(seconds: float) -> float:
    """Return a bound at the pace of this machine."""
    return seconds * _Pace.factor if seconds >= SHORTEST_SECONDS else seconds


def wait(ends: Callable[[float], bool], seconds: float) -> bool:
    """Wait until something ends, within a bound at the pace of this machine and once more after it has expired.

    `ends` waits for the given time and returns whether it has ended. Returns whether it has ended at last.
    """
    if ends(bound(seconds)):
        return True
    if seconds < SHORTEST_SECONDS:
        return False
    again()
    if ends(bound(seconds)):
        return True
    expire()
    return False


def again() -> None:
    """Measure once more, after a bound has expired: the machine may have become slower."""
    _Pace.factor = max(_Pace.factor, measure(_Pace.reference))


def expire() -> None:
    """Count a bound that has expired for good."""
    _Pace.expirations += 1


def expirations() -> int:
    """Return how many bounds have expired for good in this process."""
    return _Pace.expirations
