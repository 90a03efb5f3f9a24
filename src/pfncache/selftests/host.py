# SPDX-License-Identifier: GPL-2.0-only
"""Which design models the kernel of this host: asked of the kernel, never told from its version."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.machines.isolate import Ended, isolated
from pfncache.machines.kvm.machine import KvmMachine
from pfncache.machines.machine import Capabilities, SyscallError
from pfncache.machines.uapi import PAGE_SIZE, SHARED_GMEM
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
        capabilities = machine.capabilities
        if capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
            return Host(capabilities, DESIGNS["mainline-6.12"], "no guest_memfd that can be mapped")
        overlap = _overlap(machine)
        if capabilities.pfncache_gmem:
            name = "rfc-v4-on-7.3" if overlap == "EEXIST" else "rfc-v4"
            return Host(capabilities, DESIGNS[name], "pfncaches find guest_memfd pages that are not mapped")
        name = "mainline-7.3" if overlap == "EEXIST" else "mainline-7.2"
        return Host(capabilities, DESIGNS[name], f"overlapping guest_memfd bindings are {overlap}")


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
