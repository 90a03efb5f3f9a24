# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/mmu.c: TDP faults and zapping, a page at a time."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.arch.x86.include.asm.pgtable_types import KVM_PAGES_PER_HPAGE, PG_LEVEL_2M, PG_LEVEL_4K
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from pfncache.linux.arch.x86.kvm.mmu.tdp_mmu import TdpMmu
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import (
    INVALID_GPA,
    KVM_PFN_ERR_HWPOISON,
    KVM_PFN_ERR_RO_FAULT,
    KVM_PFN_NOSLOT,
    Gfn,
    Gpa,
)
from pfncache.linux.include.linux.lockdep import assert_rwlock_held, lockdep_assert_held_read, lockdep_assert_held_write
from pfncache.linux.include.linux.preempt import local_irq_disable, local_irq_enable
from pfncache.linux.include.linux.types import Errno, Pfn, Sequence
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOENT
from pfncache.linux.kernel.locking.spinlock import read_lock, write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock

RET_PF_RETRY, RET_PF_EMULATE = -EAGAIN, -ENOENT
"""Results of a fault that neither installs an SPTE nor fails; negative, as the model stores results as errnos."""


class Mmu(TdpMmu):
    """TDP faults and zapping."""

    def kvm_unmap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        """Zap the SPTEs of [start, end).

        Linux: arch/x86/kvm/mmu/mmu.c kvm_unmap_gfn_range(), v7.3.4.
        Locks: mmu_lock for writing, which is dropped in between; an invalidation in progress, or slots_lock.
        Returns: whether TLBs must be flushed before mmu_lock is dropped.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        self.assert_invalidation(kvm)
        return self.tdp_mmu_zap_leafs(kvm, start, end, private, shared)

    @part_of("kvm_unmap_gfn_range")
    @atomic
    def assert_invalidation(self, kvm: Kvm) -> None:
        """Assert that an invalidation is in progress, or slots_lock held.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_unmap_gfn_range(), v7.3.4.
        """
        if kvm.mmu_invalidate_in_progress == 0 and not kvm.slots_lock.held:
            report("lock-assertion", "SPTEs are zapped without an invalidation in progress or slots_lock")

    def kvm_arch_flush_shadow_all(self, kvm: Kvm) -> None:
        """Zap every SPTE of a guest that does not run any more. What its TLBs have is not used, so nothing is flushed.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_flush_shadow_all(), kvm_mmu_zap_all(), v7.3.4.
        """
        with write_lock(kvm.mmu_lock):
            self.tdp_mmu_zap_root(kvm)
        if self.tlbs:
            self.flush_guest_tlb(kvm)

    def kvm_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Zap a range whose memory type or APIC page changes.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_zap_gfn_range(), v7.3.4 (in an SRCU section since v7.3.2: b59a87c1ba3c).
        """
        with srcu_read_lock(kvm.srcu):
            self.zap_gfns(kvm, start, end)

    @part_of("kvm_zap_gfn_range")
    def zap_gfns(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Zap the SPTEs of a range, whether or not it is in a memslot.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_zap_gfn_range(), v7.3.4.
        Locks: SRCU, for the rmaps.
        """
        if end <= start:
            WARN_ON_ONCE(True, "WARN_ON_ONCE(gfn_end <= gfn_start)")
            return
        with write_lock(kvm.mmu_lock):
            self.kvm_mmu_invalidate_start(kvm)
            self.kvm_mmu_invalidate_range_add(kvm, start, end)
            self.kvm_rmap_zap_gfn_range(kvm, start, end)
            self.flush_if(kvm, self.tdp_mmu_zap_leafs(kvm, start, end, True, True))
            self.kvm_mmu_invalidate_end(kvm)

    def kvm_rmap_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Walk the rmaps of the memslots in a range.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_rmap_zap_gfn_range(), v7.3.4.
        Locks: SRCU, mmu_lock for writing.
        Simplified: nothing is in the rmaps.
        """
        if self.kvm_memslots_have_rmaps(kvm):
            for entry in self._kvm_memslots(kvm).entries:
                slot = entry.slot
                if slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                    first = max(start, slot.base_gfn)
                    last = min(end, slot.base_gfn + slot.npages)
                    WARN_ON_ONCE(first >= last, "WARN_ON_ONCE(start >= end)")
                    self.check_arch_ready(slot)

    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Take the pages of a slot that is deleted or moved from the guest: VMSAs, then SPTEs.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_arch_flush_shadow_memslot(), v7.3.4.
        Locks: slots_lock.
        Simplified: only the slot's SPTEs, not all of them (KVM_X86_QUIRK_SLOT_ZAP_ALL off).
        """
        with write_lock(kvm.mmu_lock):
            if kvm.vm_type == KVM_X86_SNP_VM and slot.gmem_file is not None:  # no other VM has VMSAs
                self.kvm_arch_gmem_invalidate_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages)
            self.flush_if(kvm, self.kvm_unmap_gfn_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages, True, True))

    def kvm_mmu_faultin_pfn_gmem(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page of a fault that guest_memfd serves.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_faultin_pfn_gmem(), v7.3.4.
        Locks: SRCU.
        Returns: a pfn with a reference, or an error pfn.
        """
        return self.kvm_gmem_get_pfn(kvm, slot, gfn)

    @part_of("__kvm_mmu_faultin_pfn")
    def fault_from_gmem(self, slot: KvmMemorySlot, private: bool) -> bool:
        """Return whether guest_memfd serves the fault: for private memory, and for mappable guest_memfd.

        Linux: arch/x86/kvm/mmu/mmu.c __kvm_mmu_faultin_pfn(), v7.3.4.
        """
        return private or slot.gmem_only

    def mmu_invalidate_retry_gfn_unsafe(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return whether an invalidation of gfn has begun or ended since `sequence`; a hint without mmu_lock.

        Linux: include/linux/kvm_host.h mmu_invalidate_retry_gfn_unsafe(), v7.3.4.
        """
        if kvm.mmu_invalidate_in_progress != 0:
            start = kvm.mmu_invalidate_range_start
            # INVALID_GPA, which either limit is for a moment, is higher than every gfn: in C it has no sign.
            if start != INVALID_GPA and gfn >= start:
                end = kvm.mmu_invalidate_range_end
                if end == INVALID_GPA or gfn < end:
                    return True
        return kvm.mmu_invalidate_seq != sequence

    def mmu_invalidate_retry_gfn(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return whether an invalidation of gfn has begun or ended since `sequence`.

        Linux: include/linux/kvm_host.h mmu_invalidate_retry_gfn(), v7.3.4.
        Locks: mmu_lock.
        """
        assert_rwlock_held(kvm.mmu_lock)
        if kvm.mmu_invalidate_in_progress != 0:
            start = kvm.mmu_invalidate_range_start
            WARN_ON_ONCE(start == -1, "mmu_lock was dropped between mmu_invalidate_in_progress++ and its range")
            if start <= gfn < kvm.mmu_invalidate_range_end:
                return True
        return kvm.mmu_invalidate_seq != sequence

    def kvm_mmu_finish_page_fault(self, pfn: Pfn, stale: bool) -> None:
        """Drop the reference of the fault's lookup.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_finish_page_fault(), include/linux/kvm_host.h
        kvm_release_faultin_page(), v7.3.4.
        Locks: mmu_lock.
        Simplified: a page that is used is not marked dirty for the host's mm, which has no such flag.
        """
        if stale:
            self.kvm_release_page_unused(pfn)
        else:
            self.kvm_release_page_clean(pfn)

    def is_page_fault_stale(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return whether an invalidation of gfn has begun or ended since `sequence`.

        Linux: arch/x86/kvm/mmu/mmu.c is_page_fault_stale(), v7.3.4.
        Locks: mmu_lock.
        Simplified: no obsolete roots: the model has one page table, which is never replaced.
        """
        return self.mmu_invalidate_retry_gfn(kvm, sequence, gfn)

    def kvm_handle_error_pfn(self, pfn: Pfn) -> Errno:
        """Return what a fault does whose lookup by user address failed.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_handle_error_pfn(), v7.3.4.
        Returns: RET_PF_EMULATE for a write to a read-only slot, or to a device's read-only PTE; RET_PF_RETRY for a
        poisoned page, for which the task gets a SIGBUS; -EFAULT.
        Simplified: a pending signal is -EFAULT, instead of -EINTR; no signal is sent.
        """
        if pfn == KVM_PFN_ERR_RO_FAULT:
            return RET_PF_EMULATE
        if pfn == KVM_PFN_ERR_HWPOISON:
            return RET_PF_RETRY
        return -EFAULT

    def mmu_try_to_unsync_pages(self, vcpu: KvmVcpu, gfn: Gfn) -> None:
        """Note that the guest may change a page table that is shadowed.

        Linux: arch/x86/kvm/mmu/mmu.c mmu_try_to_unsync_pages(), kvm_unsync_page(), v7.3.4.
        Locks: mmu_lock.
        """
        if vcpu.shadow.gpa >> self.PAGE_SHIFT == gfn:
            vcpu.shadow.unsync = True

    def kvm_mmu_sync_roots(self, vcpu: KvmVcpu) -> None:
        """Read what is shadowed of tables that the guest may have changed again; zap what cannot be read.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_sync_roots(), mmu_sync_children(), kvm_sync_page(), v7.3.4.
        Locks: SRCU.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if not vcpu.shadow.unsync:
            return
        with write_lock(kvm.mmu_lock):
            self.kvm_tdp_mmu_write_protect_gfn(kvm, vcpu)
            if self.sync_spte(vcpu) < 0:
                self.kvm_mmu_prepare_zap_page(kvm, vcpu)

    def kvm_mmu_prepare_zap_page(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Drop the shadow of a page table.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_prepare_zap_page(), __kvm_mmu_prepare_zap_page(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        vcpu.shadow.gpa = INVALID_GPA

    def kvm_mmu_page_fault(self, vcpu: KvmVcpu, gpa: Gpa, private: bool) -> Errno:
        """Handle a TDP fault: map the page for the guest, or emulate the instruction.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_page_fault(), kvm_mmu_do_page_fault(), v7.3.4.
        Locks: SRCU; the vCPU is loaded.
        Returns: 0, RET_PF_RETRY, or -EFAULT (an exit to user space, that of MMIO included).
        Simplified: the instruction that is emulated is in the page that it writes to.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        ret = self.kvm_tdp_page_fault(kvm, self.gpa_to_gfn(gpa), private)
        if ret != RET_PF_EMULATE:
            return ret
        # KVM does not emulate accesses to private memory.
        if private or self.emulate_store(vcpu, gpa, gpa) != 0:
            return -EFAULT
        return 0

    def kvm_tdp_page_fault(self, kvm: Kvm, gfn: Gfn, private: bool) -> Errno:
        """Map a gfn for the guest.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_tdp_page_fault(), kvm_tdp_mmu_page_fault(), kvm_mmu_faultin_pfn(), v7.3.4;
        the memslot is looked up in arch/x86/kvm/mmu/mmu.c kvm_mmu_do_page_fault().
        Locks: SRCU.
        Returns: 0, RET_PF_RETRY, RET_PF_EMULATE, or -EFAULT (an exit to user space).
        Simplified: writes only, so that the page is writable; one lookup that may sleep instead of a first one with
        FOLL_NOWAIT; no fast_page_fault(), which changes no pfn. -EFAULT stands for every exit, also for that of
        guest_memfd's errors. Without a slot, C installs an MMIO SPTE and emulates, which exits: -EFAULT as well.
        `private` is what the guest asks for, also in a SW_PROTECTED VM, where C reads the attribute first.
        """
        slot = self.gfn_to_memslot(kvm, gfn)
        sequence = kvm.mmu_invalidate_seq
        if private != self.kvm_mem_is_private(kvm, gfn):
            return -EFAULT
        if slot is None:
            return -EFAULT
        if slot.invalid:
            return RET_PF_RETRY
        if self.mmu_invalidate_retry_gfn_unsafe(kvm, sequence, gfn):
            return RET_PF_RETRY
        max_level: int = self.max_huge_page_level
        if self.fault_from_gmem(slot, private):
            if not slot.guest_memfd:
                return -EFAULT
            pfn = self.kvm_mmu_faultin_pfn_gmem(kvm, slot, gfn)
            if pfn < 0:
                return -EFAULT
            max_level = self.kvm_max_level_for_order(self.gmem_max_order(slot, gfn, pfn))
        else:
            pfn = self._kvm_faultin_pfn(slot, gfn)
            WARN_ON_ONCE(pfn == KVM_PFN_NOSLOT, "WARN_ON_ONCE(is_noslot_pfn(fault->pfn))")
            if pfn < 0:
                return self.kvm_handle_error_pfn(pfn)
        if self.mmu_invalidate_retry_gfn_unsafe(kvm, sequence, gfn):
            self.kvm_release_page_unused(pfn)
            return RET_PF_RETRY
        with read_lock(kvm.mmu_lock):
            stale = self.is_page_fault_stale(kvm, sequence, gfn)
            if not stale:
                lockdep_assert_held_read(kvm.mmu_lock)
                self.kvm_tdp_mmu_map(kvm, slot, gfn, pfn, private, max_level)
            self.kvm_mmu_finish_page_fault(pfn, stale)
        return RET_PF_RETRY if stale else 0

    # Huge pages

    def kvm_max_level_for_order(self, order: int) -> int:
        """Return the level of a folio's order.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_max_level_for_order(), v7.3.4.
        """
        return PG_LEVEL_2M if order >= 1 else PG_LEVEL_4K

    @part_of("kvm_alloc_memslot_metadata")
    def disallows_lpage(self, slot: KvmMemorySlot, gfn: Gfn) -> bool:
        """Return whether the slot's alignment rules out a huge page at gfn.

        Linux: arch/x86/kvm/x86.c kvm_alloc_memslot_metadata(), arch/x86/kvm/mmu/mmu.c lpage_info_slot(), v7.3.4.
        Simplified: computed in each lookup instead of stored when the slot is made, which never changes; without the
        huge pages in which a guest page table is shadowed.
        """
        start = gfn & -KVM_PAGES_PER_HPAGE
        end = slot.base_gfn + slot.npages
        misaligned = (slot.base_gfn ^ (slot.userspace_addr >> self.PAGE_SHIFT)) & (KVM_PAGES_PER_HPAGE - 1)
        return start < slot.base_gfn or start + KVM_PAGES_PER_HPAGE > end or misaligned != 0

    @part_of("lpage_info_slot")
    def lpage_index(self, slot: KvmMemorySlot, gfn: Gfn) -> int:
        """Return the index of gfn's huge page in lpage_info.

        Linux: arch/x86/kvm/mmu/mmu.c lpage_info_slot(), v7.3.4.
        """
        return gfn // KVM_PAGES_PER_HPAGE - slot.base_gfn // KVM_PAGES_PER_HPAGE

    def host_pfn_mapping_level(self, kvm: Kvm, gfn: Gfn, slot: KvmMemorySlot) -> int:
        """Return the level at which user space maps gfn, without a lock of mm: invalidations keep it good.

        Linux: arch/x86/kvm/mmu/mmu.c host_pfn_mapping_level(), v7.3.4.
        Locks: mmu_lock; no invalidation is in progress, or an SPTE of the page is present.
        """
        hva = slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)
        local_irq_disable()
        huge = kvm.mm.ptes[hva >> self.PAGE_SHIFT].huge
        local_irq_enable()
        return PG_LEVEL_2M if huge else PG_LEVEL_4K

    def kvm_gmem_max_mapping_level(self, kvm: Kvm, private: bool, max_level: int, fault: bool) -> int:
        """Return the level at which a page of guest_memfd may be mapped.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_gmem_max_mapping_level(), v7.3.4.
        Simplified: the RMP of an SNP VM has single pages alone.
        """
        WARN_ON_ONCE(not fault, "Get pfn+order from guest_memfd")
        return PG_LEVEL_4K if private and kvm.vm_type == KVM_X86_SNP_VM else max_level

    def kvm_mmu_max_mapping_level(
        self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, private: bool, max_level: int, fault: bool
    ) -> int:
        """Return the highest level at which gfn can be mapped.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_max_mapping_level(), v7.3.4.
        Locks: mmu_lock.
        """
        assert_rwlock_held(kvm.mmu_lock)
        if self.disallows_lpage(slot, gfn) or slot.lpage_info[self.lpage_index(slot, gfn)].mixed:
            return PG_LEVEL_4K
        if private or slot.gmem_only:
            return self.kvm_gmem_max_mapping_level(kvm, private, max_level, fault)
        return self.host_pfn_mapping_level(kvm, gfn, slot)

    def kvm_mmu_hugepage_adjust(
        self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn, private: bool, max_level: int
    ) -> int:
        """Return the level at which a fault maps its page. A slot with dirty logging has no huge pages.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_hugepage_adjust(), v7.3.4.
        Locks: mmu_lock; the lookup is not stale.
        """
        if self.max_huge_page_level == PG_LEVEL_4K:
            return PG_LEVEL_4K
        if max_level == PG_LEVEL_4K or slot.log_dirty:
            return PG_LEVEL_4K
        level = self.kvm_mmu_max_mapping_level(kvm, slot, gfn, private, max_level, True)
        mask = KVM_PAGES_PER_HPAGE - 1
        WARN_ON_ONCE(level == PG_LEVEL_2M and gfn & mask != pfn & mask, "VM_BUG_ON((gfn & mask) != (pfn & mask))")
        return level

    def kvm_mmu_slot_try_split_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Split the huge SPTEs of a slot that begins to log.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_slot_try_split_huge_pages(), v7.3.4.
        Locks: slots_lock; takes mmu_lock for reading.
        """
        with read_lock(kvm.mmu_lock):
            self.kvm_tdp_mmu_try_split_huge_pages(kvm, slot)

    def kvm_mmu_recover_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Make SPTEs of a slot huge that ends to log.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_mmu_recover_huge_pages(), v7.3.4.
        Locks: slots_lock; takes mmu_lock for reading.
        """
        with read_lock(kvm.mmu_lock):
            self.kvm_tdp_mmu_recover_huge_pages(kvm, slot)

    # Memory attributes

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
