# SPDX-License-Identifier: GPL-2.0-only
"""Case 21: refresh_lock protects all but what readers need; gpc->lock is held only to invalidate and to publish.

Known from: "KVM: pfncache: clean up rwlock abuse" in the discussion of v13 21/21 (2024-02), posted and never applied.
Right verdict: holds against its base, whose own violations are unchanged: no bug is known in it.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, KVM_PFN_ERR_FAULT, Gpa, is_error_noslot_pfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.kernel.locking.spinlock import write_lock_irq
from pfncache.linux.virt.kvm.pfncache import Pfncache


class CleanUpRwlock(Patch, Pfncache):
    """KVM: pfncache: clean up rwlock abuse."""

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        """Look up without gpc.lock; make the retry test and publish under it."""
        lockdep_assert_held(gpc.refresh_lock)
        kvm = gpc.kvm
        assert kvm is not None
        old_khva: Kva = self.PAGE_ALIGN_DOWN(gpc.khva)
        new_pfn: Pfn = KVM_PFN_ERR_FAULT
        new_khva: Kva = 0
        while True:
            sequence = self.read_gpc_seq(kvm)
            if not is_error_noslot_pfn(new_pfn):
                if new_khva != old_khva:
                    self.gpc_unmap(new_pfn, new_khva)
                self.kvm_release_page_unused(new_pfn)
            new_pfn = self.lookup_pfn(gpc, gpc.uhva)
            if is_error_noslot_pfn(new_pfn):
                return -EFAULT
            new_khva = old_khva if new_pfn == gpc.pfn else self.gpc_map(gpc, new_pfn)
            if new_khva == 0:
                self.kvm_release_page_unused(new_pfn)
                return -EFAULT
            with write_lock_irq(gpc.lock):
                WARN_ON_ONCE(gpc.valid, "gpc->valid although refresh_lock is held")
                again = self.must_retry_lookup(gpc, sequence)
                if not again:
                    self.publish_pfn(gpc, new_pfn, new_khva)
            if not again:
                return 0

    def _kvm_gpc_refresh(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva) -> Errno:
        """Hold gpc.lock only where readers look."""
        kvm = gpc.kvm
        assert kvm is not None
        if self.kvm_is_error_gpa(gpa) == self.kvm_is_error_hva(uhva):
            WARN_ON_ONCE(True, "__kvm_gpc_refresh() is given both gpa and uhva, or neither")
            return -EINVAL
        if not gpc.active:
            return -EINVAL
        old_pfn = gpc.pfn
        old_khva = self.PAGE_ALIGN_DOWN(gpc.khva)
        old_uhva = self.PAGE_ALIGN_DOWN(gpc.uhva)
        ret: Errno = 0
        hva_change: bool = False
        page_offset: Hva = 0
        gpc.lock.write_lock_irq()
        if self.kvm_is_error_gpa(gpa):
            page_offset = self.offset_in_page(uhva)
            gpc.gpa = INVALID_GPA
            gpc.memslot = None
            gpc.uhva = self.PAGE_ALIGN_DOWN(uhva)
            hva_change = gpc.uhva != old_uhva
        else:
            page_offset = self.offset_in_page(gpa)
            slots = self.kvm_memslots(kvm)
            if self.needs_memslot(gpc, slots, gpa):
                ret = self.resolve_gpa(gpc, slots, gpa)
                if ret == 0:
                    hva_change = gpc.uhva != old_uhva
            else:
                gpc.uhva = old_uhva
        if ret == 0:
            gpc.uhva = gpc.uhva + page_offset
            if self.may_keep_pfn(gpc, hva_change):
                self.move_khva(gpc, old_khva)
                gpc.lock.write_unlock_irq()
                return 0
            gpc.valid = False
            gpc.lock.write_unlock_irq()
            ret = self.hva_to_pfn_retry(gpc)
            gpc.lock.write_lock_irq()
        if ret != 0:
            gpc.valid = False
            gpc.pfn = KVM_PFN_ERR_FAULT
            gpc.khva = 0
        unmap_old = old_pfn != gpc.pfn
        gpc.lock.write_unlock_irq()
        if unmap_old:
            self.gpc_unmap(old_pfn, old_khva)
        return ret


rwlock = mainline_7_3 + [CleanUpRwlock]
