# SPDX-License-Identifier: GPL-2.0-only
"""A machine that runs the kernel of a design: its functions are called directly, by one process."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import File as FileRecord
from pfncache.linux.include.linux.kvm_host import GmemFile
from pfncache.linux.include.uapi import (
    MADV_DONTNEED,
    MADV_HWPOISON,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_REMOVE,
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_RW,
    PROT_WRITE,
)
from pfncache.linux.mm.slub import is_live
from pfncache.machines.machine import Machine, SyscallError
from pfncache.machines.model.file import ModelFile, ModelPin
from pfncache.machines.model.host import ModelHost
from pfncache.machines.model.show import page_text
from pfncache.machines.model.tasks import ModelTask
from pfncache.machines.model.userfaultfd import ModelUserfaultfd, ModelWindow, ModelWriteTracking
from pfncache.machines.model.vm import ModelVm, no_such_type
from pfncache.machines.resource import LOOKUP, OpenFile, OrphanedVms, StopPoint, Task

T = TypeVar("T")
MMAP_MIN_ADDR = 0x10000
"""Lowest address that mmap() returns, as vm.mmap_min_addr."""


class ModelMachine(ModelHost, Machine):
    """The model of a design, with the interface of a machine."""

    def __repr__(self) -> str:
        return f"<{self.name}: {self.design.title}>"

    def create_vm(self, vm_type: int = 0) -> ModelVm:
        """KVM_CREATE_VM."""
        if vm_type not in self.capabilities.vm_types:
            raise no_such_type(vm_type)
        return self.opened(ModelVm(self, vm_type))

    def memfd(self, size: int) -> ModelFile:
        """memfd_create()."""
        mapping = self.kernel.new_memfd("memfd", size // PAGE_SIZE)
        record = FileRecord("memfd", f_count=1, f_mapping=mapping, private_data=GmemFile("none", bindings=()))
        return self.opened(ModelFile(self, record, size))

    def dmesg(self) -> tuple[str, ...]:
        """Warnings of the kernel that have not stopped it, each once."""
        return tuple(dict.fromkeys(self.kernel.host_dmesg))

    # Address space

    def _pages(self, hva: int, length: int) -> range:
        return range(hva, hva + length, PAGE_SIZE)

    def _find(self, count: int) -> int:
        """Find consecutive pages without a mapping."""
        run = 0
        for number in range(MMAP_MIN_ADDR // PAGE_SIZE, self._holes):
            run = 0 if self.mm.vmas[number].present else run + 1
            if run == count:
                return (number - count + 1) * PAGE_SIZE
        raise SyscallError(errno.ENOMEM, "mmap")

    def mmap(
        self, length: int, file: OpenFile | None = None, offset: int = 0, *, prot: int = PROT_RW,
        flags: int | None = None, address: int | None = None,
    ) -> int:  # fmt: skip
        """mmap()."""
        if flags is None:
            flags = MAP_SHARED if file is not None else MAP_PRIVATE | MAP_ANONYMOUS
        record = file.record if isinstance(file, ModelFile) else None
        with self.syscall("mmap") as done:
            if isinstance(file, ModelFile) and not file.is_open:
                done(-errno.EBADF)
            done(self.kernel.do_mmap(record, bool(flags & MAP_SHARED), bool(prot & PROT_EXEC)))
            if record is not None and not flags & MAP_SHARED:
                raise NotImplementedError("the model has no private mappings of files")
            hva = self._find(length // PAGE_SIZE) if address is None else address
            mapping = record.f_mapping if record is not None else None
            for number, page in enumerate(self._pages(hva, length)):
                self.kernel.vm_mmap_pgoff(self.mm, page, mapping, offset // PAGE_SIZE + number)
                if prot != PROT_RW:
                    self.kernel.do_mprotect_pkey(self.mm, page, bool(prot & PROT_WRITE), bool(prot & PROT_READ))
        return hva

    def munmap(self, hva: int, length: int) -> None:
        """munmap()."""
        for page in self._pages(hva, length):
            with self.syscall("munmap") as done:
                done(self.kernel.vm_munmap(self.mm, page))

    def mprotect(self, hva: int, length: int, prot: int) -> None:
        """mprotect()."""
        for page in self._pages(hva, length):
            with self.syscall("mprotect") as done:
                done(self.kernel.do_mprotect_pkey(self.mm, page, bool(prot & PROT_WRITE), bool(prot & PROT_READ)))

    def madvise(self, hva: int, length: int, advice: int) -> None:
        """madvise()."""
        for page in self._pages(hva, length):
            with self.syscall("madvise") as done:
                if not self.mm.vmas[page // PAGE_SIZE].present:
                    done(-errno.ENOMEM)
                if advice == MADV_DONTNEED:
                    done(self.kernel.madvise_dontneed(self.mm, page))
                elif advice == MADV_REMOVE:
                    done(self.kernel.madvise_remove(self.mm, page))
                elif advice in (MADV_POPULATE_READ, MADV_POPULATE_WRITE):
                    done(self.kernel.madvise_populate(self.mm, page, advice == MADV_POPULATE_WRITE))
                elif advice == MADV_HWPOISON:
                    self._memory_failure(page)
                else:
                    done(-errno.EINVAL)

    def _memory_failure(self, hva: int) -> None:
        """Poison a page of a file."""
        vma = self.mm.vmas[hva // PAGE_SIZE]
        if vma.mapping is None:
            raise NotImplementedError("the model supports MADV_HWPOISON for pages of files only")
        self.kernel.memory_failure(self.mm, hva, vma.mapping, vma.pgoff)

    def mremap(self, hva: int, length: int) -> int:
        """mremap() to another address."""
        target = self._find(length // PAGE_SIZE)
        with self.syscall("mremap") as done:
            for page in self._pages(0, length):
                done(self.kernel.do_mremap(self.mm, hva + page, target + page))
        return target

    # Memory

    def _chunks(self, hva: int, length: int) -> Iterator[tuple[int, int]]:
        end = hva + length
        while hva < end:
            size = min(end - hva, PAGE_SIZE - hva % PAGE_SIZE)
            yield hva, size
            hva += size

    def read(self, hva: int, length: int) -> bytes:
        """Read the process's memory."""
        data = b""
        for start, size in self._chunks(hva, length):
            if self.fault_in(start, False) is not None:
                raise SyscallError(errno.EFAULT, "read")
            with run_as(self.tasks.current):
                data += self.kernel.host_get(start, size)
        return data

    def write(self, hva: int, data: bytes) -> None:
        """Write the process's memory."""
        done = 0
        for start, size in self._chunks(hva, len(data)):
            if self.fault_in(start, True) is not None:
                raise SyscallError(errno.EFAULT, "write")
            with run_as(self.tasks.current):
                self.kernel.host_put(start, data[done : done + size])
            done += size

    def touch(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in as an access would."""
        return self.fault_in(hva, write)

    def present(self, hva: int, length: int) -> list[bool]:
        """Which pages have a PTE."""
        return [self.mm.ptes[page // PAGE_SIZE].pfn >= 0 for page in self._pages(hva, length)]

    def mincore(self, hva: int, length: int) -> list[bool]:
        """Which pages are in memory: those with a PTE, and those of a file that have contents."""
        found = []
        for page in self._pages(hva, length):
            vma, pte = self.mm.vmas[page // PAGE_SIZE], self.mm.ptes[page // PAGE_SIZE]
            if not vma.present:
                raise SyscallError(errno.ENOMEM, "mincore")
            mapping = vma.mapping
            inside = mapping is not None and vma.pgoff < len(mapping.i_pages)
            cached = mapping.i_pages[vma.pgoff].page if mapping is not None and inside else None
            found.append(pte.pfn >= 0 or (cached is not None and cached.uptodate))
        return found

    def page(self, hva: int) -> str:
        """Describe the page at a user address, in a line."""
        pfn = self.mm.ptes[hva // PAGE_SIZE].pfn
        return "no PTE" if pfn < 0 else page_text(self.kernel.mem_map[pfn])

    def pin(self, hva: int) -> ModelPin:
        """Pin the page at an address."""
        if self.fault_in(hva, False) is not None:
            raise SyscallError(errno.EFAULT, "vmsplice")
        return self.opened(ModelPin(self, self.kernel.mem_map[self.mm.ptes[hva // PAGE_SIZE].pfn]))

    # Concurrent tasks

    def start(self, function: Callable[[], T]) -> Task[T]:
        """Start another task of the process, which runs until it blocks."""
        return self.tasks.start(function)

    def delayed(self, function: Callable[[], T], stop: StopPoint = LOOKUP) -> ModelTask[T]:
        """Start another task, which runs up to the stop point."""
        self.kernel.host_stops_at(stop)
        return self.tasks.start(function, str(stop))

    def orphan_vms(self, build: Callable[[Machine], int]) -> ModelOrphanedVms:
        """Run `build` in another address space, which exits afterwards."""
        task, mine = self.tasks.current, self.mm
        self.mm = task.mm = self.kernel.new_mm("other")
        try:
            hva = build(self)
            pfn = self.mm.ptes[hva // PAGE_SIZE].pfn
            with self.syscall("exit"):
                self.kernel.exit_mmap(self.mm)
        finally:
            self.mm = task.mm = mine
        return self.opened(ModelOrphanedVms(self, pfn))

    def sleep(self, seconds: float) -> None:
        """Run deferred work."""
        for kvm in self.vms:
            self.kernel.flush_delayed_work(kvm)
            for vcpu in kvm.vcpus:
                with self.syscall("an interrupt"):
                    self.kernel.host_timer_interrupt(vcpu)
                    self.kernel.host_poll_timer(vcpu, int(seconds * 10**9))

    def userfaultfd(self, hva: int, length: int, mode: int) -> ModelUserfaultfd:
        """Register a range with a new userfaultfd."""
        return self.opened(ModelUserfaultfd(self, hva, length, mode))

    def track_writes(self, hva: int, length: int) -> ModelWriteTracking:
        """Begin to record writes."""
        return self.opened(ModelWriteTracking(self, hva, length))

    def notifier_window(self) -> ModelWindow:
        """Begin an invalidation."""
        return self.opened(ModelWindow(self))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the machine, except after an error: tasks may be inside the kernel then, with locks held."""
        if error is None:
            self.close()

    def close(self) -> None:
        """Close and unmap everything in reverse order, and require that every page is free."""
        if self._holes == 0:
            return
        while self._open:
            self._open.pop().close()
        self.munmap(0, self._user_pages * PAGE_SIZE)
        self._holes = 0
        for mapping in self.kernel.mappings:
            if is_live(mapping) and not mapping.gmem:
                with run_as(self.tasks.current):
                    self.kernel.punch_hole_in_memfd(mapping, 0, len(mapping.i_pages))
        left = [page_text(page) for page in self.kernel.mem_map if not (page.free or page.hwpoison)]
        if left:
            raise PropertyViolated(
                "refcount-imbalance", f"everything is closed, but pages are in use: {'; '.join(left)}"
            )


class ModelOrphanedVms(OrphanedVms):
    """VMs of a process that has exited, and a mapping of its page frame."""

    def __init__(self, host: ModelMachine, pfn: int) -> None:
        self._host, self._pfn = host, pfn
        while True:
            hva = host.mmap(PAGE_SIZE)
            host.touch(hva)
            if host.mm.ptes[hva // PAGE_SIZE].pfn == pfn:
                break

    def written(self, seconds: float) -> list[int]:
        """Wait. Returns the offsets of the bytes in the page frame that have changed."""
        before = bytes(self._host.kernel.mem_map[self._pfn].host_bytes)
        self._host.sleep(seconds)
        after = bytes(self._host.kernel.mem_map[self._pfn].host_bytes)
        return [offset for offset in range(PAGE_SIZE) if before[offset] != after[offset]]

    def close(self) -> None:
        """Nothing to release: the memory is unmapped with the machine."""
