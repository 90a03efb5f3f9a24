# SPDX-License-Identifier: GPL-2.0-only
"""What direct execution adds to a design's kernel: userfaultfd, and a processor that others get to run on."""

from __future__ import annotations

from dataclasses import dataclass, field

from pfncache.kernel.include.linux.kvm_host import GfnToPfnCache, Kvm
from pfncache.kernel.include.linux.mm_types import MmStruct
from pfncache.kernel.include.linux.types import Errno, Hva, Pfn, Sequence
from pfncache.kernel.mm.memory import Memory
from pfncache.kernel.virt.kvm.pfncache import Pfncache
from pfncache.machines.model.tasks import Tasks
from pfncache.machines.uapi import UFFD_MINOR, UFFD_MISSING, UFFD_WP


@dataclass
class Registration:
    """A range that a userfaultfd has registered, in page numbers."""

    first: int
    last: int
    mode: int
    protected: set[int] = field(default_factory=set)
    """Pages that are write-protected for it."""
    faults: list[int] = field(default_factory=list)
    """Pages on which somebody waits, and that nobody has read of yet."""
    waiting: set[int] = field(default_factory=set)
    """Pages on which somebody waits."""


class HostLayer(Pfncache, Memory):
    """On top of every patch. Its state is on the kernel: host_tasks, host_registrations, host_again."""

    host_tasks: Tasks
    host_registrations: list[Registration]
    host_again: bool

    def handle_mm_fault(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        """handle_userfault() first: a fault in a registered range waits, without mmap_lock, and looks again.

        Linux: fs/userfaultfd.c handle_userfault(), v7.3.4.
        """
        number = address >> self.PAGE_SHIFT
        for registration in self.host_registrations:
            if registration.first <= number < registration.last and self._userfault(mm, number, write, registration):
                registration.faults.append(number)
                registration.waiting.add(number)
                mm.mmap_lock.unlock_shared()
                self.host_tasks.wait(lambda r=registration: number not in r.waiting, "userfaultfd")  # type: ignore[misc]
                mm.mmap_lock.lock_shared()
                return 0
        return super().handle_mm_fault(mm, address, write)

    def _userfault(self, mm: MmStruct, number: int, write: bool, registration: Registration) -> bool:
        vma = mm.vmas[number]
        if not vma.present or not vma.readable or (write and not vma.writable):
            return False
        if mm.ptes[number].pfn >= 0:
            return bool(registration.mode & UFFD_WP) and write and number in registration.protected
        mapping = vma.mapping
        cached = mapping is not None and mapping.i_pages[vma.pgoff].page is not None
        return bool(registration.mode & (UFFD_MINOR if cached else UFFD_MISSING))

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """A lookup that is to be repeated gives way first, once it has dropped its lock."""
        again = super().mmu_notifier_retry_cache(kvm, sequence)
        self.host_again = self.host_again or again
        return again

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """cond_resched() of the loop in hva_to_pfn_retry()."""
        if self.host_again:
            self.host_again = False
            self.host_tasks.resched()
        return super().gpc_to_pfn(gpc)
