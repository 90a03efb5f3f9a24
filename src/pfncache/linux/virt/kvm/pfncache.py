# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/pfncache.c: gfn_to_pfn_cache, a kernel mapping of one guest page that is kept between accesses.

A refresh makes a cache valid, an invalidation makes it invalid. A user takes gpc->lock for reading, calls
kvm_gpc_check(), and accesses the page through khva until it drops the lock; an invalidation takes the lock for writing,
and so waits for the users. A valid cache holds no reference on its page: the page is safe because an invalidation
precedes whatever takes the page away.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemslots
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, KVM_PFN_ERR_FAULT, Gpa, is_error_noslot_pfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held, lockdep_assert_held_write
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Sequence
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL, EIO
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock_irq, spin_lock, write_lock_irq
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Pfncache(KvmMm):
    """The functions of virt/kvm/pfncache.c, from invalidation and use to refresh, activation and deactivation."""

    # Invalidation

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate every cache whose user address lies in [start, end).

        Each cache is first checked under its lock for reading, so that the users of caches elsewhere are not delayed.

        Linux: virt/kvm/pfncache.c gfn_to_pfn_cache_invalidate_start(), v7.3.4.
        Locks: takes gpc_lock. An MMU notifier calls it after it raised mn_active_invalidate_count, before mmu_lock.
        """
        with spin_lock(kvm.gpc_lock):
            for gpc in kvm.gpcs:
                if kvm.gpc_list.reaches(gpc.list):
                    with read_lock_irq(gpc.lock):
                        hit = self.cache_in_range(gpc, start, end)
                    if hit:
                        with write_lock_irq(gpc.lock):
                            if self.cache_in_range(gpc, start, end):
                                gpc.valid = False

    @part_of("gfn_to_pfn_cache_invalidate_start")
    def cache_in_range(self, gpc: GfnToPfnCache, start: Hva, end: Hva) -> bool:
        """Return whether the cache is valid, and for an address in [start, end).

        Linux: virt/kvm/pfncache.c gfn_to_pfn_cache_invalidate_start(), v7.3.4.
        Locks: gpc.lock for reading or writing.
        """
        return gpc.valid and not is_error_noslot_pfn(gpc.pfn) and start <= gpc.uhva < end

    # Use

    def kvm_gpc_is_valid_len(self, gpa: Gpa, uhva: Hva, length: int) -> bool:
        """Return whether `length` bytes at the address lie within one page: at gpa, or at uhva if there is no gpa.

        Linux: virt/kvm/pfncache.c kvm_gpc_is_valid_len(), v7.3.4.
        """
        offset = self.offset_in_page(gpa) if not self.kvm_is_error_gpa(gpa) else self.offset_in_page(uhva)
        return offset + length <= self.PAGE_SIZE

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Return whether the cache may be used now, for `length` bytes.

        Linux: virt/kvm/pfncache.c kvm_gpc_check(), v7.3.4.
        Locks: gpc.lock for reading, SRCU.
        """
        kvm = gpc.kvm
        assert kvm is not None
        slots = self.kvm_memslots(kvm)
        if not gpc.active:
            return False
        # A GPA-based cache is good for the memslots with which it was resolved.
        if not self.kvm_is_error_gpa(gpc.gpa) and gpc.generation != slots.generation:
            return False
        if self.kvm_is_error_hva(gpc.uhva):
            return False
        if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
            return False
        return gpc.valid

    @atomic
    @part_of_caller
    def access_khva(self, gpc: GfnToPfnCache, write: bool) -> Pfn:
        """Read or write through the cache's kernel address, in one step; return the pfn that was reached.

        Linux: nothing; a dereference of gpc->khva, as the users of a cache do it.
        Locks: gpc.lock for reading, after kvm_gpc_check().
        """
        pfn = self.kernel_access(gpc.khva, write)
        self.trace_gpc_access(gpc)
        return pfn

    # Mapping

    def gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> Kva:
        """Map a pfn into the kernel; return NULL on failure.

        Linux: virt/kvm/pfncache.c gpc_map(), v7.3.4.
        Locks: refresh_lock.
        """
        self.note_map(gpc, pfn)
        if self.pfn_valid(pfn):
            return self.kmap(self.mem_map[pfn])
        return self.memremap(pfn)

    @atomic
    @part_of_caller
    def note_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """Report to the properties that a mapping is made.

        Linux: nothing; a tracepoint of the model.
        """
        self.trace_gpc_map(gpc, pfn)

    def gpc_unmap(self, pfn: Pfn, khva: Kva) -> None:
        """Undo gpc_map(); nothing to do if nothing was mapped.

        Linux: virt/kvm/pfncache.c gpc_unmap(), v7.3.4.
        Locks: refresh_lock, and no spinlock.
        """
        if is_error_noslot_pfn(pfn) or khva == 0:
            return
        if self.pfn_valid(pfn):
            self.kunmap(khva)
            return
        self.memunmap(khva)

    # Refresh

    @part_of_caller
    def read_gpc_seq(self, kvm: Kvm) -> Sequence:
        """Return the sequence that each end of an invalidation increments.

        Linux: virt/kvm/pfncache.c hva_to_pfn_retry(), mmu_notifier_retry_cache(), v7.3.4 (since 7.3.2: da260bcb56fe).
        """
        return kvm.gpc_invalidate_seq

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Return whether a lookup that began with this sequence may be out of date.

        An invalidation in progress shows in the count, one that has ended meanwhile shows in the sequence. The end of
        an invalidation increments the sequence before it lowers the count; so the count has to be read first here.

        Linux: virt/kvm/pfncache.c mmu_notifier_retry_cache(), v7.3.4.
        Locks: gpc.lock for writing.
        """
        if kvm.mn_active_invalidate_count != 0:
            return True
        return self.read_gpc_seq(kvm) != sequence

    @part_of("hva_to_pfn_retry")
    def must_retry_lookup(self, gpc: GfnToPfnCache, sequence: Sequence) -> bool:
        """Return whether the lookup since `sequence` has to be repeated.

        Linux: virt/kvm/pfncache.c hva_to_pfn_retry(), v7.3.4.
        Locks: gpc.lock for writing.
        """
        kvm = gpc.kvm
        assert kvm is not None
        return self.mmu_notifier_retry_cache(kvm, sequence)

    @part_of("hva_to_pfn_retry")
    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Return the pfn at `hva`, gpc.uhva read once under gpc.lock; with a reference if it has a struct page.

        Linux: virt/kvm/pfncache.c hva_to_pfn_retry(), v7.3.4.
        Locks: refresh_lock, SRCU.
        """
        return self.hva_to_pfn(self.PAGE_ALIGN_DOWN(hva))

    @part_of("__kvm_gpc_refresh")
    def assert_refresh_lock(self, gpc: GfnToPfnCache) -> None:
        """Assert that the cache's refreshes are serialized.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), hva_to_pfn_retry(), v7.3.4.
        """
        lockdep_assert_held(gpc.refresh_lock)

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        """Look up and map the page at gpc.uhva, until no invalidation has come in between; then publish it.

        Linux: virt/kvm/pfncache.c hva_to_pfn_retry(), v7.3.4.
        Locks: refresh_lock; gpc.lock for writing on entry and on return, dropped in between.
        Returns: 0, or -EFAULT if there is no page or no mapping.
        """
        self.assert_refresh_lock(gpc)
        lockdep_assert_held_write(gpc.lock)
        kvm = gpc.kvm
        assert kvm is not None
        old_khva: Kva = self.PAGE_ALIGN_DOWN(gpc.khva)
        new_pfn: Pfn = KVM_PFN_ERR_FAULT
        new_khva: Kva = 0
        hva = gpc.uhva
        # gpa, uhva and generation are the new ones already: kvm_gpc_check() must not succeed with the old khva.
        gpc.valid = False
        while True:
            sequence = self.read_gpc_seq(kvm)
            gpc.lock.write_unlock_irq()
            if not is_error_noslot_pfn(new_pfn):
                # The page of the last iteration is out of date.
                if new_khva != old_khva:
                    self.gpc_unmap(new_pfn, new_khva)
                self.kvm_release_page_unused(new_pfn)
            new_pfn = self.lookup_pfn(gpc, hva)
            if is_error_noslot_pfn(new_pfn):
                gpc.lock.write_lock_irq()
                return -EFAULT
            # gpc.pfn is stable without gpc.lock, as every writer of it holds refresh_lock.
            new_khva = old_khva if new_pfn == gpc.pfn else self.gpc_map(gpc, new_pfn)
            if new_khva == 0:
                self.kvm_release_page_unused(new_pfn)
                gpc.lock.write_lock_irq()
                return -EFAULT
            gpc.lock.write_lock_irq()
            WARN_ON_ONCE(gpc.valid, "gpc->valid although refresh_lock is held")
            if not self.must_retry_lookup(gpc, sequence):
                break
        self.publish_pfn(gpc, new_pfn, new_khva)
        return 0

    @part_of("hva_to_pfn_retry")
    def publish_pfn(self, gpc: GfnToPfnCache, pfn: Pfn, khva: Kva) -> None:
        """Publish the page, and drop the reference of the lookup: from here on only invalidation protects khva.

        Linux: virt/kvm/pfncache.c hva_to_pfn_retry(), v7.3.4.
        Locks: refresh_lock, gpc.lock for writing.
        """
        gpc.valid = True
        gpc.pfn = pfn
        gpc.khva = khva + self.offset_in_page(gpc.uhva)
        self.tag_khva(gpc)
        self.kvm_release_page_clean(pfn)

    @atomic
    @part_of_caller
    def tag_khva(self, gpc: GfnToPfnCache) -> None:
        """Store the incarnation of the page in the cache, as KASAN tags a pointer.

        Linux: nothing; for the reports of the model.
        """
        gpc.tag = self.mem_map[gpc.pfn].incarnation if self.pfn_valid(gpc.pfn) else 0

    @part_of("__kvm_gpc_refresh")
    def may_keep_pfn(self, gpc: GfnToPfnCache, hva_change: bool) -> bool:
        """Return whether the cache may keep its pfn: it is valid, and the user address is the same as before.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4.
        Locks: refresh_lock, gpc.lock for writing.
        """
        return gpc.valid and not hva_change

    @part_of("__kvm_gpc_refresh")
    def may_refresh(self, gpc: GfnToPfnCache) -> bool:
        """Return whether the cache may be refreshed: only an active one is on gpc_list, where invalidations find it.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4 (since 6.1: ecbcf030b456).
        Locks: refresh_lock, gpc.lock for writing.
        """
        return gpc.active

    @part_of("__kvm_gpc_refresh")
    def move_khva(self, gpc: GfnToPfnCache, old_khva: Kva) -> None:
        """Update the offset of khva in its page, which stays the same.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4 (since 6.1: 8332f0ed4f18).
        Locks: refresh_lock, gpc.lock for writing.
        """
        gpc.khva = old_khva + self.offset_in_page(gpc.uhva)

    @part_of("__kvm_gpc_refresh")
    def resolve_gpa(self, gpc: GfnToPfnCache, slots: KvmMemslots, gpa: Gpa) -> Errno:
        """Store the memslot and the user address of gpa in the cache, the address without its offset in the page.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4.
        Locks: refresh_lock, gpc.lock for writing, SRCU.
        Returns: 0, or -EFAULT if there is no slot.
        """
        gfn = self.gpa_to_gfn(gpa)
        gpc.gpa = gpa
        gpc.generation = slots.generation
        gpc.memslot = self._gfn_to_memslot(slots, gfn)
        gpc.uhva = self.gfn_to_hva_memslot(gpc.memslot, gfn)
        return -EFAULT if self.kvm_is_error_hva(gpc.uhva) else 0

    @part_of("__kvm_gpc_refresh")
    def needs_memslot(self, gpc: GfnToPfnCache, slots: KvmMemslots, gpa: Gpa) -> bool:
        """Return whether the memslot and the user address of gpa have to be looked up.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4.
        Locks: refresh_lock, gpc.lock for writing, SRCU.
        """
        return gpa != gpc.gpa or gpc.generation != slots.generation or self.kvm_is_error_hva(gpc.uhva)

    def _kvm_gpc_refresh(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva) -> Errno:
        """Resolve the cache for gpa, or for uhva when gpa is INVALID_GPA.

        Linux: virt/kvm/pfncache.c __kvm_gpc_refresh(), v7.3.4.
        Locks: refresh_lock, SRCU.
        Returns: 0, -EINVAL (inactive, or not exactly one address given) or -EFAULT.
        """
        kvm = gpc.kvm
        assert kvm is not None
        # Reached by a refresh of a cache that was never activated.
        if self.kvm_is_error_gpa(gpa) == self.kvm_is_error_hva(uhva):
            WARN_ON_ONCE(True, "__kvm_gpc_refresh() is given both gpa and uhva, or neither")
            return -EINVAL
        self.assert_refresh_lock(gpc)
        gpc.lock.write_lock_irq()
        if not self.may_refresh(gpc):
            gpc.lock.write_unlock_irq()
            return -EINVAL
        old_pfn = gpc.pfn
        old_khva = self.PAGE_ALIGN_DOWN(gpc.khva)
        old_uhva = self.PAGE_ALIGN_DOWN(gpc.uhva)
        ret: Errno = 0
        hva_change: bool = False
        page_offset: Hva = 0
        if self.kvm_is_error_gpa(gpa):
            page_offset = self.offset_in_page(uhva)
            gpc.gpa = INVALID_GPA
            gpc.memslot = None
            gpc.uhva = self.PAGE_ALIGN_DOWN(uhva)
            hva_change = gpc.uhva != old_uhva
        else:
            page_offset = self.offset_in_page(gpa)
            # The pointer is loaded once: an update may publish the other set at any time.
            slots = self.kvm_memslots(kvm)
            if self.needs_memslot(gpc, slots, gpa):
                ret = self.resolve_gpa(gpc, slots, gpa)
                if ret == 0:
                    # The user address may be the same although the generation differs.
                    hva_change = gpc.uhva != old_uhva
            else:
                gpc.uhva = old_uhva
        if ret == 0:
            gpc.uhva = gpc.uhva + page_offset
            if self.may_keep_pfn(gpc, hva_change):
                self.move_khva(gpc, old_khva)
                gpc.lock.write_unlock_irq()
                return 0
            ret = self.hva_to_pfn_retry(gpc)
        if ret != 0:
            gpc.valid = False
            gpc.pfn = KVM_PFN_ERR_FAULT
            gpc.khva = 0
        unmap_old = old_pfn != gpc.pfn
        gpc.lock.write_unlock_irq()
        if unmap_old:
            self.gpc_unmap(old_pfn, old_khva)
        return ret

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Make the cache valid again, for the address for which it was activated.

        Linux: virt/kvm/pfncache.c kvm_gpc_refresh(), v7.3.4.
        Locks: SRCU; no spinlock.
        Returns: 0, -EINVAL or -EFAULT.
        """
        with mutex(gpc.refresh_lock):
            if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
                return -EINVAL
            # A GPA-based cache has a uhva too, but its GPA has to be resolved again.
            uhva = gpc.uhva if self.kvm_is_error_gpa(gpc.gpa) else self.KVM_HVA_ERR_BAD
            return self._kvm_gpc_refresh(gpc, gpc.gpa, uhva)

    # Activation and deactivation

    def kvm_gpc_init(self, gpc: GfnToPfnCache, kvm: Kvm) -> None:
        """Make a zeroed cache ready for activation.

        Linux: virt/kvm/pfncache.c kvm_gpc_init(), v7.3.4.
        """
        gpc.kvm = kvm
        gpc.pfn = KVM_PFN_ERR_FAULT
        gpc.gpa = INVALID_GPA
        gpc.uhva = self.KVM_HVA_ERR_BAD
        gpc.active = False
        gpc.valid = False

    @part_of("__kvm_gpc_activate")
    def list_and_activate(self, gpc: GfnToPfnCache) -> None:
        """Add the cache to gpc_list, then make it active: an invalidation has to find it before anything is mapped.

        Linux: virt/kvm/pfncache.c __kvm_gpc_activate(), v7.3.4.
        Locks: refresh_lock.
        """
        kvm = gpc.kvm
        assert kvm is not None
        with spin_lock(kvm.gpc_lock):
            kvm.gpc_list.list_add(gpc.list)
        with write_lock_irq(gpc.lock):
            gpc.active = True

    def _kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva, length: int) -> Errno:
        """Activate the cache for gpa, or for uhva when gpa is INVALID_GPA, and refresh it.

        Linux: virt/kvm/pfncache.c __kvm_gpc_activate(), v7.3.4.
        Locks: SRCU; no spinlock.
        Returns: 0, -EINVAL, -EIO or -EFAULT. The cache is active even if its address cannot be resolved.
        """
        if not self.kvm_gpc_is_valid_len(gpa, uhva, length):
            return -EINVAL
        with mutex(gpc.refresh_lock):
            if not gpc.active:
                if gpc.valid:
                    WARN_ON_ONCE(True, "KVM_BUG_ON(gpc->valid)")
                    return -EIO
                self.list_and_activate(gpc)
            return self._kvm_gpc_refresh(gpc, gpa, uhva)

    def kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, length: int) -> Errno:
        """Activate the cache for a guest physical address.

        Linux: virt/kvm/pfncache.c kvm_gpc_activate(), v7.3.4.
        Locks: SRCU; no spinlock.
        Returns: 0, -EINVAL, -EIO or -EFAULT.
        """
        if self.kvm_is_error_gpa(gpa):
            WARN_ON_ONCE(True, "WARN_ON_ONCE(kvm_is_error_gpa(gpa))")
            return -EINVAL
        return self._kvm_gpc_activate(gpc, gpa, self.KVM_HVA_ERR_BAD, length)

    def kvm_gpc_activate_hva(self, gpc: GfnToPfnCache, uhva: Hva, length: int) -> Errno:
        """Activate the cache for a user address, independently of the memslots.

        Linux: virt/kvm/pfncache.c kvm_gpc_activate_hva(), v7.3.4.
        Locks: SRCU; no spinlock.
        Returns: 0, -EINVAL, -EIO or -EFAULT.
        """
        if uhva + length > self.PAGE_OFFSET:
            return -EINVAL
        return self._kvm_gpc_activate(gpc, INVALID_GPA, uhva, length)

    def kvm_gpc_deactivate(self, gpc: GfnToPfnCache) -> None:
        """Take the cache off gpc_list and drop its mapping; gpa, uhva and generation stay.

        Linux: virt/kvm/pfncache.c kvm_gpc_deactivate(), v7.3.4.
        Locks: no spinlock.
        """
        kvm = gpc.kvm
        assert kvm is not None
        with mutex(gpc.refresh_lock):
            if gpc.active:
                with write_lock_irq(gpc.lock):
                    gpc.active = False
                    gpc.valid = False
                    old_khva = self.PAGE_ALIGN_DOWN(gpc.khva)
                    gpc.khva = 0
                    old_pfn = gpc.pfn
                    gpc.pfn = KVM_PFN_ERR_FAULT
                with spin_lock(kvm.gpc_lock):
                    kvm.gpc_list.list_del(gpc.list)
                self.gpc_unmap(old_pfn, old_khva)
