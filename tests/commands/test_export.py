# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache export``."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Run

Command = Callable[..., Run]


def test_promela(pfncache: Command) -> None:
    run = pfncache("export", "--promela", "rfc-v4-fixed", "-s", "clock/anon/munmap")
    assert run.code == 0
    assert run.out.startswith("/* clock/anon/munmap under rfc-v4-fixed: vcpu: clock_update x2 | munmap; 3 pages */\n")
    assert run.out.count("active proctype") == 3


def test_unknown_scenario_names_the_nearest(pfncache: Command) -> None:
    run = pfncache("export", "--promela", "-s", "clock/anon/munmp")
    assert run.code == 2
    assert "clock/anon/munmap" in run.err


def test_a_format_is_wanted(pfncache: Command) -> None:
    run = pfncache("export", "-s", "clock/anon/munmap")
    assert run.code == 2
    assert "--promela" in run.err
