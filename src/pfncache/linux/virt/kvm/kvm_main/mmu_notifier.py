# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: MMU notifiers, the way from a gfn to a page, accesses through user addresses."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToHvaCache, Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.lockdep import lockdep_assert_held_write
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, Errno, Gfn, Gpa, Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class KvmMain(KvmMm):
    """The functions of virt/kvm/kvm_main.c, without memslot updates, memory attributes, and the life of a VM."""

    # MMU notifiers: user page tables change

    def kvm_mmu_invalidate_start(self, kvm: Kvm) -> None:
        """Note that an invalidation of guest mappings has begun.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_start(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        kvm.mmu_invalidate_in_progress += 1
        if kvm.mmu_invalidate_in_progress == 1:
            kvm.mmu_invalidate_range_start = -1
            kvm.mmu_invalidate_range_end = -1

    def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Widen the one range that is being invalidated; it never shrinks while anything is in progress.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_range_add(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        if kvm.mmu_invalidate_range_start == -1:
            kvm.mmu_invalidate_range_start = start
            kvm.mmu_invalidate_range_end = end
        else:
            kvm.mmu_invalidate_range_start = min(kvm.mmu_invalidate_range_start, start)
            kvm.mmu_invalidate_range_end = max(kvm.mmu_invalidate_range_end, end)

    def kvm_mmu_invalidate_end(self, kvm: Kvm) -> None:
        """Note that an invalidation has ended: first the sequence, then the count.

        Linux: virt/kvm/kvm_main.c kvm_mmu_invalidate_end(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        kvm.mmu_invalidate_seq += 1
        kvm.mmu_invalidate_in_progress -= 1
        WARN_ON_ONCE(kvm.mmu_invalidate_in_progress < 0, "KVM_BUG_ON(kvm->mmu_invalidate_in_progress < 0)")
        WARN_ON_ONCE(kvm.mmu_invalidate_range_start == -1, "WARN_ON_ONCE(mmu_invalidate_range_start == INVALID_GPA)")

    def kvm_slot_overlaps_hva(self, slot: KvmMemorySlot, start: Hva, end: Hva) -> bool:
        """Whether the slot's user addresses overlap [start, end).

        Linux: virt/kvm/kvm_main.c, the interval tree walk of kvm_handle_hva_range(), v7.3.4.
        """
        return slot.userspace_addr < end and start < slot.userspace_addr + (slot.npages << self.PAGE_SHIFT)

    def kvm_handle_hva_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> bool:
        """Begin an invalidation in each slot that overlaps; mmu_lock is not touched when none does.

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range() with kvm_mmu_invalidate_start and kvm_unmap_gfn_range, v7.3.4.
        Returns: whether a slot overlaps.
        Simplified: address space 0 only.
        """
        found: bool = False
        with srcu_read_lock(kvm.srcu):
            slots = self.kvm_memslots(kvm)
            for entry in slots.entries:
                slot = entry.slot
                if slot is not None and self.kvm_slot_overlaps_hva(slot, start, end):
                    if not found:
                        found = True
                        kvm.mmu_lock.write_lock()
                        self.kvm_mmu_invalidate_start(kvm)
                    first = self.hva_to_gfn_memslot(slot, start)
                    last = self.hva_to_gfn_memslot(slot, end + self.PAGE_SIZE - 1)
                    self.kvm_mmu_invalidate_range_add(kvm, first, last)
                    self.kvm_unmap_gfn_range(kvm, first, last, False, True)
            if found:
                kvm.mmu_lock.write_unlock()
        return found

    def hva_to_gfn_memslot(self, slot: KvmMemorySlot, hva: Hva) -> Gfn:
        """The gfn of a user address, cut to the slot.

        Linux: include/linux/kvm_host.h hva_to_gfn_memslot(), v7.3.4.
        """
        if hva <= slot.userspace_addr:
            return slot.base_gfn
        offset = (hva - slot.userspace_addr) >> self.PAGE_SHIFT
        if offset >= slot.npages:
            return slot.base_gfn + slot.npages
        return slot.base_gfn + offset

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """User PTEs of [start, end) are about to change.

        The count also pins the memslots, so that the end finds the slots that the start found.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start(), v7.3.4.
        Simplified: without kvm_arch_guest_memory_reclaimed(), a cache flush for SEV.
        """
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        # Before mmu_lock: a cache's users are waited for, and they may hold no lock that mmu_lock nests in.
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        self.kvm_handle_hva_range_start(kvm, start, end)

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """User PTEs of [start, end) have changed.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        """
        self.kvm_handle_hva_range_end(kvm, start, end)
        self.kvm_gpc_invalidate_end(kvm)

    def kvm_handle_hva_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """End the invalidation if a slot overlaps: the first one is enough to know.

        Linux: virt/kvm/kvm_main.c kvm_handle_hva_range() with kvm_mmu_invalidate_end and no handler, v7.3.4.
        """
        with srcu_read_lock(kvm.srcu):
            slots = self.kvm_memslots(kvm)
            for entry in slots.entries:
                slot = entry.slot
                if slot is not None and self.kvm_slot_overlaps_hva(slot, start, end):
                    with write_lock(kvm.mmu_lock):
                        self.kvm_mmu_invalidate_end(kvm)
                    break

    def kvm_gpc_invalidate_end(self, kvm: Kvm) -> None:
        """Let refreshes go on, and a memslot update that waits: first the sequence, then the count.

        Linux: virt/kvm/kvm_main.c, the end of kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        """
        with spin_lock(kvm.mn_invalidate_lock):
            self.kvm_bump_gpc_invalidate_seq(kvm)
            wake = self.lower_mn_active_invalidate_count(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.wake_up()

    def kvm_bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """Tell refreshes that an invalidation has ended, whether or not it met a memslot.

        Linux: virt/kvm/kvm_main.c, kvm->gpc_invalidate_seq since v7.3.2 (da260bcb56fe).
        Locks: mn_invalidate_lock.
        """
        kvm.gpc_invalidate_seq += 1

    def raise_mn_active_invalidate_count(self, kvm: Kvm) -> None:
        """mn_active_invalidate_count++.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_start(), v7.3.4.
        Locks: mn_invalidate_lock.
        """
        kvm.mn_active_invalidate_count += 1
        self.hold_count(kvm)

    def lower_mn_active_invalidate_count(self, kvm: Kvm) -> bool:
        """mn_active_invalidate_count--.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_invalidate_range_end(), v7.3.4.
        Locks: mn_invalidate_lock.
        Returns: whether it is zero now.
        """
        WARN_ON_ONCE(kvm.mn_active_invalidate_count == 0, "WARN_ON_ONCE(!kvm->mn_active_invalidate_count)")
        kvm.mn_active_invalidate_count -= 1
        self.release_count(kvm)
        return kvm.mn_active_invalidate_count == 0

    @atomic
    def hold_count(self, kvm: Kvm) -> None:
        """For lockdep: a memslot update waits for whoever has raised the count.

        Linux: nothing; an annotation of the model.
        """
        lock_acquire(kvm.mn_memslots_update_rcuwait, exclusive=False, excludes=False)

    @atomic
    def release_count(self, kvm: Kvm) -> None:
        """For lockdep: the count is lowered.

        Linux: nothing; an annotation of the model.
        """
        lock_release(kvm.mn_memslots_update_rcuwait)

    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        """The address space is about to be torn down: the guest loses its mappings. Caches are not touched.

        Linux: virt/kvm/kvm_main.c kvm_mmu_notifier_release(), v7.3.4.
        """
        with srcu_read_lock(kvm.srcu):
            self.kvm_arch_flush_shadow_all(kvm)

    # From a gfn to a page

    def search_memslots(self, slots: KvmMemslots, gfn: Gfn) -> KvmMemorySlot | None:
        """The slot that has gfn, INVALID ones included.

        Linux: include/linux/kvm_host.h search_memslots(), v7.3.4.
        Locks: SRCU or slots_lock.
        Simplified: a walk of the ids instead of the tree.
        """
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages:
                return slot
        return None

    def gfn_to_memslot(self, kvm: Kvm, gfn: Gfn) -> KvmMemorySlot | None:
        """The slot that has gfn in the active set.

        Linux: virt/kvm/kvm_main.c gfn_to_memslot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self.search_memslots(self.kvm_memslots(kvm), gfn)

    def gfn_to_hva_many(self, slot: KvmMemorySlot | None, gfn: Gfn, write: bool) -> Hva:
        """The user address of gfn in a slot; an error for no slot, an INVALID one, and for writes to a read-only one.

        Linux: virt/kvm/kvm_main.c __gfn_to_hva_many(), v7.3.4.
        Locks: SRCU or slots_lock.
        Simplified: one error address, without KVM_HVA_ERR_RO_BAD.
        """
        if slot is None or slot.invalid:
            return self.KVM_HVA_ERR_BAD
        if slot.readonly and write:
            return self.KVM_HVA_ERR_BAD
        return slot.userspace_addr + ((gfn - slot.base_gfn) << self.PAGE_SHIFT)

    def gfn_to_hva_memslot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """The user address of gfn in a slot, for writing: pfncaches and gfn_to_hva_caches refuse read-only slots by it.

        Linux: virt/kvm/kvm_main.c gfn_to_hva_memslot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self.gfn_to_hva_many(slot, gfn, True)

    def gfn_to_hva_memslot_prot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """The user address of gfn in a slot, for reading.

        Linux: virt/kvm/kvm_main.c gfn_to_hva_memslot_prot(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self.gfn_to_hva_many(slot, gfn, False)

    def hva_to_pfn(self, hva: Hva) -> Pfn:
        """The page behind a user address, for writing.

        Linux: virt/kvm/kvm_main.c hva_to_pfn(), hva_to_pfn_fast(), hva_to_pfn_slow(), hva_to_pfn_remapped(), v7.3.4.
        Locks: may sleep.
        Returns: a pfn, with a reference unless it is of a VM_PFNMAP mapping; or an error pfn.
        """
        pfn = self.get_user_page_fast_only(hva)
        if pfn >= 0:
            return pfn
        mm = current().mm
        assert mm is not None
        slow = self.get_user_pages_unlocked(mm, hva)
        # A signal and poisoned memory are final; anything else may be a VM_PFNMAP address, which GUP refuses.
        if slow != KVM_PFN_ERR_FAULT:
            return slow
        return self.follow_pfnmap_start(mm, hva)

    # Accesses through user addresses

    def kvm_read_guest_page(self, kvm: Kvm, gfn: Gfn, offset: int, length: int) -> Errno:
        """Read guest memory through its user address. Neither attributes nor guest_memfd are looked at.

        Linux: virt/kvm/kvm_main.c __kvm_read_guest_page(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        hva = self.gfn_to_hva_memslot_prot(self.gfn_to_memslot(kvm, gfn), gfn)
        if self.is_error_hva(hva):
            return -EFAULT
        return 0 if self.copy_from_user(hva + offset, length) else -EFAULT

    def kvm_write_guest_page(self, kvm: Kvm, gfn: Gfn, data: bytes, offset: int) -> Errno:
        """Write guest memory through its user address, then mark it dirty.

        Linux: virt/kvm/kvm_main.c __kvm_write_guest_page(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        slot = self.gfn_to_memslot(kvm, gfn)
        hva = self.gfn_to_hva_memslot(slot, gfn)
        if self.is_error_hva(hva):
            return -EFAULT
        if not self.copy_to_user(hva + offset, data):
            return -EFAULT
        self.mark_page_dirty_in_slot(kvm, slot, gfn)
        assert slot is not None
        self.note_write(slot, gfn)
        return 0

    @atomic
    def note_write(self, slot: KvmMemorySlot, gfn: Gfn) -> None:
        """Let the properties see that a write is done and marked.

        Linux: nothing; a tracepoint of the model.
        """
        self.trace_write_guest(slot, gfn << self.PAGE_SHIFT)

    def kvm_gfn_to_hva_cache_init(self, kvm: Kvm, ghc: GfnToHvaCache, gpa: Gpa) -> Errno:
        """Look up and remember the user address of gpa.

        Linux: virt/kvm/kvm_main.c kvm_gfn_to_hva_cache_init(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        Simplified: the structure lies within one page.
        """
        return self._kvm_gfn_to_hva_cache_init(self.kvm_memslots(kvm), ghc, gpa)

    def _kvm_gfn_to_hva_cache_init(self, slots: KvmMemslots, ghc: GfnToHvaCache, gpa: Gpa) -> Errno:
        """Look up and remember the user address that gpa has in a set.

        Linux: virt/kvm/kvm_main.c __kvm_gfn_to_hva_cache_init(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        ghc.generation = slots.generation
        ghc.gpa = gpa
        ghc.memslot = self.search_memslots(slots, self.gpa_to_gfn(gpa))
        hva = self.gfn_to_hva_memslot(ghc.memslot, self.gpa_to_gfn(gpa))
        if self.is_error_hva(hva):
            ghc.hva = self.KVM_HVA_ERR_BAD
            return -EFAULT
        ghc.hva = hva + self.offset_in_page(gpa)
        return 0

    def ghc_is_usable(self, kvm: Kvm, ghc: GfnToHvaCache) -> bool:
        """Make sure that the user address is of the current memslots.

        Linux: virt/kvm/kvm_main.c, in kvm_write_guest_offset_cached(), kvm_read_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        """
        slots = self.kvm_memslots(kvm)
        if slots.generation != ghc.generation and self._kvm_gfn_to_hva_cache_init(slots, ghc, ghc.gpa) != 0:
            return False
        return not self.is_error_hva(ghc.hva)

    def kvm_write_guest_cached(self, kvm: Kvm, ghc: GfnToHvaCache, data: bytes, offset: int = 0) -> Errno:
        """Write through a remembered user address; only the memslot generation has to be right.

        Linux: virt/kvm/kvm_main.c kvm_write_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        if not self.ghc_is_usable(kvm, ghc):
            return -EFAULT
        if not self.copy_to_user(ghc.hva + offset, data):
            return -EFAULT
        slot = ghc.memslot
        self.mark_page_dirty_in_slot(kvm, slot, self.gpa_to_gfn(ghc.gpa))
        assert slot is not None
        self.note_write(slot, self.gpa_to_gfn(ghc.gpa))
        return 0

    def kvm_read_guest_cached(self, kvm: Kvm, ghc: GfnToHvaCache, length: int) -> Errno:
        """Read through a remembered user address.

        Linux: virt/kvm/kvm_main.c kvm_read_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        if not self.ghc_is_usable(kvm, ghc):
            return -EFAULT
        return 0 if self.copy_from_user(ghc.hva, length) else -EFAULT

    def mark_page_dirty_in_slot(self, kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn) -> None:
        """Set the dirty bit of gfn if the slot logs.

        Linux: virt/kvm/kvm_main.c mark_page_dirty_in_slot(), v7.3.4.
        Locks: SRCU.
        Simplified: the bitmap only, no dirty ring.
        """
        if slot is not None and slot.log_dirty:
            slot.dirty_bitmap[gfn - slot.base_gfn].dirty = True

    # References

    def kvm_release_page_unused(self, pfn: Pfn) -> None:
        """Drop a reference of a page that was not used.

        Linux: include/linux/kvm_host.h kvm_release_page_unused(), v7.3.4.
        Simplified: device pfns have no struct page and no reference; all others have one.
        """
        if self.pfn_valid(pfn):
            self.put_page(self.mem_map[pfn])

    def kvm_release_page_clean(self, pfn: Pfn) -> None:
        """Drop a reference of a page that was used.

        Linux: virt/kvm/kvm_main.c kvm_release_page_clean(), v7.3.4.
        Simplified: as kvm_release_page_unused().
        """
        if self.pfn_valid(pfn):
            self.put_page(self.mem_map[pfn])

    # Bytes

    def host_read_guest(self, kvm: Kvm, gpa: Gpa, length: int) -> bytes:
        """The bytes that kvm_read_guest_page() has found readable, in direct execution.

        Linux: virt/kvm/kvm_main.c kvm_read_guest(), v7.3.4.
        Locks: SRCU.
        """
        gfn = self.gpa_to_gfn(gpa)
        hva = self.gfn_to_hva_memslot_prot(self.gfn_to_memslot(kvm, gfn), gfn)
        return self.host_get(hva + self.offset_in_page(gpa), length)
