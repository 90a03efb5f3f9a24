# SPDX-License-Identifier: GPL-2.0-only
"""Identify the design that models this host's kernel: by probing the kernel, never by its version."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.linux.include.uapi import (
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_SHARED_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    SHARED_GMEM,
)
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.isolate import IsolatedResult, isolated
from pfncache.machines.machine import SyscallError
from pfncache.selftests.suites.testbed import CLOCK, CLOCK_PAGE, SETTLE, anon

PROBE_SECONDS = 20.0
"""Bound of the probes."""


@dataclass(frozen=True)
class Host:
    """Capabilities and design of a host."""

    capabilities: Capabilities | None
    """None without a usable /dev/kvm."""
    design: Design
    reason: str
    """Why this design; or why there is no KVM."""


def probe() -> Host:
    """Identify this host's kernel, in a process of its own."""
    return host_of(isolated(identify_kernel, PROBE_SECONDS))


def host_of(result: IsolatedResult[Host]) -> Host:
    """Return the result of a process that has probed; no KVM if the process has failed."""
    if result.value is None:
        return Host(None, DESIGNS["mainline-7.3"], result.trouble.splitlines()[-1])
    return result.value


def identify_kernel() -> Host:
    """Identify this host's kernel, in this process."""
    newest = DESIGNS["mainline-7.3"]
    try:
        machine = KvmMachine()
    except SyscallError as error:
        return Host(None, newest, str(error))
    with machine:
        name, reason = _design(machine)
        return Host(machine.capabilities, DESIGNS[name], reason)


def _design(machine: KvmMachine) -> tuple[str, str]:
    """Return the name of the design, and the reason."""
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
        return "mainline-7.3", "no clock is updated by itself; without Xen, 7.2 and 7.3 behave alike"
    if aligned:
        return "mainline-7.3", "no clock is updated by itself, and vcpu_info has to be aligned"
    return "mainline-7.2", "no clock is updated by itself, and vcpu_info need not be aligned"


def _vcpu_info_is_aligned(machine: KvmMachine) -> bool:
    """Whether a misaligned vcpu_info is refused, since the guest and KVM change it by atomic operations."""
    bed = anon(machine)
    bed.vm.xen_hvm_config(KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL)
    try:
        bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, CLOCK_PAGE + 2)
    except SyscallError:
        return True
    return False


def _updates_later(machine: KvmMachine) -> bool:
    """Whether the kernel has kvmclock_update_work."""
    bed = anon(machine)
    bed.enable_clock()
    bed.vcpu.run()
    version = machine.clock_at(bed.hva + CLOCK).version
    machine.sleep(SETTLE)
    bed.vcpu.run()
    return machine.clock_at(bed.hva + CLOCK).version != version
