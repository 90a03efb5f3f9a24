# SPDX-License-Identifier: GPL-2.0-only
"""Case 27b: as case 27, on the sequence of the kernel that the patches were written for, before da260bcb56fe.

Right verdict: holds against its base. Caches of user addresses in no memslot keep the base's own defect: their
invalidations do not move the sequence. In xen/hva-cache-munmap the base's refresh succeeds by that defect alone.
"""

from __future__ import annotations

from typing import ClassVar

from pfncache.designs.catalogue import Patch, mainline_7_2
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, is_error_noslot_pfn
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Sequence
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock_irq
from pfncache.linux.vmlinux import Vmlinux


class RetryInRange2024(Patch, Vmlinux):
    """KVM: pfncache: range-based, lockless invalidation (alternative of October 2024)."""

    unreachable: ClassVar = {CACHE_REFRESHED: "a refresh waits for the munmap(), and then there is no page"}

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate the caches under mn_invalidate_lock."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
            self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        self.handle_hva_range_start(kvm, start, end)

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Look at each cache without its lock first."""
        if kvm.mn_active_invalidate_count == 1:
            kvm.mn_invalidate_range_start = start
            kvm.mn_invalidate_range_end = end
        else:
            kvm.mn_invalidate_range_start = min(kvm.mn_invalidate_range_start, start)
            kvm.mn_invalidate_range_end = max(kvm.mn_invalidate_range_end, end)
        with spin_lock(kvm.gpc_lock):
            for gpc in kvm.gpcs:
                if kvm.gpc_list.reaches(gpc.list):
                    if gpc.valid and start <= gpc.uhva < end:
                        with write_lock_irq(gpc.lock):
                            if gpc.valid and start <= gpc.uhva < end:
                                gpc.valid = False

    def gpc_in_progress(self, gpc: GfnToPfnCache) -> bool:
        """Return whether an invalidation of the cache's address is in progress."""
        kvm = gpc.kvm
        assert kvm is not None
        if kvm.mn_active_invalidate_count == 0:
            return False
        return kvm.mn_invalidate_range_start <= gpc.uhva and gpc.uhva < kvm.mn_invalidate_range_end

    def must_retry_lookup(self, gpc: GfnToPfnCache, sequence: Sequence) -> bool:
        """Return whether one is in progress, or has ended since."""
        kvm = gpc.kvm
        assert kvm is not None
        if self.gpc_in_progress(gpc):
            return True
        return self.read_gpc_seq(kvm) != sequence

    def hva_to_pfn_retry(self, gpc: GfnToPfnCache) -> Errno:
        """Wait, take the snapshot, look up, publish, test."""
        self.assert_refresh_lock(gpc)
        kvm = gpc.kvm
        assert kvm is not None
        old_khva: Kva = self.PAGE_ALIGN_DOWN(gpc.khva)
        new_pfn: Pfn = KVM_PFN_ERR_FAULT
        new_khva: Kva = 0
        while True:
            gpc.valid = False
            gpc.lock.write_unlock_irq()
            if not is_error_noslot_pfn(new_pfn):
                if new_khva != old_khva:
                    self.gpc_unmap(new_pfn, new_khva)
                self.kvm_release_page_unused(new_pfn)
            while self.gpc_in_progress(gpc):
                pass
            sequence = self.read_gpc_seq(kvm)
            new_pfn = self.lookup_pfn(gpc, gpc.uhva)
            if is_error_noslot_pfn(new_pfn):
                gpc.lock.write_lock_irq()
                return -EFAULT
            new_khva = old_khva if new_pfn == gpc.pfn else self.gpc_map(gpc, new_pfn)
            if new_khva == 0:
                self.kvm_release_page_unused(new_pfn)
                gpc.lock.write_lock_irq()
                return -EFAULT
            gpc.lock.write_lock_irq()
            WARN_ON_ONCE(gpc.valid, "gpc->valid although refresh_lock is held")
            gpc.valid = True
            if not self.must_retry_lookup(gpc, sequence):
                break
        self.publish_pfn(gpc, new_pfn, new_khva)
        return 0


retry_2024_on_7_2 = mainline_7_2 + [RetryInRange2024]
