# SPDX-License-Identifier: GPL-2.0-only
"""Small user-like patches of the clock."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots


class Unused(Patch, X86):
    """Change what a clock scenario never calls."""

    def kvm_arch_gmem_reclaim(self, pfn: int) -> None:
        """Do nothing."""


class SkipUpdate(Patch, X86):
    """Change what it does call."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Do nothing."""


class Deadlock(Patch, X86):
    """Take a mutex that is held."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Lock it again: the caller holds it."""
        vcpu.mutex.lock()


class Unlock(Patch, X86):
    """Release a lock that is not held."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Unlock rq.lock without having it."""
        vcpu.rq.lock.unlock()


class Follow(Patch, X86):
    """Follow a pointer that is NULL."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """The cache for the user address is not used."""
        slot = vcpu.pv_time_hva.memslot
        assert slot is not None
        slot.npages = 1


class Spin(Patch, X86):
    """Never end."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """The request was just consumed."""
        while not vcpu.clock_update:
            pass


class Recurse(Patch, X86):
    """Recurse."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Never return."""
        self.kvm_guest_time_update(vcpu)


class MissingName(Patch, Memslots):
    """Break the making of the first slot."""

    def kvm_replace_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Use names that do not exist."""
        kvm.no_such_member = new  # type: ignore[attr-defined]
        self.no_such_function(kvm)  # type: ignore[attr-defined]


class DeadlockOnSlot(Patch, Memslots):
    """Block while the first slot is made."""

    def kvm_replace_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """slots_lock is held."""
        kvm.slots_lock.lock()


class SplatOnSlot(Patch, Memslots):
    """Break a rule while the first slot is made."""

    def kvm_replace_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Release mn_invalidate_lock, which is not held."""
        kvm.mn_invalidate_lock.unlock()


class SpinOnNothing(Patch, X86):
    """Loop on a local variable."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Never return."""
        turns: int = 0
        while True:
            turns = 1 - turns


class SpinAtOnce(Patch, X86):
    """The same before anything else is done."""

    def set_msr_system_time(self, vcpu: KvmVcpu, gpa: int, enable: bool) -> int:
        """Never return."""
        turns: int = 0
        while True:
            turns = 1 - turns
