# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that selftests run on."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.machines.host.machine import KvmMachine
from pfncache.selftests.outcome import Outcome, run_on
from pfncache.selftests.selftest import Selftest

Kernel = Callable[[Selftest], Outcome]


def this_host(test: Selftest) -> Outcome:
    """Run a test on this host's kernel."""
    return run_on(KvmMachine, test, test.seconds)
