# SPDX-License-Identifier: GPL-2.0-only
"""What is called inside a guest. Standard library only, and nothing of the checker."""

from __future__ import annotations

from functools import partial

from pfncache.machines.host.machine import KvmMachine
from pfncache.selftests import SELFTESTS
from pfncache.selftests.outcome import Outcome, perform


def perform_named(name: str) -> Outcome:
    """Run a selftest, by name, on the kernel that we are on."""
    return perform(partial(KvmMachine, expendable=True), SELFTESTS[name])
