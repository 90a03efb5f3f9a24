# SPDX-License-Identifier: GPL-2.0-only
"""The host that we run on: /dev/kvm and our own process."""

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
from pfncache.machines.host import bpf, libc
from pfncache.machines.host.devkvm import KvmHost, forced_emulation, processor
from pfncache.machines.host.file import HostFile, PipePin
from pfncache.machines.host.kmsg import Kmsg
from pfncache.machines.host.orphan_vms import LeftVms
from pfncache.machines.host.pagemap import PRESENT, Pagemap
from pfncache.machines.host.task import WINDOW_BYTES, ThreadTask, Worker, ZapWindow
from pfncache.machines.host.userfaultfd import AsyncWriteTracking, HostUserfaultfd, supported_modes
from pfncache.machines.host.vm import KvmVm
from pfncache.machines.machine import Behind, File, Machine, SyscallError

T = TypeVar("T")
_HOLES = 1 << 44
"""Where mmap() without an address never looks."""
_CPUID_SVM = (0x80000001, 1 << 2)
"""The leaf, and the bit of ECX."""
_WORKERS = 3
"""As many as anybody starts inside a window."""


class KvmMachine(KvmHost, Machine):
    """The host that we run on, with the interface of every machine."""

    _kmsg: Kmsg | None = None

    def __init__(self, expendable: bool = False) -> None:
        """`expendable`: the kernel is thrown away afterwards. A page that fails then does not end us."""
        super().__init__()
        self._expendable = expendable
        if expendable:
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
            delayed=bpf.available(),
            parallel=(os.cpu_count() or 1) > 1,
            expendable=self._expendable,
            xen=self.check_extension(KVM_CAP_XEN_HVM),
        )

    def _default_vm_has(self, capability: int) -> bool:
        with KvmVm(self, 0) as vm:
            return vm.check_extension(capability) > 0

    def _pfncache_finds_gmem(self) -> bool:
        """Whether a clock in a guest_memfd is written that is not mapped where its memslot says."""
        with KvmVm(self, 0) as vm:
            vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(PAGE_SIZE, SHARED_GMEM)
            vm.bind(0, 0, PAGE_SIZE, self.hole(PAGE_SIZE), file)
            vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
            vcpu.run()
            return self.clock_at(self.mmap(PAGE_SIZE, file)).written

    def create_vm(self, vm_type: int = 0) -> KvmVm:
        """KVM_CREATE_VM."""
        return KvmVm(self, vm_type)

    def fds(self) -> list[int]:
        """The file descriptors of the VMs and of their vCPUs."""
        vms = [vm for vm in self._open if isinstance(vm, KvmVm)]
        return [fd for vm in vms for fd in (vm.fd, *(vcpu.fd for vcpu in vm.vcpus)) if fd >= 0]

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
        """Addresses where nothing is mapped, nor will be."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
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
        """Keep the page that is at an address."""
        return self.opened(PipePin(hva))

    def start(self, function: Callable[[], T]) -> ThreadTask[T]:
        """Run something in a thread."""
        return ThreadTask(function, self._workers.pop() if self._workers else None)

    def delayed(self, function: Callable[[], T], behind: Behind = Behind.LOOKUP) -> bpf.DelayedTask[T]:
        """Run something in a thread to which a function of the kernel returns late."""
        return bpf.DelayedTask(function, behind)

    def left_behind(self, build: Callable[[Machine], int]) -> LeftVms:
        """Fork a process, take its VMs over, and look for its page."""

        def make() -> tuple[int, list[int]]:
            machine = KvmMachine(self._expendable)
            hva = build(machine)
            return hva, machine.fds()

        return self.opened(LeftVms(make))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def userfaultfd(self, hva: int, length: int, mode: int) -> HostUserfaultfd:
        """Register a range with a new userfaultfd."""
        return self.opened(HostUserfaultfd(hva, length, mode))

    def track_writes(self, hva: int, length: int) -> AsyncWriteTracking:
        """Begin to track writes."""
        return self.opened(AsyncWriteTracking(self._pagemap, hva, length))

    def notifier_window(self) -> ZapWindow:
        """Begin to unmap much memory.

        Until Linux 6.17 that holds mmap_lock, which a new thread's stack needs: threads are made before.
        """
        self._workers += [Worker() for _ in range(_WORKERS - len(self._workers))]
        return self.opened(ZapWindow())

    def dmesg(self) -> tuple[str, ...]:
        """What the kernel has complained of since the machine was opened, whoever made it do so."""
        return self._kmsg.complaints() if self._kmsg is not None else ()

    def close(self) -> None:
        """Close everything, and hear what the kernel says to that."""
        super().close()
        if self._kmsg is not None:
            self._kmsg.close()
