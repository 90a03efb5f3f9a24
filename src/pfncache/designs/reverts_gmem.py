# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of fixes of guest_memfd and of memslots with one."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.mmu.mmu import Mmu
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi import KVM_MEM_GUEST_MEMFD
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.guest_memfd.binding import GuestMemfdBinding
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.guest_memfd.page import GuestMemfdPage
from pfncache.linux.virt.kvm.kvm_main.memory_region import MemoryRegion


class RevertUnbindUnderLock(Patch, GuestMemfdBinding, GuestMemfdPage):
    """Revert "KVM: guest_memfd: take the invalidate lock when unbinding a dying file" (1f3359c873db, 7.3.2)."""

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """Take invalidate_lock only if the file is not being closed."""
        file = self.kvm_gmem_get_file(slot)
        if file is not None:
            with down_write(file.f_mapping.invalidate_lock):
                self.erase_bindings(slot, file.private_data)
            self.fput(file)
            return
        dying = slot.gmem_file
        if dying is not None:
            self.erase_bindings(slot, dying.private_data)


class RevertUnbindDying(Patch, GuestMemfdBinding, GuestMemfdPage):
    """Revert "KVM: guest_memfd: Remove bindings on memslot deletion when gmem is dying" (ae431059e75d, 6.18)."""

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """Keep the bindings of a file that is being closed."""
        file = self.kvm_gmem_get_file(slot)
        if file is not None:
            with down_write(file.f_mapping.invalidate_lock):
                self.erase_bindings(slot, file.private_data)
            self.fput(file)


class RevertBindWhenReady(Patch, GuestMemfdBinding):
    """Revert "KVM: guest_memfd: bind a memslot when it is ready" (3fe5d2944e5a, 7.3.2).

    What an invalidation walks is the slot's rmap, of a VM with shadow roots: with nested guests, or without TDP.

    The bindings are stored before the architecture has allocated the metadata that an invalidation walks. 7.2.12 also
    drops the file's reference there, and unbinds if the architecture's preparation fails; it does not in the model.
    """

    def kvm_gmem_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Check and bind at once, as kvm_gmem_bind() did."""
        ret = super().kvm_gmem_prepare_memory_region(kvm, slot, file, pgoff)
        if ret != 0:
            return ret
        ret = super().kvm_gmem_commit_memory_region(kvm, slot)
        if ret != 0:
            # kvm_gmem_bind() looked for bindings before it stored the file; no one else sees the slot yet.
            slot.gmem_file = None
            slot.gmem_pgoff = 0
            slot.gmem_only = False
            self.fput(file)
        return ret

    def kvm_gmem_commit_memory_region(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Do nothing: the slot is bound."""
        return 0


class RevertImmutableGmemSlots(Patch, MemoryRegion):
    """Revert "KVM: Disallow toggling KVM_MEM_GUEST_MEMFD on an existing memslot" (9935df5333aa, 6.19).

    With it goes what kvm_commit_memory_region() of 7.2.12 and 7.3.4 would do with such a slot: warn and unbind. That of
    6.12.117 does not.
    """

    def slot_is_immutable(self, old: KvmMemorySlot, flags: int) -> bool:
        """Allow the flag to be cleared."""
        return flags & KVM_MEM_GUEST_MEMFD != 0

    def unbind_replaced_slot(self, old: KvmMemorySlot) -> None:
        """Leave the bindings of the old slot, which is freed."""


class RevertOverlapErrno(Patch, GuestMemfdBinding):
    """Return -EINVAL for a part of a guest_memfd that another slot has, as 6.18.15 does; 7.2.12 returns -EEXIST."""

    def kvm_gmem_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Return -EINVAL, as kvm_gmem_bind() did."""
        ret = super().kvm_gmem_prepare_memory_region(kvm, slot, file, pgoff)
        return -EINVAL if ret == -EEXIST else ret


class RevertGmemForAll(Patch, MemoryRegion):
    """Refuse guest_memfd in memslots of VMs without private memory, which may only create one (before 6.18)."""

    def check_memory_region_flags(self, kvm: Kvm, flags: int) -> Errno:
        """Treat KVM_MEM_GUEST_MEMFD as an unknown flag."""
        if flags & KVM_MEM_GUEST_MEMFD != 0 and not self.kvm_arch_has_private_mem(kvm):
            return -EINVAL
        return super().check_memory_region_flags(kvm, flags)


class RevertInvalidateShared(Patch, GuestMemfdInvalidation):
    """Revert "KVM: guest_memfd: Invalidate SHARED GPAs if gmem supports INIT_SHARED" (5d3341d684be, 6.18).

    It changes nothing on x86: only TDX's roots go by the filter, and a VM with private memory, as a TDX VM, has no
    guest_memfd with INIT_SHARED.
    """

    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Zap private SPTEs only."""
        return True


class RevertSrcuInZapRange(Patch, Mmu):
    """Revert "KVM: x86/mmu: hold SRCU in kvm_zap_gfn_range()" (b59a87c1ba3c, 7.3.2).

    The memslots are read for their rmaps, which a VM has that has run a nested guest, or without TDP.
    """

    def kvm_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Walk the rmaps of the memslots without a read section."""
        self.zap_gfns(kvm, start, end)


class HoldSrcuInZapRange(Patch, Mmu):
    """KVM: x86/mmu: hold SRCU in kvm_zap_gfn_range() (b59a87c1ba3c), as in 6.12.117."""

    def kvm_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Walk the rmaps of the memslots in a read section."""
        with srcu_read_lock(kvm.srcu):
            self.zap_gfns(kvm, start, end)
