# SPDX-License-Identifier: GPL-2.0-only
"""Case 02: memslots change between the start and the end of an invalidation.

Known from: 52ac8b358b0c ("KVM: Block memslot updates across range_start() and range_end()") in v5.15. Without it, a
slot that comes or goes in between unbalances mmu_invalidate_in_progress.
Right verdict: violated, counter-imbalance or the KVM_BUG_ON() of the same counter.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemslots
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots


class PublishAtOnce(Patch, Memslots):
    """Revert "KVM: Block memslot updates across range_start() and range_end()"."""

    def install_memslots(self, kvm: Kvm, slots: KvmMemslots) -> None:
        """Publish the set, whatever is in progress."""
        with spin_lock(kvm.mn_invalidate_lock):
            kvm.memslots = slots


no_block = mainline_7_3 + [PublishAtOnce]
