# SPDX-License-Identifier: GPL-2.0-only
"""The host as a machine: /dev/kvm and this process."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from typing import TypeVar

from pfncache.linux.include.uapi import (
    KVM_CAP_GUEST_MEMFD,
    KVM_CAP_GUEST_MEMFD_FLAGS,
    KVM_CAP_HYPERV_SYNIC,
    KVM_CAP_MEMORY_ATTRIBUTES,
    KVM_CAP_VM_TYPES,
    KVM_CAP_XEN_HVM,
    KVM_MSR_ENABLED,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_PRIVATE,
    MAP_SHARED,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_NONE,
    PROT_RW,
    SHARED_GMEM,
)
from pfncache.linux.include.uapi.linux.errno import EHWPOISON
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.host import bpf, libc, pace
from pfncache.machines.host.devkvm import KvmHost, forced_emulation, processor
from pfncache.machines.host.file import HostFile, PipePin
from pfncache.machines.host.kmsg import Kmsg
from pfncache.machines.host.orphan_vms import HostOrphanedVms
from pfncache.machines.host.pagemap import PRESENT, Pagemap
from pfncache.machines.host.task import WINDOW_BYTES, ThreadTask, Worker, ZapWindow
from pfncache.machines.host.userfaultfd import AsyncWriteTracking, HostUserfaultfd, supported_modes
from pfncache.machines.host.vm import HostVm
from pfncache.machines.machine import Machine, SyscallError
from pfncache.machines.resource import LOOKUP, OpenFile, StopPoint

T = TypeVar("T")
_HOLES = 1 << 44
"""Start of addresses that mmap() without an address does not use."""
_CPUID_SVM = (0x80000001, 1 << 2)
"""CPUID leaf, and bit of ECX."""
_WORKERS = 3
"""Threads that are created before a window, the maximum that a test starts inside of one."""


class KvmMachine(KvmHost, Machine):
    """The host, with the interface of a machine."""

    _kmsg: Kmsg | None = None

    def __init__(self, disposable: bool = False) -> None:
        """`disposable`: the kernel may be left with hung tasks and poisoned pages. SIGBUS is ignored then."""
        super().__init__()
        self._disposable = disposable
        if disposable:
            signal.signal(signal.SIGBUS, lambda number, frame: None)
        self._next_hole = _HOLES
        self._workers: list[Worker] = []
        self._kmsg = Kmsg()
        self._pagemap = self.opened(Pagemap())
        try:
            self.capabilities = self._probe()
        except SyscallError:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<this host's /dev/kvm: {self.capabilities}>"

    def _probe(self) -> Capabilities:
        types = self.check_extension(KVM_CAP_VM_TYPES)
        memory = os.sysconf("SC_AVPHYS_PAGES") * PAGE_SIZE
        flags = self.check_extension(KVM_CAP_GUEST_MEMFD_FLAGS)
        return Capabilities(
            guest_memfd=bool(self.check_extension(KVM_CAP_GUEST_MEMFD)),
            guest_memfd_for_all=self._default_vm_has(KVM_CAP_GUEST_MEMFD),
            guest_memfd_flags=flags,
            memory_attributes=self.check_extension(KVM_CAP_MEMORY_ATTRIBUTES),
            vm_types=frozenset(n for n in range(32) if types >> n & 1) | {0},
            userfaultfd=supported_modes(),
            notifier_window=memory > 2 * WINDOW_BYTES,
            pfncache_gmem=flags & SHARED_GMEM == SHARED_GMEM and self._pfncache_finds_gmem(),
            processor=processor(),
            forced_emulation=forced_emulation(),
            nested_svm=self.supports(*_CPUID_SVM),
            nested_npt=self.supports(*_CPUID_SVM) and processor().nested_paging,
            delayed=bpf.available(),
            parallel=(os.cpu_count() or 1) > 1,
            disposable=self._disposable,
            synic=self.check_extension(KVM_CAP_HYPERV_SYNIC) > 0,
            xen=self.check_extension(KVM_CAP_XEN_HVM),
        )

    def _default_vm_has(self, capability: int) -> bool:
        with HostVm(self, 0) as vm:
            return vm.check_extension(capability) > 0

    def _pfncache_finds_gmem(self) -> bool:
        """Whether KVM writes a clock in a guest_memfd that is not mapped at the slot's user address."""
        with HostVm(self, 0) as vm:
            vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM)
            vm.bind(0, 0, PAGE_SIZE, self.hole(PAGE_SIZE), file)
            vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
            vcpu.run()
            return self.clock_at(self.mmap(PAGE_SIZE, file)).written

    def create_vm(self, vm_type: int = 0) -> HostVm:
        """KVM_CREATE_VM."""
        return HostVm(self, vm_type)

    def fds(self) -> list[int]:
        """Return the file descriptors of the VMs and of their vCPUs."""
        vms = [vm for vm in self._open if isinstance(vm, HostVm)]
        return [fd for vm in vms for fd in (vm.fd, *(vcpu.fd for vcpu in vm.vcpus)) if fd >= 0]

    def memfd(self, size: int) -> HostFile:
        """memfd_create()."""
        file = self.opened(HostFile("memfd", os.memfd_create("pfncache", os.MFD_CLOEXEC), size))
        file.ftruncate(size)
        return file

    def mmap(
        self, length: int, file: OpenFile | None = None, offset: int = 0, *, prot: int = PROT_RW,
        flags: int | None = None, address: int | None = None,
    ) -> int:  # fmt: skip
        """mmap()."""
        if flags is None:
            flags = MAP_SHARED if file is not None else MAP_PRIVATE | MAP_ANONYMOUS
        if address is not None:
            flags |= MAP_FIXED
        fd = file.fd if isinstance(file, HostFile) else -1
        return self.mapped(libc.mmap(address, length, prot, flags, fd, offset), length)

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
        return self.mapped(libc.mremap(hva, length, self.hole(length)), length)

    def hole(self, length: int) -> int:
        """Reserve addresses at which nothing is, or will be, mapped."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
        hva = libc.mmap(self._next_hole, length, PROT_NONE, flags, -1, 0)
        libc.munmap(hva, length)
        self._next_hole += 2 * length
        return hva

    def read(self, hva: int, length: int) -> bytes:
        """Read this process's memory."""
        return libc.copy_from(hva, length)

    def write(self, hva: int, data: bytes) -> None:
        """Write this process's memory."""
        libc.copy_to(hva, data)

    def touch(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in by MADV_POPULATE_*, whose error stands for the signal of an access."""
        try:
            libc.madvise(hva, PAGE_SIZE, MADV_POPULATE_WRITE if write else MADV_POPULATE_READ)
        except SyscallError as error:
            if error.errno in (errno.EFAULT, EHWPOISON):
                return signal.SIGBUS
            if error.errno in (errno.ENOMEM, errno.EINVAL):
                return signal.SIGSEGV
            raise
        return None

    def present(self, hva: int, length: int) -> list[bool]:
        """Which pages have a PTE."""
        return [bool(entry & PRESENT) for entry in self._pagemap.entries(hva, length)]

    def mincore(self, hva: int, length: int) -> list[bool]:
        """Which pages are in memory."""
        return libc.mincore(hva, length)

    def pin(self, hva: int) -> PipePin:
        """Pin the page at an address."""
        return self.opened(PipePin(hva))

    def start(self, function: Callable[[], T]) -> ThreadTask[T]:
        """Start a thread."""
        return ThreadTask(function, self._workers.pop() if self._workers else None)

    def delayed(self, function: Callable[[], T], stop: StopPoint = LOOKUP) -> bpf.DelayedTask[T]:
        """Start a thread that is late at its stop point."""
        return bpf.DelayedTask(function, stop)

    def orphan_vms(self, build: Callable[[Machine], int]) -> HostOrphanedVms:
        """Fork a process, take over its VMs, and map its page frame after it has exited."""

        def make() -> tuple[int, list[int]]:
            machine = KvmMachine(self._disposable)
            hva = build(machine)
            return hva, machine.fds()

        return self.opened(HostOrphanedVms(make))

    def sleep(self, seconds: float) -> None:
        """Let time pass: more of it on a slow machine, whose deferred work comes later."""
        time.sleep(seconds * pace.factor())

    def userfaultfd(self, hva: int, length: int, mode: int) -> HostUserfaultfd:
        """Register a range with a new userfaultfd."""
        return self.opened(HostUserfaultfd(hva, length, mode))

    def track_writes(self, hva: int, length: int) -> AsyncWriteTracking:
        """Begin to record writes."""
        return self.opened(AsyncWriteTracking(self._pagemap, hva, length))

    def notifier_window(self) -> ZapWindow:
        """Begin to unmap WINDOW_BYTES of memory.

        Until Linux 6.17 that holds mmap_lock, which creating a thread needs: threads are created before.
        """
        self._workers += [Worker() for _ in range(_WORKERS - len(self._workers))]
        return self.opened(ZapWindow())

    def dmesg(self) -> tuple[str, ...]:
        """Warnings and bugs in the kernel log since the machine was opened, of other processes too."""
        return self._kmsg.complaints() if self._kmsg is not None else ()

    def close(self) -> None:
        """Close everything, then read the rest of the kernel log."""
        super().close()
        if self._kmsg is not None:
            self._kmsg.close()
