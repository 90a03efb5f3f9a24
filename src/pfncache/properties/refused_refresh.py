# SPDX-License-Identifier: GPL-2.0-only
"""A refresh fails when all is done, although the memory is there."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.properties.oracle import Oracle, found
from pfncache.properties.property import Property


class RefusedRefreshProbe(Oracle):
    """Refreshes each active cache in the state in which every operation has ended, as its next user would.

    Mainline finds a page wherever hva_to_pfn() does; there the refresh of a design has to succeed, too. Memory that the
    guest has made private is exempt, and so is guest_memfd whose file is closed, or whose user address maps another
    page than the guest has: a design may refuse each.
    """

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that the next user of each cache can use it."""
        super().trace_quiescent(kvm)
        for gpc in kvm.gpcs:
            if gpc.active and self.oracle_refresh_succeeds(kvm, gpc):
                self.expect_refresh(kvm, gpc)

    def expect_refresh(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Refresh the cache, and report what its user would find."""
        with srcu_read_lock(kvm.srcu):
            ret = self.kvm_gpc_refresh(gpc, 1)
            if ret != 0:
                report("refused-refresh", f"a refresh of {gpc} returns {ret} when all is done, but the page is there")
            if not self.kvm_gpc_check(gpc, 1):
                report("refused-refresh", f"{gpc} is refreshed when all is done, but kvm_gpc_check() returns False")
            now = self.oracle_cached_page(gpc)
            if gpc.pfn != now:
                report(
                    "refused-refresh",
                    f"{gpc} is refreshed when all is done and has pfn {gpc.pfn}, but a lookup finds {found(now)}",
                )

    def oracle_refresh_succeeds(self, kvm: Kvm, gpc: GfnToPfnCache) -> bool:
        """Return whether mainline's refresh of an active cache would succeed."""
        if gpc.gpa == INVALID_GPA:
            return self.oracle_hva_to_pfn(kvm.mm, gpc.uhva)
        gfn = gpc.gpa >> self.PAGE_SHIFT
        slot = self.oracle_slot(kvm, gfn)
        if slot is None or slot.readonly or kvm.mem_attr_array[gfn].private:
            return False
        if slot.guest_memfd and slot.gmem_file is None:
            return False
        hva = slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)
        if slot.gmem_only and self.oracle_user_page(kvm.mm, hva) != self.oracle_gmem_page(slot, gfn):
            return False
        return self.oracle_hva_to_pfn(kvm.mm, hva)

    def oracle_hva_to_pfn(self, mm: MmStruct, hva: Hva) -> bool:
        """Return whether hva_to_pfn() would find a page that is there, for writing."""
        vma = mm.vmas[hva >> self.PAGE_SHIFT]
        pte = mm.ptes[hva >> self.PAGE_SHIFT]
        if not vma.present or not vma.writable:
            return False
        if vma.pfnmap:
            return pte.pfn >= 0 and pte.writable
        mapping = vma.mapping
        if mapping is not None and mapping.no_direct_map:
            return False
        pfn = self.oracle_user_page(mm, hva)
        return self.pfn_valid(pfn) and not self.mem_map[pfn].hwpoison


REFUSED_REFRESH = Property(
    "refused-refresh",
    "when every operation has ended, the next user of a cache cannot use it, although its page is there",
    RefusedRefreshProbe,
)
