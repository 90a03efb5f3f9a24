# SPDX-License-Identifier: GPL-2.0-only
"""Interface of a machine: a host with KVM, and one user process on it.

Every machine raises :class:`SyscallError`, with the errno's name, if the kernel refuses a call. Closing a machine
closes everything that it has returned. Addresses are numbers; memory is read and written through the machine.
"""

from __future__ import annotations

import errno
import signal
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pfncache.linux.include.uapi import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL, KVM_MEM_GUEST_MEMFD, PROT_RW, PvClock
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.program import GuestProgram
from pfncache.machines.resource import (
    LOOKUP,
    Closing,
    Delayed,
    OpenFile,
    OrphanedVms,
    Pin,
    StopPoint,
    Task,
    Userfaultfd,
    Window,
    WriteTracking,
)

T = TypeVar("T")


class SyscallError(OSError):
    """A failed system call, with the name of its errno."""

    def __init__(self, number: int, call: str) -> None:
        super().__init__(number, call)
        self.call = call

    @property
    def name(self) -> str:
        """Name of the errno, as in the kernel."""
        if self.errno == errno.EOPNOTSUPP:
            return "EOPNOTSUPP"  # Python knows the number as ENOTSUP
        return errno.errorcode.get(self.errno or 0, str(self.errno))

    def __str__(self) -> str:
        return f"{self.call}: {self.name}"


@dataclass(frozen=True)
class Exit:
    """An exit of KVM_RUN to user space."""

    reason: str
    """KVM_EXIT_* without the prefix: HLT, MMIO, MEMORY_FAULT, INTR ..."""
    gpa: int = 0
    write: bool = False
    data: bytes = b""
    detail: str = ""

    def __str__(self) -> str:
        where = f" {'write' if self.write else 'read'} at {self.gpa:#x}" if self.reason == "MMIO" else ""
        where = f" at {self.gpa:#x}" if self.reason == "MEMORY_FAULT" else where
        return f"{self.reason}{where}{' ' + self.detail if self.detail else ''}"


class GuestExit(Exception):
    """A guest's access did not complete: KVM_RUN exited to user space instead."""

    def __init__(self, exit: Exit) -> None:
        super().__init__(exit)
        self.exit = exit

    def __str__(self) -> str:
        return str(self.exit)


class Vcpu(Closing):
    """A virtual CPU."""

    @abstractmethod
    def set_msr(self, index: int, value: int) -> int:
        """KVM_SET_MSRS of one MSR. Returns how many were set."""

    @abstractmethod
    def get_msr(self, index: int) -> int:
        """KVM_GET_MSRS of one MSR."""

    @abstractmethod
    def wrmsr(self, index: int, value: int) -> None:
        """The guest writes an MSR; GuestExit if it gets an exception."""

    @abstractmethod
    def kvmclock_ctrl(self) -> None:
        """KVM_KVMCLOCK_CTRL: set PVCLOCK_GUEST_STOPPED with the next update."""

    @abstractmethod
    def xen_vcpu_set_attr(self, attribute: int, value: int, expires: int = 0) -> None:
        """KVM_XEN_VCPU_SET_ATTR. `expires` is for the timer alone, and its value is the port."""

    @abstractmethod
    def xen_vcpu_get_timer(self) -> int:
        """KVM_XEN_VCPU_GET_ATTR of the timer, which delivers an expired one. Returns the expiry time; 0 if not set."""

    @abstractmethod
    def xen_schedop_poll(self, gpa: int) -> int:
        """The guest makes the hypercall SCHEDOP_poll with struct sched_poll at `gpa`, and gets 0 or a negative errno.

        GuestExit if a signal ends KVM_RUN.
        """

    @abstractmethod
    def run(self, immediate_exit: bool = False) -> Exit:
        """KVM_RUN of a guest that halts at once. With a local APIC in the kernel, it sleeps until a signal ends it."""

    @abstractmethod
    def load(self, gpa: int) -> bytes:
        """The guest reads eight bytes, without emulation; GuestExit on failure."""

    @abstractmethod
    def store(self, gpa: int, data: bytes) -> None:
        """The guest writes eight bytes, without emulation; GuestExit on failure."""

    @abstractmethod
    def set_registers(self, program: GuestProgram) -> None:
        """Set the registers that a program requires."""

    @abstractmethod
    def execute(self, program: GuestProgram) -> Exit:
        """Set the registers of a program that is in the guest's memory, and run it."""

    @abstractmethod
    def rdtsc(self) -> int:
        """The guest reads its time-stamp counter."""

    # Operations in which KVM itself accesses the guest's memory

    @abstractmethod
    def translate(self, entry: int) -> int | None:
        """KVM_TRANSLATE of an address that the page-directory entry at gpa `entry` maps; None for a fault."""

    @abstractmethod
    def run_code(self, gpa: int, rax: bytes, rdx: bytes) -> bytes:
        """The guest runs code at `gpa` that stores a register to a device; KVM reads the code. Returns what was stored.

        GuestExit if nothing was stored.
        """

    @abstractmethod
    def copy_to_device(self, gpa: int) -> bytes:
        """The guest moves eight bytes from `gpa` to a device, emulated by KVM; GuestExit if KVM cannot read them."""

    @abstractmethod
    def copy_from_device(self, gpa: int, data: bytes) -> None:
        """The guest moves eight bytes from a device to `gpa`, emulated by KVM; GuestExit on failure."""

    @abstractmethod
    def cmpxchg(self, gpa: int, data: bytes) -> None:
        """LOCK CMPXCHG of two zero bytes in the guest, emulated by KVM; GuestExit on failure."""

    @abstractmethod
    def vmsave(self, gpa: int) -> None:
        """VMSAVE at `gpa` in the guest; GuestExit on failure. Requires nested SVM."""

    @abstractmethod
    def enter_l2(self, entry: int, vmcb: int | None = None) -> bytes | None:
        """The guest enters an L2 guest (VMRUN), which reads by way of the nested page-table entry at gpa `entry`.

        It writes its VMCB at `vmcb`, where KVM then maps it, or to memory of the machine's own. Returns what L2 has
        read, and L2 stays entered; None if the guest gets a nested page fault instead, by which L2 is left. GuestExit
        on failure. Requires nested SVM.
        """

    @abstractmethod
    def leave_l2(self) -> int:
        """L2 halts, which the guest intercepts (#VMEXIT). Returns the exit code that it reads in its VMCB.

        GuestExit on failure.
        """

    def run_l2_apic(self, gpa: int, meanwhile: Callable[[], object]) -> None:
        """An L2 guest writes its task priority in the virtual-APIC page at `gpa`, after `meanwhile`, and exits.

        GuestExit if it is not entered. Requires nested VMX.
        """
        raise NotImplementedError("no code of a guest that uses VMX")

    def run_vmsa(self, gpa: int) -> None:
        """The SNP guest runs from a VMSA at `gpa`; GuestExit if it is not entered. Requires SNP."""
        raise NotImplementedError("no code of an SNP guest")

    def clock(self, gpa: int) -> tuple[PvClock, int]:
        """Read the clock at `gpa` as a guest does. Returns the structure and the time computed from it."""
        while True:
            words = [self.load(gpa + offset) for offset in range(0, PvClock.SIZE, 8)]
            tsc = self.rdtsc()
            if self.load(gpa) == words[0]:
                clock = PvClock.parse(b"".join(words))
                return clock, clock.at(tsc)


class Vm(Closing):
    """A virtual machine."""

    @abstractmethod
    def create_irqchip(self) -> None:
        """KVM_CREATE_IRQCHIP: later vCPUs have an enabled local APIC, so that HLT does not exit."""

    @abstractmethod
    def enable_synic(self, clears: bool = True) -> None:
        """KVM_CAP_HYPERV_SYNIC of later vCPUs, which are of a Hyper-V guest; KVM_CAP_HYPERV_SYNIC2 unless it `clears`.

        Requires an irqchip.
        """

    @abstractmethod
    def create_vcpu(self) -> Vcpu:
        """KVM_CREATE_VCPU."""

    @abstractmethod
    def create_guest_memfd(self, size: int, flags: int = 0) -> OpenFile:
        """KVM_CREATE_GUEST_MEMFD."""

    @abstractmethod
    def set_user_memory_region(self, slot: int, gpa: int, size: int, hva: int, flags: int = 0) -> None:
        """KVM_SET_USER_MEMORY_REGION."""

    @abstractmethod
    def set_user_memory_region2(  # noqa: PLR0913 - the ioctl's
        self, slot: int, gpa: int, size: int, hva: int, flags: int = 0, gmem: OpenFile | None = None, offset: int = 0
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2, with a guest_memfd if flags have KVM_MEM_GUEST_MEMFD."""

    @abstractmethod
    def set_memory_attributes(self, gpa: int, size: int, attributes: int) -> None:
        """KVM_SET_MEMORY_ATTRIBUTES."""

    @abstractmethod
    def set_clock(self, nanoseconds: int) -> None:
        """KVM_SET_CLOCK."""

    @abstractmethod
    def get_clock(self) -> int:
        """KVM_GET_CLOCK."""

    @abstractmethod
    def get_dirty_log(self, slot: int, pages: int) -> set[int]:
        """KVM_GET_DIRTY_LOG. Returns the pages of the slot that were written since the last call."""

    @abstractmethod
    def xen_hvm_config(self, flags: int, msr: int = 0) -> None:
        """KVM_XEN_HVM_CONFIG."""

    @abstractmethod
    def xen_hvm_set_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_HVM_SET_ATTR."""

    @abstractmethod
    def xen_evtchn_send(self, port: int, vcpu: int = 0, priority: int = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL) -> None:
        """KVM_XEN_HVM_EVTCHN_SEND."""

    def bind(self, slot: int, gpa: int, size: int, hva: int, gmem: OpenFile, offset: int = 0) -> None:
        """Create a memslot that is backed by a guest_memfd."""
        self.set_user_memory_region2(slot, gpa, size, hva, KVM_MEM_GUEST_MEMFD, gmem, offset)

    def delete(self, slot: int) -> None:
        """Delete a memslot."""
        self.set_user_memory_region(slot, 0, 0, 0)


class Machine(Closing):
    """A host."""

    name: str
    capabilities: Capabilities
    notes: tuple[str, ...] = ()

    @abstractmethod
    def create_vm(self, vm_type: int = 0) -> Vm:
        """KVM_CREATE_VM."""

    @abstractmethod
    def memfd(self, size: int) -> OpenFile:
        """memfd_create()."""

    @abstractmethod
    def mmap(
        self, length: int, file: OpenFile | None = None, offset: int = 0, *, prot: int = PROT_RW,
        flags: int | None = None, address: int | None = None,
    ) -> int:  # fmt: skip
        """mmap(). Default flags: private if anonymous, shared for a file, and MAP_FIXED with an address."""

    @abstractmethod
    def munmap(self, hva: int, length: int) -> None:
        """munmap()."""

    @abstractmethod
    def mprotect(self, hva: int, length: int, prot: int) -> None:
        """mprotect()."""

    @abstractmethod
    def madvise(self, hva: int, length: int, advice: int) -> None:
        """madvise()."""

    @abstractmethod
    def mremap(self, hva: int, length: int) -> int:
        """mremap() to another address. Returns that address."""

    @abstractmethod
    def hole(self, length: int) -> int:
        """Reserve addresses at which nothing is, or will be, mapped."""

    @abstractmethod
    def read(self, hva: int, length: int) -> bytes:
        """Read the process's memory; EFAULT if an access would raise a signal."""

    @abstractmethod
    def write(self, hva: int, data: bytes) -> None:
        """Write the process's memory; EFAULT if an access would raise a signal."""

    @abstractmethod
    def touch(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in. Returns the signal that an access would raise, or None."""

    @abstractmethod
    def present(self, hva: int, length: int) -> list[bool]:
        """Which pages have a PTE, from /proc/self/pagemap."""

    @abstractmethod
    def mincore(self, hva: int, length: int) -> list[bool]:
        """Which pages are in memory, from mincore()."""

    @abstractmethod
    def pin(self, hva: int) -> Pin:
        """Pin the page at an address."""

    @abstractmethod
    def start(self, function: Callable[[], T]) -> Task[T]:
        """Start a concurrent task."""

    @abstractmethod
    def delayed(self, function: Callable[[], T], stop: StopPoint = LOOKUP) -> Delayed[T]:
        """Start a concurrent task that stops at a place in the kernel."""

    @abstractmethod
    def orphan_vms(self, build: Callable[[Machine], int]) -> OrphanedVms:
        """Run `build` in another process, take over the VMs that it creates, and let it exit.

        `build` returns a user address; afterwards, its page frame is mapped in this process.
        """

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let time pass, so that the kernel runs deferred work."""

    @abstractmethod
    def userfaultfd(self, hva: int, length: int, mode: int) -> Userfaultfd:
        """Register a range with a new userfaultfd."""

    @abstractmethod
    def track_writes(self, hva: int, length: int) -> WriteTracking:
        """Begin to record writes through a range of addresses, the kernel's included."""

    @abstractmethod
    def notifier_window(self) -> Window:
        """Begin a long invalidation of memory that is in no memslot."""

    def note(self, text: str) -> None:
        """Add a diagnostic to the result of a test: a count that differs from run to run."""
        self.notes = (*self.notes, text)

    def dmesg(self) -> tuple[str, ...]:
        """Warnings and bugs in the kernel log since the machine was opened; empty if it cannot be read."""
        return ()

    def clock_at(self, hva: int) -> PvClock:
        """The clock structure at a user address."""
        return PvClock.parse(self.read(hva, PvClock.SIZE))
