# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is: a host with KVM and one process of ours on it.

Every machine raises :class:`SyscallError` for what the kernel refuses, with the errno's name, and closes everything it
has given out when it is closed. Addresses are numbers; what is behind them is read and written through the machine.
"""

from __future__ import annotations

import enum
import errno
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from pfncache.linux.include.uapi import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL, KVM_MEM_GUEST_MEMFD, PROT_RW, PvClock
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.program import Program

T = TypeVar("T")


class SyscallError(OSError):
    """A system call failed: which one, and the name of the errno."""

    def __init__(self, number: int, call: str) -> None:
        super().__init__(number, call)
        self.call = call

    @property
    def name(self) -> str:
        """The errno's name, as the kernel has it."""
        if self.errno == errno.EOPNOTSUPP:
            return "EOPNOTSUPP"  # Python knows the number as ENOTSUP
        return errno.errorcode.get(self.errno or 0, str(self.errno))

    def __str__(self) -> str:
        return f"{self.call}: {self.name}"


@dataclass(frozen=True)
class Exit:
    """Why KVM_RUN came back to user space."""

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
    """The guest did not get on with its access: KVM_RUN came back to user space instead."""

    def __init__(self, exit: Exit) -> None:
        super().__init__(exit)
        self.exit = exit

    def __str__(self) -> str:
        return str(self.exit)


class Closing(ABC):
    """Something that is closed at the end of a ``with`` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give it back; once more does nothing."""


class File(Closing):
    """A memfd or a guest_memfd: an open file descriptor."""

    name: str
    size: int

    @abstractmethod
    def fallocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate()."""

    @abstractmethod
    def ftruncate(self, size: int) -> None:
        """ftruncate()."""

    @abstractmethod
    def pread(self, length: int, offset: int) -> bytes:
        """pread()."""

    @abstractmethod
    def pwrite(self, data: bytes, offset: int) -> int:
        """pwrite()."""

    @abstractmethod
    def lseek(self, offset: int, whence: int) -> int:
        """lseek()."""

    @abstractmethod
    def st_blocks(self) -> int:
        """fstat().st_blocks."""


class Pin(Closing):
    """A page that is kept although its mapping may go: what lands in it afterwards is a write to an old page."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """What the page holds now."""


class Task(ABC, Generic[T]):
    """Something that runs beside us."""

    @abstractmethod
    def blocked(self, seconds: float = 0.15) -> bool:
        """Whether it is still not done after as long as it would need by far."""

    @abstractmethod
    def result(self, seconds: float = 5.0) -> T:
        """What it returned, or raise what it raised; TimeoutError if it does not end."""


class Behind(enum.Enum):
    """Where a task may be stopped: when it returns from a function of the kernel."""

    LOOKUP = "hva_to_pfn"
    """A page is looked up by its user address; nothing is made of it yet."""
    UNMAP = "try_to_unmap"
    """A page that fails is out of user page tables, and locked; its owner is not told yet."""


class Delayed(Task[T], Generic[T]):
    """A task that stops whenever it returns from a function of the kernel."""

    @abstractmethod
    def inside(self) -> bool:
        """Whether it has stopped there."""

    @abstractmethod
    def release(self) -> None:
        """Let it go on, and stop no more. On a kernel it goes on by itself, some time later."""


class Left(Closing):
    """VMs whose process has exited, and memory of ours in a page frame that was its."""

    @abstractmethod
    def written(self, seconds: float) -> list[int]:
        """Let time pass: the offsets in the page frame of the bytes that have changed, although it is ours."""


class Userfaultfd(Closing):
    """A range of memory on whose faults the kernel waits for us."""

    @abstractmethod
    def wait(self, seconds: float = 5.0) -> int:
        """The page address of the next fault; TimeoutError if nobody faults."""

    @abstractmethod
    def resolve(self, hva: int) -> None:
        """Let whoever faulted at the page go on, with memory there: a zeroed page, the file's page, or writable."""

    @abstractmethod
    def wake(self, hva: int) -> None:
        """Let whoever faulted at the page look again, whatever is there now."""

    @abstractmethod
    def unregister(self) -> None:
        """No fault in the range will wait any more. Whoever waits already may have to be woken."""


class WriteTracking(Closing):
    """Which pages of a range were written since it began."""

    @abstractmethod
    def written(self) -> list[bool]:
        """One entry for each page."""


class Window(Closing):
    """An MMU-notifier invalidation between its start and its end: mn_active_invalidate_count is not zero."""

    @abstractmethod
    def is_open(self) -> bool:
        """Whether it has not ended yet."""


class Vcpu(Closing):
    """A virtual CPU."""

    @abstractmethod
    def set_msr(self, index: int, value: int) -> int:
        """KVM_SET_MSRS of one: how many were set."""

    @abstractmethod
    def get_msr(self, index: int) -> int:
        """KVM_GET_MSRS of one."""

    @abstractmethod
    def kvmclock_ctrl(self) -> None:
        """KVM_KVMCLOCK_CTRL: the guest was stopped by its host."""

    @abstractmethod
    def xen_vcpu_set_attr(self, attribute: int, value: int, expires: int = 0) -> None:
        """KVM_XEN_VCPU_SET_ATTR; `expires` is for the timer alone, whose value is its port."""

    @abstractmethod
    def xen_vcpu_get_timer(self) -> int:
        """KVM_XEN_VCPU_GET_ATTR of the timer: when it expires; 0 if it does not. What has expired is delivered."""

    @abstractmethod
    def run(self, immediate_exit: bool = False) -> Exit:
        """KVM_RUN of a guest that has nothing to do and halts."""

    @abstractmethod
    def load(self, gpa: int) -> bytes:
        """The guest reads eight bytes, natively; GuestExit if it cannot."""

    @abstractmethod
    def store(self, gpa: int, data: bytes) -> None:
        """The guest writes eight bytes, natively; GuestExit if it cannot."""

    @abstractmethod
    def set_registers(self, program: Program) -> None:
        """Give the vCPU the registers that a program needs."""

    @abstractmethod
    def execute(self, program: Program) -> Exit:
        """Run a program that is in the guest's memory, with the registers that it needs."""

    @abstractmethod
    def rdtsc(self) -> int:
        """The guest reads its time-stamp counter."""

    # What KVM does for the guest, by which it reaches the guest's memory itself

    @abstractmethod
    def translate(self, entry: int) -> int | None:
        """KVM_TRANSLATE of an address that the page-directory entry at gpa `entry` maps: where to; None: a fault."""

    @abstractmethod
    def run_code(self, gpa: int, rax: bytes, rdx: bytes) -> bytes:
        """The guest runs code at `gpa` that stores a register to a device: what arrives there. KVM reads the code.

        GuestExit if nothing arrives.
        """

    @abstractmethod
    def copy_to_device(self, gpa: int) -> bytes:
        """The guest moves eight bytes from `gpa` to a device, which KVM emulates; GuestExit if it cannot read them."""

    @abstractmethod
    def copy_from_device(self, gpa: int, data: bytes) -> None:
        """The guest moves eight bytes from a device to `gpa`, which KVM emulates; GuestExit if it cannot write them."""

    @abstractmethod
    def cmpxchg(self, gpa: int, data: bytes) -> None:
        """The guest exchanges two bytes, which are zero, with a lock, where KVM emulates it; GuestExit if it cannot."""

    @abstractmethod
    def vmsave(self, gpa: int) -> None:
        """The guest, a hypervisor itself, saves its state at `gpa`; GuestExit if it cannot. Needs nested SVM."""

    def clock(self, gpa: int) -> tuple[PvClock, int]:
        """What the guest finds at `gpa` when it looks for its clock, and the time that it tells from it."""
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
        """KVM_CREATE_IRQCHIP: vCPUs that are made afterwards have a local APIC, which is enabled. They do not halt."""

    @abstractmethod
    def create_vcpu(self) -> Vcpu:
        """KVM_CREATE_VCPU."""

    @abstractmethod
    def create_guest_memfd(self, size: int, flags: int = 0) -> File:
        """KVM_CREATE_GUEST_MEMFD."""

    @abstractmethod
    def set_user_memory_region(self, slot: int, gpa: int, size: int, hva: int, flags: int = 0) -> None:
        """KVM_SET_USER_MEMORY_REGION."""

    @abstractmethod
    def set_user_memory_region2(
        self, slot: int, gpa: int, size: int, hva: int, flags: int = 0, gmem: File | None = None, offset: int = 0
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2, with the guest_memfd if the flags ask for one."""

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
        """KVM_GET_DIRTY_LOG: the pages of the slot that were written since the last call."""

    @abstractmethod
    def xen_hvm_config(self, flags: int, msr: int = 0) -> None:
        """KVM_XEN_HVM_CONFIG."""

    @abstractmethod
    def xen_hvm_set_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_HVM_SET_ATTR."""

    @abstractmethod
    def xen_evtchn_send(self, port: int, vcpu: int = 0, priority: int = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL) -> None:
        """KVM_XEN_HVM_EVTCHN_SEND."""

    def bind(self, slot: int, gpa: int, size: int, hva: int, gmem: File, offset: int = 0) -> None:
        """A memslot that is backed by a guest_memfd."""
        self.set_user_memory_region2(slot, gpa, size, hva, KVM_MEM_GUEST_MEMFD, gmem, offset)

    def delete(self, slot: int) -> None:
        """A memslot goes."""
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
    def memfd(self, size: int) -> File:
        """memfd_create()."""

    @abstractmethod
    def mmap(
        self, length: int, file: File | None = None, offset: int = 0, *, prot: int = PROT_RW,
        flags: int | None = None, address: int | None = None,
    ) -> int:  # fmt: skip
        """mmap(): anonymous and private, or of a file and shared, unless flags say otherwise; fixed at an address."""

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
        """mremap() to another address, which is returned."""

    @abstractmethod
    def hole(self, length: int) -> int:
        """Addresses where nothing is mapped, nor will be."""

    @abstractmethod
    def read(self, hva: int, length: int) -> bytes:
        """Read our memory; SyscallError EFAULT where that would be fatal."""

    @abstractmethod
    def write(self, hva: int, data: bytes) -> None:
        """Write our memory; SyscallError EFAULT where that would be fatal."""

    @abstractmethod
    def touch(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in as an access would: None, or the signal that it would have been answered with."""

    @abstractmethod
    def present(self, hva: int, length: int) -> list[bool]:
        """Which pages have a PTE, from /proc/self/pagemap."""

    @abstractmethod
    def mincore(self, hva: int, length: int) -> list[bool]:
        """Which pages are in memory, from mincore()."""

    @abstractmethod
    def pin(self, hva: int) -> Pin:
        """Keep the page that is at an address."""

    @abstractmethod
    def start(self, function: Callable[[], T]) -> Task[T]:
        """Run something beside us."""

    @abstractmethod
    def delayed(self, function: Callable[[], T], behind: Behind = Behind.LOOKUP) -> Delayed[T]:
        """Run something beside us that stops at a place in the kernel."""

    @abstractmethod
    def left_behind(self, build: Callable[[Machine], int]) -> Left:
        """Another process runs `build`, leaves us the VMs that it has made, and exits.

        `build` returns a user address; the page frame that was there is ours afterwards.
        """

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let time pass, and the kernel do what it has put off."""

    @abstractmethod
    def userfaultfd(self, hva: int, length: int, mode: int) -> Userfaultfd:
        """Register a range with a new userfaultfd."""

    @abstractmethod
    def track_writes(self, hva: int, length: int) -> WriteTracking:
        """Begin to track who writes through a range of addresses, the kernel included."""

    @abstractmethod
    def notifier_window(self) -> Window:
        """Begin an invalidation, of memory that no memslot has, which takes long."""

    def note(self, text: str) -> None:
        """Something to tell with the result of a test: a number that is not the same twice."""
        self.notes = (*self.notes, text)

    def dmesg(self) -> tuple[str, ...]:
        """What the kernel has complained of, where we get to know."""
        return ()

    def clock_at(self, hva: int) -> PvClock:
        """The clock structure at one of our addresses."""
        return PvClock.parse(self.read(hva, PvClock.SIZE))
