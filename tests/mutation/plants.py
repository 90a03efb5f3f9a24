# SPDX-License-Identifier: GPL-2.0-only
"""Faults that were planted by hand, each with the scenarios that show it: what no mutant of one statement is."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.designs.catalogue import Patch, mainline_7_3, rfc_v4_fixed
from pfncache.designs.design import Design
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_2M
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, Gfn, is_error_noslot_pfn
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux


class RangeOfFirstSlot(Patch, Vmlinux):
    """KVM: do not widen the range that is being invalidated for the second slot."""

    def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        if kvm.mmu_invalidate_range_start == -1:
            kvm.mmu_invalidate_range_start = start
            kvm.mmu_invalidate_range_end = end


class RangeOfLastSlot(Patch, Vmlinux):
    """KVM: replace the range that is being invalidated by that of the next slot."""

    def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        kvm.mmu_invalidate_range_start = start
        kvm.mmu_invalidate_range_end = end


class EndForEachSlot(Patch, Vmlinux):
    """KVM: end the invalidation of guest mappings once for each slot."""

    def handle_hva_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        with srcu_read_lock(kvm.srcu):
            for entry in self.kvm_memslots(kvm).entries:
                slot = entry.slot
                if slot is not None and self.slot_overlaps_hva(slot, start, end):
                    with write_lock(kvm.mmu_lock):
                        self.kvm_mmu_invalidate_end(kvm)


class ZapFirstSlot(Patch, Vmlinux):
    """KVM: zap what the first slot that overlaps has mapped, and no other."""

    def handle_hva_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> bool:
        found: bool = False
        with srcu_read_lock(kvm.srcu):
            for entry in self.kvm_memslots(kvm).entries:
                slot = entry.slot
                if slot is not None and self.slot_overlaps_hva(slot, start, end):
                    first = self.hva_to_gfn_memslot(start, slot)
                    last = self.hva_to_gfn_memslot(end + self.PAGE_SIZE - 1, slot)
                    if not found:
                        kvm.mmu_lock.write_lock()
                        self.kvm_mmu_invalidate_start(kvm)
                    self.kvm_mmu_invalidate_range_add(kvm, first, last)
                    if not found:
                        self.kvm_unmap_gfn_range(kvm, first, last, False, True)
                    found = True
            if found:
                kvm.mmu_lock.write_unlock()
        return found


class IndexWithoutOffset(Patch, Vmlinux):
    """KVM: guest_memfd: forget the offset of the slot in the file."""

    def kvm_gmem_get_index(self, slot: KvmMemorySlot, gfn: Gfn) -> Pgoff:
        return gfn - slot.base_gfn


class FreshMapping(Patch, Vmlinux):
    """KVM: pfncache: map a page anew although the cache has a mapping of it."""

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        gpc.pfn = KVM_PFN_ERR_FAULT
        return super().hva_to_pfn_retry(gpc)


def retry(self: Vmlinux, gpc: GfnToPfnCache, keep: bool, drop_reused: bool, test_early: bool) -> Errno:
    """Do what hva_to_pfn_retry() does, with a fault each."""
    kvm = gpc.kvm
    assert kvm is not None
    old_khva: Kva = self.PAGE_ALIGN_DOWN(gpc.khva)
    new_pfn: Pfn = KVM_PFN_ERR_FAULT
    new_khva: Kva = 0
    again: bool = True
    hva = gpc.uhva
    gpc.valid = False
    while True:
        sequence = self.read_gpc_seq(kvm)
        gpc.lock.write_unlock_irq()
        if not is_error_noslot_pfn(new_pfn):
            if (new_khva != old_khva or drop_reused) and not keep:
                self.gpc_unmap(new_pfn, new_khva)
            self.kvm_release_page_unused(new_pfn)
        new_pfn = self.lookup_pfn(gpc, hva)
        if is_error_noslot_pfn(new_pfn):
            gpc.lock.write_lock_irq()
            return -EFAULT
        new_khva = old_khva if new_pfn == gpc.pfn else self.gpc_map(gpc, new_pfn)
        if new_khva == 0:
            self.kvm_release_page_unused(new_pfn)
            gpc.lock.write_lock_irq()
            return -EFAULT
        if test_early:
            again = self.must_retry_lookup(gpc, sequence)
        gpc.lock.write_lock_irq()
        WARN_ON_ONCE(gpc.valid, "gpc->valid although refresh_lock is held")
        if not test_early:
            again = self.must_retry_lookup(gpc, sequence)
        if not again:
            break
    self.publish_pfn(gpc, new_pfn, new_khva)
    return 0


class UnmapReused(Patch, Vmlinux):
    """KVM: pfncache: before a retry, unmap the mapping that the cache had before, too."""

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        return retry(self, gpc, False, True, False)


class KeepMapping(Patch, Vmlinux):
    """KVM: pfncache: before a retry, do not unmap what the last iteration has mapped."""

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        return retry(self, gpc, True, False, False)


class TestBeforeLock(Patch, Vmlinux):
    """KVM: pfncache: test whether to retry, then take gpc->lock."""

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        return retry(self, gpc, False, False, True)


class ZapWhole(Patch, Vmlinux):
    """KVM: x86/mmu: zap no huge SPTE of which a range has a part."""

    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        if end - start == 1 and kvm.sptes[start].huge:
            return False
        return super().tdp_mmu_zap_leafs(kvm, start, end, private, shared)


class SplitSilently(Patch, Vmlinux):
    """mm: split a PMD without notifications."""

    def _split_huge_pmd(self, mm: MmStruct, number: int) -> None:
        self.split_huge_pmd_locked(mm, number)


class ConvertWithoutHugeRange(Patch, Vmlinux):
    """KVM: x86/mmu: let the guest fault at gfns of a huge page whose other gfns are converted."""

    def add_hugepage_range(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, start: Gfn, end: Gfn) -> None:
        """Nothing."""


class ForgetMixed(Patch, Vmlinux):
    """KVM: x86/mmu: do not note that a huge page is private in part."""

    def update_mixed(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
        """Nothing."""


class LogWithoutSplit(Patch, Vmlinux):
    """KVM: x86/mmu: leave huge SPTEs when logging begins."""

    def kvm_mmu_slot_try_split_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Nothing."""


class RecoverAll(Patch, Vmlinux):
    """KVM: x86/mmu: make every page table a huge SPTE, whatever user space maps."""

    def host_pfn_mapping_level(self, kvm: Kvm, gfn: Gfn, slot: KvmMemorySlot) -> int:
        return PG_LEVEL_2M


@dataclass(frozen=True)
class Plant:
    """A fault, and the scenarios of the default catalogue that find it, with the property."""

    patch: type[Patch]
    found: tuple[tuple[str, str], ...]
    base: Design = mainline_7_3

    @property
    def design(self) -> Design:
        """The base with the fault."""
        return (self.base + [self.patch]).named(f"{self.base.name}-planted", self.patch.subject())


PLANTS = (
    Plant(RangeOfFirstSlot, (("slots/shared-user-page", "stale-spte"),)),
    Plant(RangeOfLastSlot, (("slots/shared-user-page", "stale-spte"),)),
    Plant(EndForEachSlot, (("slots/shared-user-page", "warn-on"),)),
    Plant(ZapFirstSlot, (("slots/shared-user-page-is-mapped", "stale-spte"),)),
    Plant(ZapWhole, (("huge/convert-mapped", "stale-spte"),)),
    Plant(SplitSilently, (("huge/guest", "stale-spte"),)),
    Plant(ConvertWithoutHugeRange, (("huge/convert-half", "stale-spte"),)),
    Plant(ForgetMixed, (("huge/convert-back", "stale-spte"),)),
    Plant(LogWithoutSplit, (("huge/log-on", "lost-dirty"),)),
    Plant(RecoverAll, (("huge/log-off", "stale-spte"),)),
    Plant(IndexWithoutOffset, (("gmem/crossed-offsets", "warn-on"),)),
    Plant(FreshMapping, (("device/clock-and-mprotect", "map-imbalance"),)),
    Plant(UnmapReused, (("device/clock-and-mprotect", "unmapped-access"),)),
    Plant(KeepMapping, (("device/activate-and-mprotect", "map-imbalance"),)),
    Plant(
        TestBeforeLock,
        tuple(
            (f"absent/{name}", "stale-translation") for name in ("anon/munmap", "memfd/memfd-punch", "gmem-mmap/punch")
        ),
    ),
    Plant(
        TestBeforeLock,
        (("absent/gmem-unmapped/punch", "use-after-free"), ("absent/gmem-unmapped/close", "use-after-free")),
        rfc_v4_fixed,
    ),
)
