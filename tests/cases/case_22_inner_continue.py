# SPDX-License-Identifier: GPL-2.0-only
"""Case 22: a `continue` of the inner loop takes gpc->lock again and again.

Known from: a review of 2024-10-16 of v3 2/5 "KVM: pfncache: Implement range-based invalidation check".
Right verdict: violated, deadlock: the task waits for the lock that it holds.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.virt.kvm.pfncache import Pfncache


class InnerContinue(Patch, Pfncache):
    """KVM: pfncache: Implement range-based invalidation check, v3, with the inner continue."""

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Wait for invalidations in progress; gpc.lock is not held here."""
        kvm = gpc.kvm
        assert kvm is not None
        while kvm.mn_active_invalidate_count != 0:
            gpc.lock.write_lock_irq()
            continue
        return super().lookup_pfn(gpc, hva)


inner = mainline_7_3 + [InnerContinue]
