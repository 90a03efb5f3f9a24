# SPDX-License-Identifier: GPL-2.0-only
"""Case 42: a patch whose method is misspelt, so that it replaces nothing and nothing calls it.

Right answer: a usage error that names the nearest function, not a verdict.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier


class Typo(Patch, KvmMmuNotifier):
    """KVM: end an invalidation, in a function with a wrong name."""

    def kvm_mmu_notifier_invalidate_range_stop(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Do nothing."""


typo = mainline_7_3 + [Typo]
