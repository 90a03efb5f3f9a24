# SPDX-License-Identifier: GPL-2.0-only
"""Targets in direct execution, and their negation."""

from __future__ import annotations

import pytest

from pfncache.lang.reached import reached, unreached


def test_direct_execution_does_nothing() -> None:
    reached("the clock was written")
    reached("the clock was written", False)


@pytest.mark.parametrize(
    ("target", "negation"),
    [
        ("the clock was written", "the clock was never written"),
        ("vmm: set_memory_region() #2 succeeded", "vmm: set_memory_region() #2 never succeeded"),
    ],
)
def test_negation(target: str, negation: str) -> None:
    assert unreached(target) == negation
