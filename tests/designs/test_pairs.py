# SPDX-License-Identifier: GPL-2.0-only
"""Mainline under every pair of operations, on every kind of memory, beside a clock that is updated."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.job import Job
from pfncache.verify.runner import run

KNOWN = {
    "pairs/gmem-mmap/punch+memory-failure": {"deadlock"},
    "pairs/gmem-mmap/allocate+memory-failure": {"lock-order"},
}
"""See test_expected_verdicts.py."""


@pytest.mark.slow
@pytest.mark.parametrize("memory", list(MemoryKind))
def test_mainline_holds(memory: MemoryKind) -> None:
    names = [name for name in SCENARIOS if name.startswith(f"pairs/{memory}/")]
    found = {}
    for name in names:
        outcome = run(Job(mainline_7_3, name, 2_000_000))
        assert outcome.limit == "", name
        if outcome.violations:
            found[name] = set(outcome.properties)
    assert len(names) > 20
    assert found == {name: kind for name, kind in KNOWN.items() if name in names}
