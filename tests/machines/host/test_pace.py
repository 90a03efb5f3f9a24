# SPDX-License-Identifier: GPL-2.0-only
"""Time bounds grow with the machine's pace, and are granted once more before they count as expired."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from pfncache.machines.host import pace
from pfncache.machines.host.task import ThreadTask


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    pace.calibrate(1.0)


def test_pace_is_at_least_that_of_the_reference_and_bounded() -> None:
    assert 1.0 <= pace.measure() <= pace.MAX_FACTOR
    assert pace.measure(reference=1e-9) == pace.MAX_FACTOR
    assert pace.measure(reference=1e9) == 1.0


def test_long_bounds_grow_and_short_ones_do_not() -> None:
    assert pace.calibrate(3.0) == 3.0
    assert [pace.bound(seconds) for seconds in (0.005, 0.15, 1.0, 5.0)] == [0.005, 0.15, 3.0, 15.0]


@pytest.mark.parametrize(
    ("ends_at", "bounds", "ended", "expired"),
    [(1, [2.0], True, 0), (2, [2.0, 8.0], True, 0), (3, [2.0, 8.0], False, 1)],
)
def test_an_expired_bound_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, ends_at: int, bounds: list[float], ended: bool, expired: int
) -> None:
    monkeypatch.setattr(pace, "measure", lambda reference: 4.0)
    before = pace.expirations()
    waited: list[float] = []

    def ends(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == ends_at

    assert pace.wait(ends, 2.0) is ended
    assert (waited, pace.expirations() - before) == (bounds, expired)


def test_short_wait_that_is_over_is_no_expiry() -> None:
    before = pace.expirations()
    assert not pace.wait(lambda seconds: False, 0.15)
    assert pace.expirations() == before


def _after(seconds: float) -> int:
    time.sleep(seconds)
    return 7


def test_task_that_ends_late_but_right_is_no_failure() -> None:
    task = ThreadTask(partial(_after, 1.2))
    assert task.result(1.0) == 7


def test_task_that_does_not_end_says_how_long_it_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "measure", lambda reference: 1.0)
    with pytest.raises(TimeoutError, match=r"^still running after 2\.\d s$"):
        ThreadTask(lambda: time.sleep(30)).result(1.0)
