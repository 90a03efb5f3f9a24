# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of private memory, and of memory that is converted."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World


def faults(kernel: Kernel) -> System:
    """The guest faults private memory in while it is converted and punched."""
    w = World(kernel, Memory.GMEM, caches=lambda v: ())
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, False))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def conversion_and_slot_update(kernel: Kernel) -> System:
    """Memory is converted while its slot is deleted and the clock is updated."""
    w = World(kernel, Memory.GMEM, slots=2, shared_attribute=True).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, True))
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def fault_and_convert(kernel: Kernel) -> System:
    """The guest faults, private and shared, while its memory is converted and converted back."""
    w = World(kernel, Memory.GMEM, caches=lambda v: ())
    w.actor("private", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("shared", w.call("run_guest_access", w.vcpu, 0, False))
    return w.actor(
        "vmm",
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
        w.call("set_memory_attributes", w.kvm, 0, 1, True),
    ).system()
