# SPDX-License-Identifier: GPL-2.0-only
"""Which design models the kernel of this host: asked of the kernel, never told from its version."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.machines.isolate import Ended, isolated
from pfncache.machines.kvm.machine import KvmMachine
from pfncache.machines.machine import Capabilities, SyscallError
from pfncache.machines.uapi import PAGE_SIZE, SHARED_GMEM
from pfncache.selftests.world import CLOCK, SETTLE, anon
from pfncache.series import DESIGNS, Design

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
    overlap = _overlap(machine)
    if capabilities.pfncache_gmem:
        name = "rfc-v4-on-7.3" if overlap == "EEXIST" else "rfc-v4"
        return name, "pfncaches find guest_memfd pages that are not mapped"
    if overlap == "EEXIST":
        return "mainline-7.3", "overlapping guest_memfd bindings are EEXIST"
    if _updates_later(machine):
        return "mainline-6.18", "a clock that was set up is updated once more later"
    return "mainline-7.2", f"overlapping guest_memfd bindings are {overlap}, and no clock is updated by itself"


def _updates_later(machine: KvmMachine) -> bool:
    """Whether kvmclock_update_work is there."""
    world = anon(machine)
    world.enable_clock()
    world.vcpu.run()
    version = machine.clock_at(world.hva + CLOCK).version
    machine.sleep(SETTLE)
    world.vcpu.run()
    return machine.clock_at(world.hva + CLOCK).version != version


def _overlap(machine: KvmMachine) -> str:
    """What a second binding of a part of a guest_memfd gives: EEXIST since slots are bound when they are ready."""
    vm = machine.create_vm()
    file, hva = vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM), machine.mmap(PAGE_SIZE)
    vm.bind(0, 0, PAGE_SIZE, hva, file)
    try:
        vm.bind(1, PAGE_SIZE, PAGE_SIZE, hva, file)
    except SyscallError as error:
        return error.name
    return "accepted"
