# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of one vCPU that two threads use."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


@scenario
def two_runs(w: World) -> None:
    """Two threads run one vCPU, whose clock is to be updated, while its page is zapped."""
    w.clock_on()
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update).actor("vcpu'", update)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario
def run_and_set_msr(w: World) -> None:
    """One thread runs a vCPU, another moves its clock within the page and disables it."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor(
        "vmm",
        w.call("set_msr_system_time", w.vcpu, w.gpa + 1, True),
        w.call("set_msr_system_time", w.vcpu, w.gpa, False),
    )


@scenario(slots=3, log_dirty=True)
def two_steal_times(w: World) -> None:
    """Two threads run one vCPU that has steal time to report, while its slot moves."""
    w.steal_time_on()
    run = w.call("run_steal_time_update", w.vcpu)
    w.actor("vcpu", run).actor("vcpu'", run)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva, True))


@scenario(log_dirty=True)
def sched_out(w: World) -> None:
    """A vCPU that has steal time to report is scheduled out while the page is zapped."""
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(log_dirty=True)
def preempted(w: World) -> None:
    """A vCPU is preempted while it updates clock or steal time, which tells the guest so; their page is zapped."""
    w.clock_on()
    w.steal_time_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu), w.call("run_steal_time_update", w.vcpu))
    w.actor("scheduler", w.call("preempt", w.vcpu, w.actors[-1].task), interrupts="vcpu")
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
