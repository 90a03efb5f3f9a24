# SPDX-License-Identifier: GPL-2.0-only
"""Case 03: refresh_lock is released twice.

Known from: the kernel test robot's report "bad_unlock_balance_detected" of 2024-02-19, on v13 of "KVM: pfncache:
simplify locking and make more self-contained".
Right verdict: violated, lock-imbalance, in the plainest scenario: kvm_clock_test had it with one thread.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.virt.kvm.pfncache import Pfncache


class UnlockTwice(Patch, Pfncache):
    """KVM: pfncache: simplify locking, as the robot got it."""

    def _kvm_gpc_refresh(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva) -> Errno:
        """Drop the lock that the caller's guard drops as well."""
        ret = super()._kvm_gpc_refresh(gpc, gpa, uhva)
        gpc.refresh_lock.unlock()
        return ret


robot = mainline_7_3 + [UnlockTwice]
