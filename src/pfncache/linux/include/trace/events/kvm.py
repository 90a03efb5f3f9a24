# SPDX-License-Identifier: GPL-2.0-only
"""include/trace/events: the tracepoints to which properties attach.

Each tracepoint is part of the step that reaches it, and does nothing unless a property overrides it.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Kva, Pfn

# What a scenario may have to reach (lang/reached.py): the search reports which of these it has observed.
CACHE_USED = "a cache was used"
CACHE_REFRESHED = "a cache was refreshed"
CACHE_INVALIDATED = "a cache was invalidated"
LOOKUP_REPEATED = "a lookup was repeated"
"""An invalidation made the lookup of a refresh out of date while it was in flight."""
CLOCK_WRITTEN = "the clock was written"
GUEST_MAPPED = "guest memory was mapped"
"""A TDP fault installed an SPTE."""
HUGE_MAPPED = "a huge page was mapped"
"""A TDP fault, or the end of dirty logging, installed a huge SPTE."""
GUEST_ENTERED = "an SNP guest was entered"
L2_RUN = "an L2 guest was run"
GUEST_WRITTEN = "guest memory was written"
"""KVM wrote through a user address."""
CONVERTED = "guest memory was converted"
"""The attributes are as an update of them asked for."""


class Tracepoints:
    """No-op tracepoints, each called inside an atomic step of the model."""

    def gpc_is_gmem_backed(self, gpc: GfnToPfnCache) -> bool:
        """Return whether a refresh gets the page from guest_memfd, not by the user address; never in mainline."""
        return False

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """A user whose kvm_gpc_check() succeeded reads or writes through gpc.khva."""

    @atomic
    def trace_gpc_write(self, gpc: GfnToPfnCache) -> None:
        """A user that has to mark what it writes dirty writes through gpc.khva."""

    @atomic
    def trace_gpc_dirty(self, gpc: GfnToPfnCache, gpa: Gpa) -> None:
        """A user that has to mark what it wrote dirty has done so, and is about to drop gpc.lock."""

    @atomic
    def trace_gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """A refresh maps pfn into the kernel for the cache's gpa or uhva."""

    @atomic
    def trace_pv_begin(self, gpc: GfnToPfnCache) -> None:
        """KVM begins to write a PV structure, whose version is odd until the update is complete."""

    @atomic
    def trace_pv_update(self, kvm: Kvm, gpa: Gpa, pfn: Pfn) -> None:
        """KVM has written the PV structure that the guest reads at gpa; the bytes are in pfn."""

    @atomic
    def trace_kernel_access(self, khva: Kva, page: Page, write: bool) -> None:
        """The kernel reads or writes `page` through its address khva."""

    @atomic
    def trace_user_access(self, page: Page, write: bool) -> None:
        """KVM reads or writes `page` through a user address (uaccess)."""

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """A function like kvm_write_guest_page() has written, and has marked gpa dirty."""

    @atomic
    def trace_evtchn_set(self, kvm: Kvm) -> None:
        """The bit of an event in shared_info is set; it may have been set before."""

    @atomic
    def trace_timer_expires(self, vcpu: KvmVcpu) -> None:
        """The callback of a vCPU's timer begins: an event is to be sent."""

    @atomic
    def trace_timer_fired(self, vcpu: KvmVcpu) -> None:
        """The callback of a vCPU's timer has ended: it has sent the event, or left it pending for the vCPU."""

    @atomic
    def trace_evtchn_pending(self, kvm: Kvm) -> None:
        """The bit of an event in shared_info, which was clear, is set; its vCPU has to be signalled."""

    @atomic
    def trace_evtchn_signalled(self, kvm: Kvm, all_of_them: bool) -> None:
        """vcpu_info is written: an upcall is pending, for one event or for all that were noted."""

    @atomic
    def trace_set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """A page is mapped for the guest, after the check that its lookup is up to date."""

    @atomic
    def trace_set_huge_spte(self, kvm: Kvm, gfn: Gfn) -> None:
        """A huge page is mapped for the guest; trace_set_spte() is called for each of its pages too."""

    @atomic
    def trace_set_vmsa(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn) -> None:
        """A page becomes a vCPU's VMSA, after the check that its lookup is up to date."""

    @atomic
    def trace_vmrun(self, vcpu: KvmVcpu) -> None:
        """An SNP guest has run, from a VMSA that is not free."""

    @atomic
    def trace_l2_write(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> None:
        """The processor has written a page of L1 at gfn, by its pfn in vmcs02."""

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """The last reference is dropped, and the page returns to the allocator."""

    @atomic
    def trace_page_copy(self, page: Page) -> None:
        """The contents of a page are copied, to be found in the copy from here on."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Every operation of the scenario has ended."""
