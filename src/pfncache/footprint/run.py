# SPDX-License-Identifier: GPL-2.0-only
"""Run a guest and measure its footprint. Standard library only: this also runs inside a guest of QEMU."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pfncache.footprint.footprint import Footprint
from pfncache.footprint.guests import LINUX, SMALL, SmallGuest
from pfncache.footprint.memory import GuestMemory
from pfncache.footprint.probes import NoProbes, ProbeResult, Probes
from pfncache.footprint.vmm.bzimage import BzImage
from pfncache.footprint.vmm.linux import LinuxGuest
from pfncache.linux.include.uapi import (
    KVM_MSR_ENABLED,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    SHARED_GMEM,
)
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine
from pfncache.machines.program import PAGES, ROLES

_TRACE_MEGABYTES = 128
"""Trace buffer for Linux, of each processor: several hundred thousand events."""


class CannotMeasure(Exception):
    """The machine lacks what a measurement requires."""


def on_this_host(guest: str) -> Footprint:
    """Measure a small guest on this kernel's KVM."""
    with KvmMachine() as machine:
        return small(machine, SMALL[guest], guest)


def linux_on_this_host(kernel: bytes, megabytes: int, append: str, seconds: float) -> Footprint:
    """Measure Linux as a guest on this kernel's KVM, for at most `seconds`."""
    with KvmMachine() as machine:
        return linux(machine, BzImage.parse(kernel), megabytes, append, seconds)


class _Watch:
    """Probes from now on, if the machine supports them."""

    def __init__(self, probes: Probes | None, why_not: str) -> None:
        self._probes = probes
        self._why_not = why_not
        self.began = time.monotonic()

    def footprint(self, guest: str, machine: Machine, memory: GuestMemory, ended: str) -> Footprint:
        """Return the footprint up to now, without the roles of pages."""
        seconds = time.monotonic() - self.began
        seen = self._probes.seen(memory.pages, self.began) if self._probes is not None else ProbeResult()
        return Footprint(
            guest=guest, machine=describe(machine), pages=memory.pages, touched=memory.touched(),
            written=memory.written(), ended=ended, accesses=seen.accesses, emulated=seen.emulated,
            unprobed=self._why_not, blind=tuple(self._probes.blind) if self._probes is not None else (),
            lost=seen.lost, populated=memory.populated(), seconds=seconds,
        )  # fmt: skip


@contextmanager
def _watch(machine: Machine, megabytes: int) -> Iterator[_Watch]:
    if not isinstance(machine, KvmMachine):
        yield _Watch(None, "the model has no probes")
        return
    try:
        probes = Probes(megabytes)
    except NoProbes as error:
        yield _Watch(None, str(error))
        return
    with probes:
        yield _Watch(probes, "")


def _need_gmem(machine: Machine) -> None:
    capabilities = machine.capabilities
    if not capabilities.guest_memfd or capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
        raise CannotMeasure("needs guest_memfd that can be mapped, and is shared from the start: Linux 6.18 or later")


def describe(machine: Machine) -> str:
    """Describe the kernel, and the processor's virtualisation features."""
    processor = machine.capabilities.processor
    name = f"Linux {os.uname().release}" if isinstance(machine, KvmMachine) else machine.name
    if not processor.nested_paging:
        return f"{name}, KVM walks the guest's page tables"
    return f"{name}, nested paging {'with' if processor.next_rip else 'without'} next_rip"


def small(machine: Machine, guest: SmallGuest, name: str) -> Footprint:
    """Measure a small guest, on any machine."""
    _need_gmem(machine)
    program = guest.program
    vm = machine.create_vm()
    vcpu, memory = vm.create_vcpu(), GuestMemory(machine, vm, PAGES * PAGE_SIZE)
    for gpa, data in program.image().items():
        memory.write(gpa, data)
    memory.track()
    with _watch(machine, 1) as watch:
        vcpu.set_registers(program)
        if guest.clocks:
            vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, ROLES["clock"] * PAGE_SIZE | KVM_MSR_ENABLED)
            vcpu.set_msr(MSR_KVM_STEAL_TIME, ROLES["steal"] * PAGE_SIZE | KVM_MSR_ENABLED)
        ended = str(vcpu.execute(program)) if guest.runs else "not run"
        found = watch.footprint(name, machine, memory, ended)
    roles = {page: role for role, page in ROLES.items()}
    return replace(found, roles=roles, exits=int(guest.runs))


def linux(machine: KvmMachine, image: BzImage, megabytes: int, append: str, seconds: float) -> Footprint:
    """Measure Linux, booted until it finds no root file system, or for at most `seconds`."""
    _need_gmem(machine)
    with LinuxGuest(machine, image, megabytes, append) as guest:
        guest.memory.track()
        with _watch(machine, _TRACE_MEGABYTES) as watch:
            ended = guest.boot(watch.began + seconds)
            found = watch.footprint(LINUX, machine, guest.memory, ended)
        return replace(found, roles=guest.roles(), exits=guest.exits, console=tuple(guest.serial.lines))
