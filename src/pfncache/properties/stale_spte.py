# SPDX-License-Identifier: GPL-2.0-only
"""An SPTE maps a page that does not belong to the guest, or no longer does."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Pfn
from pfncache.properties.oracle import Oracle, found
from pfncache.properties.property import Property


class StaleSpteProbe(Oracle):
    """Checks each SPTE that is created, each page that is freed, and the SPTEs that are left at the end."""

    @atomic
    def trace_set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Require that the SPTE is private as the attributes are, and maps the page that a lookup would return now."""
        super().trace_set_spte(kvm, gfn, pfn, private)
        if private != kvm.mem_attr_array[gfn].private:
            report("stale-spte", f"gfn {gfn} is mapped, but the guest has converted it meanwhile")
        slot = self.oracle_slot(kvm, gfn)
        if slot is not None and not (slot.guest_memfd and slot.gmem_file is None):
            now = self.oracle_guest_page(kvm, slot, gfn)
            if pfn < 0 or now != pfn:
                report("stale-spte", f"gfn {gfn} is mapped to pfn {pfn}, but a lookup would now return {found(now)}")
            if self.oracle_spte_is_read_only(kvm, slot, gfn, pfn):
                report("stale-spte", f"gfn {gfn} is mapped to pfn {pfn}, but the user's PTE is no longer writable")

    @atomic
    def trace_set_huge_spte(self, kvm: Kvm, gfn: Gfn) -> None:
        """Require that the two gfns have neighbouring pfns, and are in one memslot, which may be being deleted."""
        super().trace_set_huge_spte(kvm, gfn)
        if kvm.sptes[gfn + 1].pfn != kvm.sptes[gfn].pfn + 1:
            report(
                "stale-spte", f"gfns {gfn} and {gfn + 1} are mapped as a huge page, but to other pfns than those of one"
            )
        if self.oracle_slot(kvm, gfn) is not self.oracle_slot(kvm, gfn + 1):
            report("stale-spte", f"gfns {gfn} and {gfn + 1} are mapped as a huge page, but one memslot has not both")

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """Require that no SPTE of any VM maps the page."""
        super().trace_page_free(page)
        for mm in self.mms:
            for kvm in mm.notifiers:
                self.expect_no_spte(kvm, page)

    def expect_no_spte(self, kvm: Kvm, page: Page) -> None:
        """Report an SPTE that maps the page."""
        for spte in kvm.sptes:
            if spte.pfn == page.pfn:
                report("stale-spte", f"pfn {page.pfn} is freed while {spte} still maps it into the guest")

    def oracle_spte_is_read_only(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn) -> bool:
        """Return whether the user's PTE maps the page that the guest has mapped writable, and is read-only."""
        if self.guest_page_is_of_gmem(kvm, slot, gfn):
            return False
        pte = kvm.mm.ptes[(slot.userspace_addr >> self.PAGE_SHIFT) + gfn - slot.base_gfn]
        return pte.pfn == pfn and not pte.writable

    def guest_page_is_of_gmem(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> bool:
        """Return whether a fault of the guest takes the page from guest_memfd."""
        return slot.guest_memfd and (slot.gmem_only or kvm.mem_attr_array[gfn].private)

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that each SPTE is of a memslot, maps its page, and is private as the attributes are.

        Require that no SPTE maps a page that is free or poisoned.
        """
        super().trace_quiescent(kvm)
        for gfn in range(len(kvm.sptes)):
            if kvm.sptes[gfn].pfn >= 0 and kvm.users_count > 0:
                self.expect_page_of_guest(kvm, gfn)
        for gfn in range(len(kvm.sptes)):
            if kvm.sptes[gfn].pfn >= 0 and kvm.sptes[gfn].private != kvm.mem_attr_array[gfn].private:
                report(
                    "stale-spte",
                    f"{kvm.sptes[gfn]} is {'private' if kvm.sptes[gfn].private else 'shared'} when all is done, "
                    f"but gfn {gfn} is not",
                )
        for spte in kvm.sptes:
            if self.pfn_valid(spte.pfn):
                if self.mem_map[spte.pfn].hwpoison:
                    report("stale-spte", f"{spte} maps pfn {spte.pfn} when all is done, which is poisoned")
                if self.mem_map[spte.pfn].anon_shared:
                    report("stale-spte", f"{spte} maps pfn {spte.pfn} when all is done, which processes share")
                if self.mem_map[spte.pfn].free:
                    report("stale-spte", f"{spte} maps pfn {spte.pfn} when all is done, which is free")

    def expect_page_of_guest(self, kvm: Kvm, gfn: Gfn) -> None:
        """Report an SPTE of a gfn that has no memslot, or another page."""
        slot = self.oracle_slot(kvm, gfn)
        if slot is None:
            report("stale-spte", f"{kvm.sptes[gfn]} is present when all is done, but no memslot has gfn {gfn}")
            return
        now = self.oracle_guest_page(kvm, slot, gfn)
        if now != kvm.sptes[gfn].pfn:
            report(
                "stale-spte",
                f"gfn {gfn} is mapped to pfn {kvm.sptes[gfn].pfn} when all is done, but a lookup returns {found(now)}",
            )
        if kvm.sptes[gfn].private and kvm.vm_type == KVM_X86_SNP_VM and not self.mem_map[now].rmp_private:
            report("stale-spte", f"{kvm.sptes[gfn]} is private when all is done, but pfn {now} is shared in the RMP")


STALE_SPTE = Property(
    "stale-spte",
    "an SPTE maps a page that was freed, is poisoned, is of the other kind, or is not what a lookup would return,"
    " or has no memslot",
    StaleSpteProbe,
)
