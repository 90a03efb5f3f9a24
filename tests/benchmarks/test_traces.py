# SPDX-License-Identifier: GPL-2.0-only
"""Executions that differ in the order of independent steps are counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.traces import Count, count
from tests.check import toys


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ((toys.increment, toys.set_flag), Count(executions=1, steps=3)),
        ((toys.roll,), Count(executions=3, steps=3)),
        # one after the other, the other way round, and both loads before both stores, which store the same
        ((toys.increment, toys.increment), Count(executions=3, steps=11)),
        ((toys.spin_until_flag, toys.set_flag), None),
    ],
)
def test_count(functions: tuple[Callable[..., Any], ...], expected: Count | None) -> None:
    search, _ = toys.whole(toys.system(*functions))
    assert count(search) == expected
