# SPDX-License-Identifier: GPL-2.0-only
"""Nondeterministic choice in direct execution."""

from __future__ import annotations

from pfncache.lang.choose import choose


def test_direct_execution_takes_the_first_outcome() -> None:
    assert choose(3) == 0
