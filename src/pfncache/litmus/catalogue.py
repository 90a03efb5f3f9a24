# SPDX-License-Identifier: GPL-2.0-only
"""All of our litmus tests, by name."""

from __future__ import annotations

from collections.abc import Sequence

from pfncache.litmus.protocol import LitmusTest
from pfncache.litmus.protocols import alternatives, gmem, guest, memslots, mmu, publish, requests

_MODULES = (publish, memslots, requests, gmem, mmu, guest, alternatives)
LITMUS_TESTS = {test.name: test for module in _MODULES for test in module.TESTS}


class NoSuchLitmusTest(Exception):
    """A name of no litmus test."""


def named(names: Sequence[str]) -> list[LitmusTest]:
    """Return the tests with these names, or whose names begin so; all without a name. Raises NoSuchLitmusTest."""
    for name in names:
        if not any(_means(name, test) for test in LITMUS_TESTS):
            raise NoSuchLitmusTest(f"no litmus test {name!r}; there are: {', '.join(LITMUS_TESTS)}")
    return [test for test in LITMUS_TESTS.values() if not names or any(_means(name, test.name) for name in names)]


def _means(name: str, test: str) -> bool:
    return test == name or (bool(name) and test.startswith(name))
