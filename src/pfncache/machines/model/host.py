# SPDX-License-Identifier: GPL-2.0-only
"""A model's kernel with one process: system calls enter and leave the kernel here."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from pfncache.designs.design import Design
from pfncache.designs.rfc import ResolvePfnsViaGmem
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi import (
    KVM_MEM_GUEST_MEMFD,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    KVM_X86_DEFAULT_VM,
    KVM_X86_SNP_VM,
    KVM_X86_SW_PROTECTED_VM,
    KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_HVM_CONFIG_HYPERCALL_MSR,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_HVM_CONFIG_RUNSTATE,
    KVM_XEN_HVM_CONFIG_SHARED_INFO,
    KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA,
    PAGE_SIZE,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.machines.capabilities import EMULATING, Capabilities, Processor
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.layer import HostLayer
from pfncache.machines.model.tasks import Tasks
from pfncache.machines.resource import Closing

if TYPE_CHECKING:
    from pfncache.linux.vmlinux import Vmlinux

    class HostKernel(HostLayer, Vmlinux):
        """Static type of a design's kernel with HostLayer on top."""


C = TypeVar("C", bound=Closing)
PAGES, USER_PAGES = 128, 192
"""Default sizes, in pages, of memory and of the process's address space."""
XEN_HVM_CONFIGS = (
    KVM_XEN_HVM_CONFIG_HYPERCALL_MSR
    | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL
    | KVM_XEN_HVM_CONFIG_SHARED_INFO
    | KVM_XEN_HVM_CONFIG_RUNSTATE
    | KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL
    | KVM_XEN_HVM_CONFIG_EVTCHN_SEND
    | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE
    | KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA
)


class ModelHost:
    """The kernel of a design, with `pages` of memory, and one process with `user_pages` of address space."""

    def __init__(
        self, design: Design, pages: int = PAGES, user_pages: int = USER_PAGES, processor: Processor = EMULATING
    ) -> None:
        self.design = design
        self.name = f"model of {design.name}"
        self.kernel = cast("HostKernel", design.kernel(HostLayer)(pages=pages, user_pages=user_pages))
        self.mm = self.kernel.new_mm("mm")
        self.tasks = Tasks(self.mm)
        self.kernel.host_begin(self.tasks)
        self.vms: list[Kvm] = []
        """VMs that are not destroyed."""
        self._closed_vms: list[Kvm] = []
        """Those of them whose file descriptor is closed; a guest_memfd may still refer to them."""
        self._user_pages = user_pages
        self._holes = user_pages
        """First page number of holes: mmap() uses addresses below."""
        self._open: list[Closing] = []
        has_mmap = design.has("gmem-mmap")
        probe = Kvm(
            "probe", sets=(), slot_cache=(), bitmap_cache=(), gpcs=(), mem_attr_array=(), sptes=(), vcpus=(), mm=self.mm
        )
        self._mmap_flags = self.kernel.kvm_gmem_get_supported_flags(probe) if has_mmap else 0
        self.capabilities = Capabilities(
            guest_memfd=True,
            guest_memfd_for_all=self.kernel.check_memory_region_flags(probe, KVM_MEM_GUEST_MEMFD) == 0,
            guest_memfd_flags=self._mmap_flags,
            memory_attributes=KVM_MEMORY_ATTRIBUTE_PRIVATE,
            vm_types=frozenset({KVM_X86_DEFAULT_VM, KVM_X86_SW_PROTECTED_VM, KVM_X86_SNP_VM}),
            userfaultfd=UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR,
            notifier_window=True,
            pfncache_gmem=any(issubclass(patch, ResolvePfnsViaGmem) for patch in design.patches),
            processor=processor,
            nested_svm=True,
            nested_npt=True,
            nested_vmx=True,
            snp=True,
            synic=True,
            delayed=True,
            disposable=True,
            xen=XEN_HVM_CONFIGS,
        )

    def gmem_flags(self, kvm: Kvm) -> int:
        """Flags that a guest_memfd of a VM may have."""
        return self._mmap_flags & self.kernel.kvm_gmem_get_supported_flags(kvm)

    @contextmanager
    def syscall(self, call: str) -> Iterator[Callable[[Errno], None]]:
        """Run the block in the kernel, then the work that is deferred to the return to user space."""

        def done(ret: Errno) -> None:
            if ret < 0:
                raise SyscallError(-ret, call)

        task = self.tasks.current
        with run_as(task):
            yield done
            if task.delayed_fput is not None:
                self.kernel.task_work_run(task.delayed_fput)
        self._destroy_closed_vms()

    def opened(self, closing: C) -> C:
        """Register something to be closed with the host."""
        self._open.append(closing)
        return closing

    def close_vm(self, kvm: Kvm) -> None:
        """Close a VM, which is destroyed when the last of its guest_memfds is released."""
        self._closed_vms.append(kvm)
        self._destroy_closed_vms()

    def _destroy_closed_vms(self) -> None:
        """Destroy the closed VMs without guest_memfds."""
        unused = [kvm for kvm in self._closed_vms if not self._has_guest_memfds(kvm)]
        for kvm in unused:
            self._closed_vms.remove(kvm)
        for kvm in unused:
            with self.syscall("close"):
                self.kernel.kvm_put_kvm(kvm)
            self.vms.remove(kvm)  # its timers expire until they are stopped

    def _has_guest_memfds(self, kvm: Kvm) -> bool:
        return any(file.f_count > 0 and file.private_data.kvm is kvm for file in self.kernel.gmem_files)

    def hole(self, length: int) -> int:
        """Reserve addresses at which nothing is, or will be, mapped."""
        self._holes -= length // PAGE_SIZE
        return self._holes * PAGE_SIZE

    def fault_in(self, hva: int, write: bool = True) -> signal.Signals | None:
        """Fault a page in without waiting for a userfaultfd. Returns the signal that an access would raise, or None."""
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
