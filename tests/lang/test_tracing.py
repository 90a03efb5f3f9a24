# SPDX-License-Identifier: GPL-2.0-only
"""The running task."""

from __future__ import annotations

from pfncache.lang.tracing import run_as, running
from tests.lang.conftest import Whole


def test_running_task(whole: Whole) -> None:
    with run_as(whole):
        with run_as(whole.part):
            assert running() is whole.part
        assert running() is whole
    assert running() is None
