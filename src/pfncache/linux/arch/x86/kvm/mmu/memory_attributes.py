# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/mmu.c, the part under CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES: SPTEs of gfns that change their kind."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.asm.pgtable_types import KVM_PAGES_PER_HPAGE, PG_LEVEL_4K
from pfncache.linux.arch.x86.kvm.mmu.tdp_mmu import TdpMmu
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held_write


class MemoryAttributes(TdpMmu):
    """What the MMU does when gfns become private or shared, and which huge pages have gfns of both kinds."""

    @part_of("lpage_info_slot")
    def lpage_index(self, slot: KvmMemorySlot, gfn: Gfn) -> int:
        """Return the index of gfn's huge page in lpage_info.

        Linux: arch/x86/kvm/mmu/mmu.c lpage_info_slot(), v7.3.4.
        """
        return gfn // KVM_PAGES_PER_HPAGE - slot.base_gfn // KVM_PAGES_PER_HPAGE

    @part_of("kvm_arch_pre_set_memory_attributes")
    def pre_set_attributes(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool) -> bool:
        """Zap the SPTEs of the old kind; faults at the other gfns of a huge page wait too.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_pre_set_memory_attributes(), v7.3.4.
        Locks: slots_lock, mmu_lock for writing; an invalidation is in progress.
        Returns: whether TLBs must be flushed.
        """
        if self.max_huge_page_level > PG_LEVEL_4K:
            self.add_hugepage_range(kvm, slot, start & -KVM_PAGES_PER_HPAGE, start, end)
            self.add_hugepage_range(kvm, slot, (end - 1) & -KVM_PAGES_PER_HPAGE, start, end)
        return self.kvm_unmap_gfn_range(kvm, start, end, not private, private)

    @part_of("kvm_arch_pre_set_memory_attributes")
    def add_hugepage_range(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, start: Gfn, end: Gfn) -> None:
        """Add a huge page to the range in progress, if [start, end) has a part of it, and it can be mapped huge.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_pre_set_memory_attributes(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        last = gfn + KVM_PAGES_PER_HPAGE
        if start <= gfn and last <= end:
            return
        if gfn >= slot.base_gfn and last <= slot.base_gfn + slot.npages:
            if not slot.lpage_info[self.lpage_index(slot, gfn)].mixed:
                self.kvm_mmu_invalidate_range_add(kvm, gfn, last)

    @part_of("kvm_arch_post_set_memory_attributes")
    def post_set_attributes(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """Store for each huge page of the range whether its gfns are of one kind.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_post_set_memory_attributes(), v7.3.4.
        Locks: slots_lock, mmu_lock for writing.
        Simplified: a huge page that the range covers is looked at as well.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        for gfn in range(0, len(kvm.mem_attr_array), KVM_PAGES_PER_HPAGE):
            if gfn < end and start < gfn + KVM_PAGES_PER_HPAGE:
                self.update_mixed(kvm, slot, gfn)

    @part_of("hugepage_has_attrs")
    def update_mixed(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
        """Store whether the gfns of a huge page that lies in the slot are of one kind.

        Linux: arch/x86/kvm/mmu/mmu.c hugepage_has_attrs(), hugepage_set_mixed(), hugepage_clear_mixed(), v7.3.4.
        Locks: slots_lock.
        """
        if gfn >= slot.base_gfn and gfn + KVM_PAGES_PER_HPAGE <= slot.base_gfn + slot.npages:
            private = kvm.mem_attr_array[gfn].private
            same = self.kvm_range_has_memory_attributes(kvm, gfn, gfn + KVM_PAGES_PER_HPAGE, private)
            slot.lpage_info[self.lpage_index(slot, gfn)].mixed = not same

    def kvm_mmu_init_memslot_memory_attributes(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Store for each huge page of a new slot whether its gfns are of one kind.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_init_memslot_memory_attributes(), v7.3.4.
        Locks: slots_lock.
        """
        for gfn in range(0, len(kvm.mem_attr_array), KVM_PAGES_PER_HPAGE):
            self.update_mixed(kvm, slot, gfn)
