# SPDX-License-Identifier: GPL-2.0-only
"""Entry point of selftests inside a guest, called by name through the agent.

A module apart from targets.py: the guest has Python's standard library alone, so that nothing here may import what
starts guests (qemu.qmp), nor the checker.
"""

from __future__ import annotations

from functools import partial

from pfncache.machines.host import pace
from pfncache.machines.host.machine import KvmMachine
from pfncache.selftests import find
from pfncache.selftests.identify import Host, identify_kernel
from pfncache.selftests.outcome import SelftestOutcome, perform


def slowness(reference: float) -> float:
    """Return how much slower this guest is than the reference."""
    return pace.measure(reference)


def identify_here(factor: float, reference: float) -> Host:
    """Identify the kernel of this guest, at a pace."""
    pace.calibrate(factor, reference)
    return identify_kernel()


def perform_named(name: str, factor: float, reference: float) -> SelftestOutcome:
    """Run the selftest of that name on the kernel of this guest, which is disposable, at a pace."""
    pace.calibrate(factor, reference)
    test = find(name)
    assert test is not None, name
    return perform(partial(KvmMachine, disposable=True), test)
