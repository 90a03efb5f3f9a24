# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.kernel.time.hrtimer import Hrtimer


def test_callback_runs_once_for_each_start() -> None:
    timer = Hrtimer("timer")
    assert not timer.begin_callback()
    timer.start()
    assert timer.begin_callback()
    assert (timer.queued, timer.running) == (False, True)
    timer.end_callback()
    assert not timer.begin_callback()


def test_a_cancelled_timer_does_not_run() -> None:
    timer = Hrtimer("timer")
    timer.start()
    timer.cancel()
    assert not timer.begin_callback()


def test_cancel_waits_for_the_callback() -> None:
    timer = Hrtimer("timer")
    timer.start()
    timer.begin_callback()
    with pytest.raises(WouldBlock):
        timer.cancel()
    timer.end_callback()
    timer.cancel()
