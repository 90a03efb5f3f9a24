# SPDX-License-Identifier: GPL-2.0-only
"""A host that runs the kernel of a design: its functions are called directly, as one process of it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

from pfncache.kernel.include.linux.kvm_host import File as FileRecord
from pfncache.kernel.include.linux.kvm_host import GmemFile, Kvm
from pfncache.kernel.include.linux.types import Errno
from pfncache.kernel.model import KernelSplat, run_as
from pfncache.machines.machine import Capabilities, Closing, File, Machine, SyscallError, Task
from pfncache.machines.model.file import ModelFile, ModelPin
from pfncache.machines.model.layer import HostLayer
from pfncache.machines.model.show import page_text
from pfncache.machines.model.tasks import Tasks
from pfncache.machines.model.userfaultfd import ModelUserfaultfd, ModelWindow, ModelWriteTracking
from pfncache.machines.model.vm import ModelVm, no_such_type
from pfncache.machines.uapi import (
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    KVM_X86_DEFAULT_VM,
    KVM_X86_SW_PROTECTED_VM,
    MADV_DONTNEED,
    MADV_REMOVE,
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_RW,
    PROT_WRITE,
    UFFD_MINOR,
    UFFD_MISSING,
    UFFD_WP,
)
from pfncache.series.design import Design
from pfncache.series.rfc import ResolvePfnsViaGmem

if TYPE_CHECKING:
    from pfncache.kernel.vmlinux import Vmlinux

    class HostKernel(HostLayer, Vmlinux):
        """What a design links to, with the layer on top."""


T = TypeVar("T")
C = TypeVar("C", bound=Closing)
PAGES, USER_PAGES = 128, 192
MMAP_MIN_ADDR = 0x10000
"""Nobody gets anything below it."""


class ModelMachine(Machine):
    """The model of a design: `pages` of memory, `user_pages` of address space for its one process."""

    def __init__(self, design: Design, pages: int = PAGES, user_pages: int = USER_PAGES) -> None:
        self.design = design
        self.name = f"model of {design.name}"
        self.kernel = cast("HostKernel", design.kernel(HostLayer)(pages=pages, user_pages=user_pages))
        self.mm = self.kernel.new_mm("mm")
        self.tasks = Tasks(self.mm)
        self.kernel.host_tasks = self.tasks
        self.kernel.host_registrations = []
        self.kernel.host_again = False
        self.kernel.host_dmesg = []
        self.kernel.host_written = set()
        self._user_pages = user_pages
        self._holes = user_pages
        self._open: list[Closing] = []
        self._vms: list[ModelVm] = []
        has_mmap = design.has("gmem-mmap")
        probe = Kvm("probe", sets=(), slot_cache=(), gpcs=(), mem_attr_array=(), sptes=(), vcpus=(), mm=self.mm)
        self._mmap_flags = self.kernel.kvm_gmem_supported_flags(probe) if has_mmap else 0
        self.capabilities = Capabilities(
            guest_memfd=True,
            guest_memfd_flags=self._mmap_flags,
            memory_attributes=KVM_MEMORY_ATTRIBUTE_PRIVATE,
            vm_types=frozenset({KVM_X86_DEFAULT_VM, KVM_X86_SW_PROTECTED_VM}),
            userfaultfd=UFFD_MISSING | UFFD_WP | UFFD_MINOR,
            notifier_window=True,
            pfncache_gmem=any(issubclass(patch, ResolvePfnsViaGmem) for patch in design.patches),
        )

    def __repr__(self) -> str:
        return f"<{self.name}: {self.design.title}>"

    def gmem_flags(self, kvm: Kvm) -> int:
        """The flags that a guest_memfd of a VM may have."""
        return self._mmap_flags & self.kernel.kvm_gmem_supported_flags(kvm)

    @contextmanager
    def syscall(self, call: str) -> Iterator[Callable[[Errno], None]]:
        """Run the block in the kernel, then what is to be done on the way back to user space."""

        def done(ret: Errno) -> None:
            if ret < 0:
                raise SyscallError(-ret, call)

        task = self.tasks.current
        with run_as(task):
            yield done
            if task.delayed_fput is not None:
                self.kernel.task_work_run(task.delayed_fput)
        if any(vm.is_unused for vm in self._vms):
            self.destroy_closed_vms()

    def opened(self, closing: C) -> C:
        """Remember to close something."""
        self._open.append(closing)
        return closing

    def destroy_closed_vms(self) -> None:
        """Destroy the VMs that nothing refers to any more."""
        for vm in [vm for vm in self._vms if vm.is_unused]:
            self._vms.remove(vm)
            vm.destroy()

    def create_vm(self, vm_type: int = 0) -> ModelVm:
        """KVM_CREATE_VM."""
        if vm_type not in self.capabilities.vm_types:
            raise no_such_type(vm_type)
        vm = self.opened(ModelVm(self, vm_type))
        self._vms.append(vm)
        return vm

    def memfd(self, size: int) -> ModelFile:
        """memfd_create()."""
        mapping = self.kernel.new_memfd("memfd", size // PAGE_SIZE)
        record = FileRecord("memfd", f_count=1, f_mapping=mapping, private_data=GmemFile("none", bindings=()))
        return self.opened(ModelFile(self, record, size))

    def dmesg(self) -> tuple[str, ...]:
        """What the kernel has complained of without stopping, each once."""
        return tuple(dict.fromkeys(self.kernel.host_dmesg))

    # Address space

    def _pages(self, hva: int, length: int) -> range:
        return range(hva, hva + length, PAGE_SIZE)

    def _find(self, count: int) -> int:
        """Addresses where nothing is mapped."""
        run = 0
        for number in range(MMAP_MIN_ADDR // PAGE_SIZE, self._holes):
            run = 0 if self.mm.vmas[number].present else run + 1
            if run == count:
                return (number - count + 1) * PAGE_SIZE
        raise SyscallError(errno.ENOMEM, "mmap")

    def mmap(
        self, length: int, file: File | None = None, offset: int = 0, *, prot: int = PROT_RW,
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
                self.kernel.sys_mmap(self.mm, page, mapping, offset // PAGE_SIZE + number)
                if prot != PROT_RW:
                    self.kernel.sys_mprotect(self.mm, page, bool(prot & PROT_WRITE), bool(prot & PROT_READ))
        return hva

    def munmap(self, hva: int, length: int) -> None:
        """munmap()."""
        for page in self._pages(hva, length):
            with self.syscall("munmap") as done:
                done(self.kernel.sys_munmap(self.mm, page))

    def mprotect(self, hva: int, length: int, prot: int) -> None:
        """mprotect()."""
        for page in self._pages(hva, length):
            with self.syscall("mprotect") as done:
                done(self.kernel.sys_mprotect(self.mm, page, bool(prot & PROT_WRITE), bool(prot & PROT_READ)))

    def madvise(self, hva: int, length: int, advice: int) -> None:
        """madvise()."""
        for page in self._pages(hva, length):
            with self.syscall("madvise") as done:
                if not self.mm.vmas[page // PAGE_SIZE].present:
                    done(-errno.ENOMEM)
                if advice == MADV_DONTNEED:
                    done(self.kernel.sys_madvise_dontneed(self.mm, page))
                elif advice == MADV_REMOVE:
                    done(self.kernel.madvise_remove(self.mm, page))
                else:
                    done(-errno.EINVAL)

    def mremap(self, hva: int, length: int) -> int:
        """mremap() to another address."""
        target = self._find(length // PAGE_SIZE)
        with self.syscall("mremap") as done:
            for page in self._pages(0, length):
                done(self.kernel.sys_mremap(self.mm, hva + page, target + page))
        return target

    def hole(self, length: int) -> int:
        """Addresses where nothing is mapped, nor will be."""
        self._holes -= length // PAGE_SIZE
        return self._holes * PAGE_SIZE

    # Memory

    def fault_in(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Make a page present for an access, whoever waits for its faults: the signal where that is not possible."""
        number = hva // PAGE_SIZE
        if not 0 <= number < self._user_pages:
            return signal.SIGSEGV
        vma = self.mm.vmas[number]
        if not vma.present or not vma.readable or (write and not vma.writable):
            return signal.SIGSEGV
        registrations, self.kernel.host_registrations = self.kernel.host_registrations, []
        with self.syscall("fault"):
            present = self.kernel.user_access_retry(hva, write)
        self.kernel.host_registrations = registrations
        return None if present else signal.SIGBUS

    def _chunks(self, hva: int, length: int) -> Iterator[tuple[int, int]]:
        end = hva + length
        while hva < end:
            size = min(end - hva, PAGE_SIZE - hva % PAGE_SIZE)
            yield hva, size
            hva += size

    def read(self, hva: int, length: int) -> bytes:
        """Read our memory."""
        data = b""
        for start, size in self._chunks(hva, length):
            if self.fault_in(start, False) is not None:
                raise SyscallError(errno.EFAULT, "read")
            with run_as(self.tasks.current):
                data += self.kernel.host_get(start, size)
        return data

    def write(self, hva: int, data: bytes) -> None:
        """Write our memory."""
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
        """The page at one of our addresses, in a line."""
        pfn = self.mm.ptes[hva // PAGE_SIZE].pfn
        return "no PTE" if pfn < 0 else page_text(self.kernel.mem_map[pfn])

    def pin(self, hva: int) -> ModelPin:
        """Keep the page that is at an address."""
        if self.fault_in(hva, False) is not None:
            raise SyscallError(errno.EFAULT, "vmsplice")
        return self.opened(ModelPin(self, self.kernel.mem_map[self.mm.ptes[hva // PAGE_SIZE].pfn]))

    # What runs beside us

    def start(self, function: Callable[[], T]) -> Task[T]:
        """Run something as another task of the process, as far as it can."""
        return self.tasks.start(function)

    def sleep(self, seconds: float) -> None:
        """Do what has been put off."""
        for vm in self._vms:
            self.kernel.kvmclock_update_fn(vm.record)

    def userfaultfd(self, hva: int, length: int, mode: int) -> ModelUserfaultfd:
        """Register a range with a new userfaultfd."""
        return self.opened(ModelUserfaultfd(self, hva, length, mode))

    def track_writes(self, hva: int, length: int) -> ModelWriteTracking:
        """Begin to track writes."""
        return self.opened(ModelWriteTracking(self, hva, length))

    def notifier_window(self) -> ModelWindow:
        """Begin an invalidation."""
        return self.opened(ModelWindow(self))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """After an error, tasks may be inside the kernel, with locks held: the machine is given up as it is."""
        if error is None:
            self.close()

    def close(self) -> None:
        """Close and unmap everything, the last first, and see that no page is left over."""
        if self._holes == 0:
            return
        while self._open:
            self._open.pop().close()
        self.munmap(0, self._user_pages * PAGE_SIZE)
        self._holes = 0
        for mapping in self.kernel.mappings:
            if not mapping.gmem:
                with run_as(self.tasks.current):
                    self.kernel.shmem_punch_hole(mapping, 0, len(mapping.i_pages))
        left = [page_text(page) for page in self.kernel.mem_map if not page.free]
        if left:
            raise KernelSplat("refcount-imbalance", f"everything is closed, but pages are in use: {'; '.join(left)}")
