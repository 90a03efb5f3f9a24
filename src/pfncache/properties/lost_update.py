# SPDX-License-Identifier: GPL-2.0-only
"""KVM writes to a page that the guest does not have at that address, or that has no owner any more."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Kva, Pfn
from pfncache.properties.oracle import Oracle, found
from pfncache.properties.property import Property


class LostUpdateProbe(Oracle):
    """Checks each completed update of a PV structure.

    Memory that the guest has made private is exempt: KVM must not access it, so that no update can reach it.
    So is a gfn whose slot is being replaced, or whose guest_memfd is being closed.
    """

    @atomic
    def trace_pv_update(self, kvm: Kvm, gpa: Gpa, pfn: Pfn) -> None:
        """Compare the page that was written with the page that the guest would access."""
        super().trace_pv_update(kvm, gpa, pfn)
        self.require_guest_page(kvm, gpa >> self.PAGE_SHIFT, pfn)

    @atomic
    def trace_l2_write(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> None:
        """Compare the page that the processor has written with the page that L1 would access.

        One that is about to be moved stays, since it is pinned, as does one that KSM looks at, which has no PTE then.
        """
        super().trace_l2_write(kvm, gfn, pfn)
        slot = self.oracle_slot(kvm, gfn)
        if slot is not None:
            hva = slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)
            pte = kvm.mm.ptes[hva >> self.PAGE_SHIFT]
            looked_at = False
            if kvm.mm.vmas[hva >> self.PAGE_SHIFT].mergeable:
                looked_at = pte.pfn < 0 and self.mem_map[pfn].mapcount > 0
            if pte.migration != pfn and not looked_at:
                self.require_guest_page(kvm, gfn, pfn)

    def require_guest_page(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> None:
        """Report a write of another page than the guest's."""
        slot = self.oracle_slot(kvm, gfn)
        closing = slot is not None and slot.guest_memfd and slot.gmem_file is None
        if slot is not None and not closing and not kvm.mem_attr_array[gfn].private:
            seen = self.oracle_guest_page(kvm, slot, gfn)
            if seen != pfn:
                report(
                    "lost-update",
                    f"the update of gfn {gfn} went to pfn {pfn}, but the guest has {found(seen)} there",
                )

    @atomic
    def trace_kernel_access(self, khva: Kva, page: Page, write: bool) -> None:
        """Require of a write that the page is mapped or cached, even if KVM has a reference on it.

        What a valid cache maps is compared with a lookup instead: stale-translation.
        """
        super().trace_kernel_access(khva, page, write)
        if write and page.mapcount == 0 and page.mapping is None and not self.oracle_is_cached(khva):
            report("lost-update", f"pfn {page.pfn} is written through {khva:#x}, but no process and no file has it")


LOST_UPDATE = Property(
    "lost-update",
    "KVM writes a PV structure to a page other than the guest's, or writes to a page that no process and no file has",
    LostUpdateProbe,
)
