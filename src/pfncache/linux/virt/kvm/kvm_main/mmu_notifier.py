# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the MMU notifiers: what KVM does when the page tables of user space change."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held_write
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class KvmMmuNotifier(KvmMm):
    """The mmu_notifier_ops of KVM, and the counters of invalidations of guest mappings."""

    def kvm_mmu_invalidate_start(self, kvm: Kvm) -> None:
        """Count an invalidation of guest mappings as in progress.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_start(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        kvm.mmu_invalidate_in_progress += 1
        if kvm.mmu_invalidate_in_progress == 1:
            kvm.mmu_invalidate_range_start = -1
            kvm.mmu_invalidate_range_end = -1

    def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Widen the range that is being invalidated: the one range encloses all invalidations in progress.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_range_add(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        WARN_ON_ONCE(kvm.mmu_invalidate_in_progress == 0, "WARN_ON_ONCE(!kvm->mmu_invalidate_in_progress)")
        if kvm.mmu_invalidate_range_start == -1:
            kvm.mmu_invalidate_range_start = start
            kvm.mmu_invalidate_range_end = end
        else:
            kvm.mmu_invalidate_range_start = min(kvm.mmu_invalidate_range_start, start)
            kvm.mmu_invalidate_range_end = max(kvm.mmu_invalidate_range_end, end)

    def kvm_mmu_invalidate_end(self, kvm: Kvm) -> None:
        """Increment the sequence, then lower the count of invalidations in progress.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_end(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        kvm.mmu_invalidate_seq += 1
        kvm.mmu_invalidate_in_progress -= 1
        WARN_ON_ONCE(kvm.mmu_invalidate_in_progress < 0, "KVM_BUG_ON(kvm->mmu_invalidate_in_progress < 0)")
        WARN_ON_ONCE(kvm.mmu_invalidate_range_start == -1, "WARN_ON_ONCE(mmu_invalidate_range_start == INVALID_GPA)")

    @part_of("kvm_handle_hva_range")
    def slot_overlaps_hva(self, slot: KvmMemorySlot, start: Hva, end: Hva) -> bool:
        """Return whether the slot's user addresses overlap [start, end).

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range(), v7.3.4.
        """
        return slot.userspace_addr < end and start < slot.userspace_addr + (slot.npages << self.PAGE_SHIFT)

    @part_of("kvm_handle_hva_range")
    def handle_hva_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> bool:
        """Zap the guest's mappings in each slot that overlaps; mmu_lock is not taken if none does.

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range(), v7.3.4, with kvm_mmu_unmap_gfn_range as its handler.
        Returns: whether a slot overlaps.
        Simplified: address space 0 only.
        """
        found: bool = False
        flush: bool = False
        if end <= start:
            WARN_ON_ONCE(True, "WARN_ON_ONCE(range->end <= range->start)")
            return found
        with srcu_read_lock(kvm.srcu):
            slots = self.kvm_memslots(kvm)
            for entry in slots.entries:
                slot = entry.slot
                if slot is not None and self.slot_overlaps_hva(slot, start, end):
                    if not found:
                        found = True
                        kvm.mmu_lock.write_lock()
                        self.kvm_mmu_invalidate_start(kvm)
                    first = self.hva_to_gfn_memslot(start, slot)
                    last = self.hva_to_gfn_memslot(end + self.PAGE_SIZE - 1, slot)
                    self.kvm_mmu_invalidate_range_add(kvm, first, last)
                    if self.kvm_unmap_gfn_range(kvm, first, last, False, True):
                        flush = True
            self.flush_if(kvm, flush)
            if found:
                kvm.mmu_lock.write_unlock()
        return found

    def hva_to_gfn_memslot(self, hva: Hva, slot: KvmMemorySlot) -> Gfn:
        """Return the gfn of a user address.

        Linux: include/linux/kvm_host.h hva_to_gfn_memslot(), v7.3.4.
        Simplified: limited to the slot, as kvm_handle_hva_range() limits the address before it calls this.
        """
        if hva <= slot.userspace_addr:
            return slot.base_gfn
        offset = (hva - slot.userspace_addr) >> self.PAGE_SHIFT
        if offset >= slot.npages:
            return slot.base_gfn + slot.npages
        return slot.base_gfn + offset

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate caches and guest mappings of [start, end), whose user PTEs are about to change.

        While mn_active_invalidate_count is raised, memslots cannot change: the end finds the slots of the start.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start(), v7.3.4.
        Simplified: without kvm_arch_guest_memory_reclaimed(), a cache flush for SEV.
        """
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        # Outside mmu_lock: this takes the lock of each cache, for which it has to wait for the users of the cache.
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        self.handle_hva_range_start(kvm, start, end)

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """End the invalidation of [start, end), whose user PTEs have changed.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        """
        self.handle_hva_range_end(kvm, start, end)
        self.end_cache_invalidation(kvm)

    @part_of("kvm_handle_hva_range")
    def handle_hva_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """End the invalidation of guest mappings if any slot overlaps, once for all slots.

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range(), v7.3.4, without a handler.
        """
        with srcu_read_lock(kvm.srcu):
            slots = self.kvm_memslots(kvm)
            for entry in slots.entries:
                slot = entry.slot
                if slot is not None and self.slot_overlaps_hva(slot, start, end):
                    with write_lock(kvm.mmu_lock):
                        self.kvm_mmu_invalidate_end(kvm)
                    break

    @part_of("kvm_mmu_notifier_invalidate_range_end")
    def end_cache_invalidation(self, kvm: Kvm) -> None:
        """Increment the sequence, lower the count, and wake a memslot update that waits for zero.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        """
        with spin_lock(kvm.mn_invalidate_lock):
            self.bump_gpc_invalidate_seq(kvm)
            wake = self.lower_mn_active_invalidate_count(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.rcuwait_wake_up()

    @part_of_caller
    def bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """Increment gpc_invalidate_seq, whether or not the invalidation met a memslot.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4 (since 7.3.2: da260bcb56fe).
        Locks: mn_invalidate_lock.
        """
        kvm.gpc_invalidate_seq += 1

    @part_of_caller
    def raise_mn_active_invalidate_count(self, kvm: Kvm) -> None:
        """Increment mn_active_invalidate_count.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start(), v7.3.4.
        Locks: mn_invalidate_lock.
        """
        kvm.mn_active_invalidate_count += 1
        self.hold_count(kvm)

    @part_of_caller
    def lower_mn_active_invalidate_count(self, kvm: Kvm) -> bool:
        """Decrement mn_active_invalidate_count.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        Locks: mn_invalidate_lock.
        Returns: whether it is zero now.
        """
        WARN_ON_ONCE(kvm.mn_active_invalidate_count == 0, "WARN_ON_ONCE(!kvm->mn_active_invalidate_count)")
        kvm.mn_active_invalidate_count -= 1
        self.release_count(kvm)
        return kvm.mn_active_invalidate_count == 0

    @atomic
    @part_of_caller
    def hold_count(self, kvm: Kvm) -> None:
        """Annotate for lockdep that a memslot update waits for this task until it lowers the count.

        Linux: nothing; an annotation of the model.
        """
        lock_acquire(kvm.mn_memslots_update_rcuwait, exclusive=False, excludes=False)

    @atomic
    @part_of_caller
    def release_count(self, kvm: Kvm) -> None:
        """Annotate for lockdep that the count is lowered.

        Linux: nothing; an annotation of the model.
        """
        lock_release(kvm.mn_memslots_update_rcuwait)

    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        """Zap every guest mapping, as the address space is about to be torn down. Caches are not invalidated.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_release(), v7.3.4.
        """
        with srcu_read_lock(kvm.srcu):
            self.kvm_arch_flush_shadow_all(kvm)
