# SPDX-License-Identifier: GPL-2.0-only
"""The host that we run on: /dev/kvm and our own process."""

from __future__ import annotations

import errno
import os
import signal
import struct
import time
from collections.abc import Callable
from typing import TypeVar

from pfncache.machines.kvm import firmware, libc
from pfncache.machines.kvm.deadline import Deadline
from pfncache.machines.kvm.file import HostFile, PipePin
from pfncache.machines.kvm.libc import ioctl
from pfncache.machines.kvm.structs import (
    CPUID_ENTRIES,
    KVM_CAP_GUEST_MEMFD,
    KVM_CAP_GUEST_MEMFD_FLAGS,
    KVM_CAP_MEMORY_ATTRIBUTES,
    KVM_CAP_VM_TYPES,
    Cpuid,
)
from pfncache.machines.kvm.task import WINDOW_BYTES, ThreadTask, ZapWindow
from pfncache.machines.kvm.userfaultfd import AsyncWriteTracking, HostUserfaultfd, supported_modes
from pfncache.machines.kvm.vm import KvmVm
from pfncache.machines.machine import Capabilities, Closing, File, Machine, SyscallError
from pfncache.machines.uapi import (
    KVM_MSR_ENABLED,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_NONE,
    PROT_RW,
    SHARED_GMEM,
)

T = TypeVar("T")
C = TypeVar("C", bound=Closing)
DEVICE = "/dev/kvm"
RUN_SECONDS = 1.0
"""The bound of every KVM_RUN."""
_HOLES = 1 << 44
"""Where mmap() without an address never looks."""
_PRESENT = 1 << 63
_EHWPOISON = 133


class KvmMachine(Machine):
    """The host that we run on. To be made in the main thread: bounding KVM_RUN takes a signal, SIGRTMIN."""

    name = "kvm"

    def __init__(self) -> None:
        try:
            self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SyscallError(error.errno or 0, f"open {DEVICE}") from None
        self._pagemap = -1
        self._open: list[Closing] = []
        self._mappings: list[tuple[int, int]] = []
        self._next_hole = _HOLES
        self.deadline = Deadline(RUN_SECONDS)
        try:
            self._set_up()
        except SyscallError:
            self.close()
            raise

    def _set_up(self) -> None:
        self.vcpu_mmap_size = ioctl(self.fd, "KVM_GET_VCPU_MMAP_SIZE")
        self.cpuid = Cpuid(CPUID_ENTRIES)
        ioctl(self.fd, "KVM_GET_SUPPORTED_CPUID", self.cpuid)
        self.firmware = firmware.image()
        self._pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self.capabilities = self._probe()

    def __repr__(self) -> str:
        return f"<this host's /dev/kvm: {self.capabilities}>"

    def check_extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION."""
        return ioctl(self.fd, "KVM_CHECK_EXTENSION", capability)

    def _probe(self) -> Capabilities:
        types = self.check_extension(KVM_CAP_VM_TYPES)
        memory = os.sysconf("SC_AVPHYS_PAGES") * PAGE_SIZE
        flags = self.check_extension(KVM_CAP_GUEST_MEMFD_FLAGS)
        return Capabilities(
            guest_memfd=bool(self.check_extension(KVM_CAP_GUEST_MEMFD)),
            guest_memfd_flags=flags,
            memory_attributes=self.check_extension(KVM_CAP_MEMORY_ATTRIBUTES),
            vm_types=frozenset(n for n in range(32) if types >> n & 1) | {0},
            userfaultfd=supported_modes(),
            notifier_window=memory > 2 * WINDOW_BYTES,
            pfncache_gmem=flags & SHARED_GMEM == SHARED_GMEM and self._pfncache_finds_gmem(),
        )

    def _pfncache_finds_gmem(self) -> bool:
        """Whether a clock in a guest_memfd is written that is not mapped where its memslot says."""
        with KvmVm(self, 0) as vm:
            vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM)
            vm.bind(0, 0, PAGE_SIZE, self.hole(PAGE_SIZE), file)
            vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
            vcpu.run()
            return self.clock_at(self.mmap(PAGE_SIZE, file)).written

    def opened(self, closing: C) -> C:
        """Remember to close something."""
        self._open.append(closing)
        return closing

    def create_vm(self, vm_type: int = 0) -> KvmVm:
        """KVM_CREATE_VM."""
        return KvmVm(self, vm_type)

    def memfd(self, size: int) -> HostFile:
        """memfd_create()."""
        file = self.opened(HostFile("memfd", os.memfd_create("pfncache", os.MFD_CLOEXEC), size))
        file.ftruncate(size)
        return file

    def mmap(
        self, length: int, file: File | None = None, offset: int = 0, *, prot: int = PROT_RW,
        flags: int | None = None, address: int | None = None,
    ) -> int:  # fmt: skip
        """mmap()."""
        if flags is None:
            flags = MAP_SHARED if file is not None else MAP_PRIVATE | MAP_ANONYMOUS
        if address is not None:
            flags |= MAP_FIXED
        fd = file.fd if isinstance(file, HostFile) else -1
        hva = libc.mmap(address, length, prot, flags, fd, offset)
        self._mappings.append((hva, length))
        return hva

    def munmap(self, hva: int, length: int) -> None:
        """munmap()."""
        libc.munmap(hva, length)

    def mprotect(self, hva: int, length: int, prot: int) -> None:
        """mprotect()."""
        libc.mprotect(hva, length, prot)

    def madvise(self, hva: int, length: int, advice: int) -> None:
        """madvise()."""
        libc.madvise(hva, length, advice)

    def mremap(self, hva: int, length: int) -> int:
        """mremap() to another address."""
        target = libc.mremap(hva, length, self.hole(length))
        self._mappings.append((target, length))
        return target

    def hole(self, length: int) -> int:
        """Addresses where nothing is mapped, nor will be."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | libc.MAP_FIXED_NOREPLACE
        hva = libc.mmap(self._next_hole, length, PROT_NONE, flags, -1, 0)
        libc.munmap(hva, length)
        self._next_hole += 2 * length
        return hva

    def read(self, hva: int, length: int) -> bytes:
        """Read our memory."""
        return libc.copy_from(hva, length)

    def write(self, hva: int, data: bytes) -> None:
        """Write our memory."""
        libc.copy_to(hva, data)

    def touch(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in; the kernel says what an access would have met, without one."""
        try:
            libc.madvise(hva, PAGE_SIZE, MADV_POPULATE_WRITE if write else MADV_POPULATE_READ)
        except SyscallError as error:
            if error.errno in (errno.EFAULT, _EHWPOISON):
                return signal.SIGBUS
            if error.errno in (errno.ENOMEM, errno.EINVAL):
                return signal.SIGSEGV
            raise
        return None

    def present(self, hva: int, length: int) -> list[bool]:
        """Which pages have a PTE."""
        return [bool(entry & _PRESENT) for entry in self.pagemap(hva, length)]

    def pagemap(self, hva: int, length: int) -> list[int]:
        """The entries of /proc/self/pagemap."""
        count = length // PAGE_SIZE
        return list(struct.unpack(f"<{count}Q", os.pread(self._pagemap, count * 8, hva // PAGE_SIZE * 8)))

    def mincore(self, hva: int, length: int) -> list[bool]:
        """Which pages are in memory."""
        return libc.mincore(hva, length)

    def pin(self, hva: int) -> PipePin:
        """Keep the page that is at an address."""
        return self.opened(PipePin(hva))

    def start(self, function: Callable[[], T]) -> ThreadTask[T]:
        """Run something in a thread."""
        return ThreadTask(function)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def userfaultfd(self, hva: int, length: int, mode: int) -> HostUserfaultfd:
        """Register a range with a new userfaultfd."""
        return self.opened(HostUserfaultfd(hva, length, mode))

    def track_writes(self, hva: int, length: int) -> AsyncWriteTracking:
        """Begin to track writes."""
        return self.opened(AsyncWriteTracking(self.pagemap, hva, length))

    def notifier_window(self) -> ZapWindow:
        """Begin to unmap much memory."""
        return self.opened(ZapWindow())

    def close(self) -> None:
        """Close and unmap everything that was given out, the last first."""
        while self._open:
            self._open.pop().close()
        while self._mappings:
            libc.munmap(*self._mappings.pop())
        self.deadline.close()
        for fd in (self.fd, self._pagemap):
            if fd >= 0:
                os.close(fd)
        self.fd = self._pagemap = -1
