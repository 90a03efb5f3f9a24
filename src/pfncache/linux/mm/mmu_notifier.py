# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmu_notifier.c: subscribers are notified of changes of a process's page tables."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock


class MmuNotifier(Mm):
    """The functions of mm/mmu_notifier.c; the subscribers are VMs."""

    def mmu_notifier_invalidate_range_start(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Notify every subscriber that PTEs are about to change.

        Linux: include/linux/mmu_notifier.h mmu_notifier_invalidate_range_start(), mm/mmu_notifier.c
        __mmu_notifier_invalidate_range_start(), v7.3.4.
        Locks: may sleep, as KVM's callbacks need not.
        """
        might_sleep()
        with srcu_read_lock(mm.notifier_srcu):
            for kvm in mm.notifiers:
                if kvm.mmu_notifier_registered:
                    self.kvm_mmu_notifier_invalidate_range_start(kvm, start, end)

    def mmu_notifier_invalidate_range_end(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Notify every subscriber that PTEs have changed.

        Linux: include/linux/mmu_notifier.h mmu_notifier_invalidate_range_end(), mm/mmu_notifier.c
        __mmu_notifier_invalidate_range_end(), v7.3.4.
        Locks: may sleep.
        Simplified: a subscriber that unregisters in between is not notified; Linux balances its count at release.
        """
        might_sleep()
        with srcu_read_lock(mm.notifier_srcu):
            for kvm in mm.notifiers:
                if kvm.mmu_notifier_registered:
                    self.kvm_mmu_notifier_invalidate_range_end(kvm, start, end)

    def mmu_notifier_unregister(self, kvm: Kvm, mm: MmStruct) -> None:
        """Unsubscribe a VM: call its release unless that has happened, then wait for running notifications.

        Linux: mm/mmu_notifier.c mmu_notifier_unregister(), v7.3.4.
        """
        if kvm.mmu_notifier_registered:
            with srcu_read_lock(mm.notifier_srcu):
                self.kvm_mmu_notifier_release(kvm)
            kvm.mmu_notifier_registered = False
        mm.notifier_srcu.synchronize()

    @part_of("__mmu_notifier_release")
    @atomic
    def any_vm_subscribes(self, mm: MmStruct) -> bool:
        """Return whether the list of subscribers is not empty.

        Linux: mm/mmu_notifier.c __mmu_notifier_release(), v7.3.4.
        """
        found = False
        for kvm in mm.notifiers:
            found = found or kvm.mmu_notifier_registered
        return found

    def mmu_notifier_release(self, mm: MmStruct) -> None:
        """Unsubscribe every VM of an address space that exits: call its release, then wait for running notifications.

        If no VM subscribes any more, it waits for nothing.

        Linux: include/linux/mmu_notifier.h mmu_notifier_release(), mm/mmu_notifier.c __mmu_notifier_release(),
        mn_hlist_release(), v7.3.4.
        """
        if not self.any_vm_subscribes(mm):
            return
        with srcu_read_lock(mm.notifier_srcu):
            for kvm in mm.notifiers:
                if kvm.mmu_notifier_registered:
                    self.kvm_mmu_notifier_release(kvm)
            for kvm in mm.notifiers:
                kvm.mmu_notifier_registered = False
        mm.notifier_srcu.synchronize()
