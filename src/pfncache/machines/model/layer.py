# SPDX-License-Identifier: GPL-2.0-only
"""Layer for direct execution on top of a design's kernel: userfaultfd, scheduling, and recording of writes."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.preempt import current_thread_info
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Sequence
from pfncache.linux.include.uapi import (
    KVM_X86_DEFAULT_VM,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.mm.memory import Memory
from pfncache.linux.mm.mmap import Mmap
from pfncache.linux.mm.mmu_notifier import MmuNotifier
from pfncache.linux.virt.kvm.kvm_main.gfn_to_pfn import GfnToPfn
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.tasks import Tasks
from pfncache.machines.model.xen_layer import XenLayer
from pfncache.machines.resource import UNMAP, StopPoint

MODEL_NAMES = {UNMAP.function: "unmap_mapping_folio"}
"""Functions of the model that have other names than Linux's."""
RELEASES = ("kvm_release_page_unused", "put_looked_up")
"""Functions that release the page of a lookup: the model's, or the C's, and the one that stands for it in C."""


def _nothing() -> None:
    """Neither before a function nor after it."""


@dataclass
class Registration:
    """Registration of a userfaultfd, in page numbers."""

    pages: set[int]
    mode: int
    protected: set[int] = field(default_factory=set)
    """Pages that are write-protected by it."""
    faults: list[int] = field(default_factory=list)
    """Faults that were not read from the userfaultfd yet."""
    waiting: set[int] = field(default_factory=set)
    """Pages for which tasks wait."""


class HostLayer(Pfncache, GfnToPfn, Memslots, XenLayer, Memory, Mmap, MmuNotifier):
    """Top layer, above every patch. Its state, on the kernel, has names that begin with host_."""

    host_tasks: Tasks
    host_registrations: list[Registration]
    host_again: bool
    host_dmesg: list[str]
    host_written: set[int]
    """Page frames that were written through user addresses, or mapped by a pfncache, which maps for writing."""

    def handle_mm_fault(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        """handle_userfault() first: a fault in a registered range waits without mmap_lock, and is retried.

        Linux: fs/userfaultfd.c handle_userfault(), v7.3.4.
        """
        number = address >> self.PAGE_SHIFT
        for registration in self.host_registrations:
            if number in registration.pages and self._userfault(mm, number, write, registration):
                registration.faults.append(number)
                registration.waiting.add(number)
                mm.mmap_lock.unlock_shared()
                self.host_tasks.wait(lambda r=registration: number not in r.waiting, "userfaultfd")  # type: ignore[misc]
                mm.mmap_lock.lock_shared()
                return 0
        return super().handle_mm_fault(mm, address, write)

    def vms_complete_munmap_vmas(self, mm: MmStruct, address: Hva, unlock: bool) -> None:
        """Drop the registration of an unmapped VMA; tasks that wait for it have to be woken.

        Linux: mm/vma.c vms_complete_munmap_vmas(), fs/userfaultfd.c userfaultfd_unmap_complete(), v7.3.4.
        """
        for registration in self.host_registrations:
            registration.pages.discard(address >> self.PAGE_SHIFT)
        super().vms_complete_munmap_vmas(mm, address, unlock)

    def _userfault(self, mm: MmStruct, number: int, write: bool, registration: Registration) -> bool:
        vma = mm.vmas[number]
        if not vma.present or not vma.readable or (write and not vma.writable):
            return False
        if mm.ptes[number].pfn >= 0:
            return bool(registration.mode & UFFDIO_REGISTER_MODE_WP) and write and number in registration.protected
        mapping = vma.mapping
        cached = mapping is not None and mapping.i_pages[vma.pgoff].page is not None
        return bool(registration.mode & (UFFDIO_REGISTER_MODE_MINOR if cached else UFFDIO_REGISTER_MODE_MISSING))

    def check_slots_protected(self, kvm: Kvm) -> None:
        """Allow kvm->memslots even outside of an SRCU section, as without CONFIG_PROVE_RCU, and log a warning.

        Linux: include/linux/kvm_host.h __kvm_memslots(), v7.3.4.
        """
        task = current_thread_info()
        if task.srcu_depth == 0 and task.slots_lock_depth == 0 and kvm.users_count != 0:
            self.host_dmesg.append("WARNING: suspicious RCU usage: kvm->memslots outside an SRCU read section")

    def trace_user_access(self, page: Page, write: bool) -> None:
        """Record a write.

        Linux: fs/proc/task_mmu.c, by way of UFFD_FEATURE_WP_ASYNC, v7.3.4.
        """
        if write:
            self.host_written.add(page.pfn)
        super().trace_user_access(page, write)

    def trace_gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """Record a lookup for writing as a write.

        Linux: fs/proc/task_mmu.c, by way of UFFD_FEATURE_WP_ASYNC, v7.3.4.
        """
        self.host_written.add(pfn)
        super().trace_gpc_map(gpc, pfn)

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Request a reschedule before the lookup is repeated, when its lock is dropped."""
        again = super().mmu_notifier_retry_cache(kvm, sequence)
        self.host_again = self.host_again or again
        return again

    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Zap every SPTE of a default VM, as with KVM_X86_QUIRK_SLOT_ZAP_ALL: the guest's next accesses are faults.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_flush_shadow_memslot(), kvm_memslot_flush_zap_all(), v7.3.4.
        """
        super().kvm_arch_flush_shadow_memslot(kvm, slot)
        if kvm.vm_type == KVM_X86_DEFAULT_VM:
            kvm.host_firmware_mapped = 0
            with write_lock(kvm.mmu_lock):
                self.kvm_unmap_gfn_range(kvm, 0, len(kvm.sptes), True, True)

    def host_begin(self, tasks: Tasks) -> None:
        """Begin to run tasks.

        The loop in hva_to_pfn_retry() has a cond_resched() where it releases the page of its last lookup.
        """
        self.host_tasks = tasks
        self.host_registrations = []
        self.host_again = False
        self.host_dmesg = []
        self.host_written = set()
        for name in RELEASES:
            self._wrap(name, after=self._resched)

    def _resched(self) -> None:
        if self.host_again:
            self.host_again = False
            self.host_tasks.resched()

    def host_stops_at(self, place: StopPoint) -> None:
        """Let tasks with this stop point stop there. Raises SyscallError if no function has the name."""

        def stop() -> None:
            task = current()
            if task.host_delayed == str(place):
                self.host_tasks.wait(lambda: task.host_delayed == "", "the end of its delay")

        name = MODEL_NAMES.get(place.function, place.function)
        if not (self._wrap(name, before=stop) if place.at_entry else self._wrap(name, after=stop)):
            raise SyscallError(errno.ENOENT, "perf_event_open")

    def _wrap(self, name: str, before: Callable[[], None] = _nothing, after: Callable[[], None] = _nothing) -> bool:
        """Call more before and after a function, be it Python's or C's. Returns whether there is one."""
        functions = {each: getattr(self, each) for each in (name, f"c_{name}") if callable(getattr(self, each, None))}
        for each, function in functions.items():

            @functools.wraps(function)
            def wrapped(*arguments: Any, function: Callable[..., Any] = function, **members: Any) -> Any:
                before()
                found = function(*arguments, **members)
                after()
                return found

            setattr(self, each, wrapped)
        return bool(functions)
