# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of one vCPU that two threads operate."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import World


def two_runs(kernel: Kernel) -> System:
    """Two threads run one vCPU, whose clock is to be updated, while its page goes away."""
    w = World(kernel).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update).actor("vcpu'", update)
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def run_and_set_msr(kernel: Kernel) -> System:
    """One thread runs a vCPU, another moves its clock within the page, and off."""
    w = World(kernel).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    return w.actor(
        "vmm",
        w.call("set_msr_system_time", w.vcpu, w.gpa + 1, True),
        w.call("set_msr_system_time", w.vcpu, w.gpa, False),
    ).system()


def two_steal_times(kernel: Kernel) -> System:
    """Two threads run one vCPU that has steal time to report, while its slot moves."""
    w = World(kernel, slots=3, log_dirty=True)
    w.vcpu.st.cache.gpa = w.gpa
    run = w.call("run_steal_time_update", w.vcpu)
    w.actor("vcpu", run).actor("vcpu'", run)
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva, True)).system()
