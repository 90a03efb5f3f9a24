# SPDX-License-Identifier: GPL-2.0-only
"""Which design models the kernel of this host: asked of the kernel, never told from its version."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.designs.catalogue import DESIGNS, Design
from pfncache.linux.include.uapi import (
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_SHARED_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    SHARED_GMEM,
)
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.isolate import Ended, isolated
from pfncache.machines.machine import SyscallError
from pfncache.selftests.suites.world import CLOCK, CLOCK_PAGE, SETTLE, anon

PROBE_SECONDS = 20.0


@dataclass(frozen=True)
class Host:
    """What was found out about this host."""

    capabilities: Capabilities | None
    """None without a usable /dev/kvm."""
    design: Design
    reason: str
    """Why this design; or why there is no KVM."""


def probe() -> Host:
    """Ask the kernel, in a process of its own."""
    return host_of(isolated(ask_kernel, PROBE_SECONDS))


def host_of(ended: Ended[Host]) -> Host:
    """What was found out by a process that has ended."""
    if ended.value is None:
        return Host(None, DESIGNS["mainline-7.3"], ended.trouble.splitlines()[-1])
    return ended.value


def ask_kernel() -> Host:
    """Ask the kernel that we are on, in this process."""
    newest = DESIGNS["mainline-7.3"]
    try:
        machine = KvmMachine()
    except SyscallError as error:
        return Host(None, newest, str(error))
    with machine:
        name, reason = _design(machine)
        return Host(machine.capabilities, DESIGNS[name], reason)


def _design(machine: KvmMachine) -> tuple[str, str]:
    """Which design, and why."""
    capabilities = machine.capabilities
    if capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
        return "mainline-6.12", "no guest_memfd that can be mapped"
    aligned = _vcpu_info_is_aligned(machine) if capabilities.xen & KVM_XEN_HVM_CONFIG_SHARED_INFO else None
    if capabilities.pfncache_gmem:
        name = "rfc-v4" if aligned is False else "rfc-v4-on-7.3"
        return name, "pfncaches find guest_memfd pages that are not mapped"
    if _updates_later(machine):
        return "mainline-6.18", "a clock that was set up is updated once more later"
    if aligned is None:
        return "mainline-7.3", "no clock is updated by itself; without Xen, 7.2 is not told from 7.3"
    if aligned:
        return "mainline-7.3", "no clock is updated by itself, and vcpu_info has to be aligned"
    return "mainline-7.2", "no clock is updated by itself, and vcpu_info need not be aligned"


def _vcpu_info_is_aligned(machine: KvmMachine) -> bool:
    """Whether a misaligned vcpu_info is refused, since the guest and KVM change it by atomic operations."""
    world = anon(machine)
    world.vm.xen_hvm_config(KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL)
    try:
        world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, CLOCK_PAGE + 2)
    except SyscallError:
        return True
    return False


def _updates_later(machine: KvmMachine) -> bool:
    """Whether kvmclock_update_work is there."""
    world = anon(machine)
    world.enable_clock()
    world.vcpu.run()
    version = machine.clock_at(world.hva + CLOCK).version
    machine.sleep(SETTLE)
    world.vcpu.run()
    return machine.clock_at(world.hva + CLOCK).version != version
