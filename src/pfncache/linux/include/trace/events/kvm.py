# SPDX-License-Identifier: GPL-2.0-only
"""include/trace/events: where properties attach. Each tracepoint runs within the step that reaches it, and does nothing
until a property overrides it.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Gfn, Gpa, Kva, Pfn


class Tracepoints:
    """No-op tracepoints, each called inside an atomic step of the model."""

    def gpc_is_gmem_backed(self, gpc: GfnToPfnCache) -> bool:
        """Whether a refresh resolves the cache through guest_memfd, not the user mapping: never, in mainline."""
        return False

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """A user that passed kvm_gpc_check() reads or writes through gpc.khva now."""

    @atomic
    def trace_gpc_dirty(self, gpc: GfnToPfnCache, gpa: Gpa) -> None:
        """A user that must mark what it wrote dirty is done with it, and is about to drop gpc.lock."""

    @atomic
    def trace_gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """Pfncache makes a kernel mapping of pfn for the cache's gpa or uhva."""

    @atomic
    def trace_pv_begin(self, gpc: GfnToPfnCache) -> None:
        """KVM begins to write a PV structure: the guest waits until its version is even again."""

    @atomic
    def trace_pv_update(self, kvm: Kvm, gpa: Gpa, pfn: Pfn) -> None:
        """KVM has written a PV structure that the guest looks for at gpa; the bytes went to pfn."""

    @atomic
    def trace_kernel_access(self, khva: Kva, page: Page, write: bool) -> None:
        """The kernel reads or writes `page` through its address khva."""

    @atomic
    def trace_user_access(self, page: Page, write: bool) -> None:
        """KVM reads or writes `page` through a user address (uaccess)."""

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """kvm_write_guest_page() and its like have written and are done marking gpa dirty."""

    @atomic
    def trace_set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """A page is mapped for the guest; the lookup was found to be up to date."""

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """The last reference is dropped, and the page goes back to the allocator."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Every operation of the scenario has ended."""
