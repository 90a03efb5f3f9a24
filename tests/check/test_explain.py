# SPDX-License-Identifier: GPL-2.0-only
"""The reasons of verdicts, in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.check import toys


def spin_at_once(shared: toys.Box) -> None:
    """Loop without an access to shared state, from the start."""
    while True:
        pass


def spin_after_an_access(shared: toys.Box) -> None:
    """The same after a write."""
    shared.count = 1
    while True:
        pass


@pytest.mark.parametrize(
    ("functions", "name", "reason"),
    [
        (
            (toys.first_then_other, toys.other_then_first),
            "deadlock",
            "no actor can take a step: a0 in mutex_lock(), a1 in mutex_lock()",
        ),
        ((toys.wait_for_flag, toys.increment), "deadlock", "no actor can take a step: a0"),
        (
            (toys.spin_until_flag, toys.increment),
            "livelock",
            "starvation under a strongly fair scheduler: a0 never returns from spin_until_flag()",
        ),
        (
            (spin_at_once,),
            "livelock",
            "a0 loops forever from its start, without an access that other actors can see",
        ),
        (
            (spin_after_an_access,),
            "livelock",
            "a0 loops forever after spin_after_an_access(), without an access that other actors can see",
        ),
    ],
)
def test_reason(functions: tuple[Any, ...], name: str, reason: str) -> None:
    _, result = toys.search(*functions, reduction=False)
    assert (result.property, result.found[0].detail) == (name, reason)
