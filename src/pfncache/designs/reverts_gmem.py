# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of fixes of guest_memfd and of memslots with one."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.mmu.mmu import Mmu
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Gfn, Pgoff
from pfncache.linux.include.uapi import KVM_MEM_GUEST_MEMFD
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.virt.kvm.guest_memfd.memory import GuestMemfd
from pfncache.linux.virt.kvm.kvm_main.ioctl import VmIoctl
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots


class RevertUnbindUnderLock(Patch, GuestMemfd):
    """Revert "KVM: guest_memfd: take the invalidate lock when unbinding a dying file" (1f3359c873db, 7.3.2)."""

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """A file that is being closed is nobody else's business, it was thought."""
        file = self.get_file_active(slot)
        if file is not None:
            with down_write(file.f_mapping.invalidate_lock):
                self._kvm_gmem_unbind(slot, file.private_data)
            self.fput(file)
            return
        dying = slot.gmem_file
        if dying is not None:
            self._kvm_gmem_unbind(slot, dying.private_data)


class RevertUnbindDying(Patch, GuestMemfd):
    """Revert "KVM: guest_memfd: Remove bindings on memslot deletion when gmem is dying" (ae431059e75d, 6.18)."""

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """A file that is being closed keeps its bindings."""
        file = self.get_file_active(slot)
        if file is not None:
            with down_write(file.f_mapping.invalidate_lock):
                self._kvm_gmem_unbind(slot, file.private_data)
            self.fput(file)


class RevertBindWhenReady(Patch, GuestMemfd):
    """Revert "KVM: guest_memfd: bind a memslot when it is ready" (3fe5d2944e5a, 7.3.2).

    The bindings are there before the architecture has allocated what an invalidation walks.
    """

    def kvm_gmem_prepare(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """kvm_gmem_bind(): check and bind at once."""
        ret = super().kvm_gmem_prepare(kvm, slot, file, pgoff)
        if ret != 0:
            return ret
        ret = super().kvm_gmem_commit(kvm, slot)
        if ret != 0:
            self.fput(file)
        return ret

    def kvm_gmem_commit(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Done already."""
        return 0


class RevertImmutableGmemSlots(Patch, Memslots):
    """Revert "KVM: Disallow toggling KVM_MEM_GUEST_MEMFD on an existing memslot" (9935df5333aa, 6.19)."""

    def kvm_memslot_is_immutable(self, old: KvmMemorySlot, gmem: File | None) -> bool:
        """The flag may be taken away; KVM_MR_FLAGS_ONLY then frees the old slot, bound as it is."""
        return gmem is not None


class RevertOverlapErrno(Patch, GuestMemfd):
    """A part of a guest_memfd that another slot has is EINVAL, as in 6.18.15; EEXIST in 7.2.12."""

    def kvm_gmem_prepare(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """kvm_gmem_bind(), which finds out."""
        ret = super().kvm_gmem_prepare(kvm, slot, file, pgoff)
        return -EINVAL if ret == -EEXIST else ret


class RevertGmemForAll(Patch, VmIoctl):
    """Only VMs with private memory have guest_memfd in their memslots; others may but create one (before 6.18)."""

    def check_memory_region_flags(self, kvm: Kvm, flags: int) -> Errno:
        """KVM_MEM_GUEST_MEMFD is a flag like any other that is not known."""
        if flags & KVM_MEM_GUEST_MEMFD != 0 and not self.kvm_arch_has_private_mem(kvm):
            return -EINVAL
        return super().check_memory_region_flags(kvm, flags)


class RevertInvalidateShared(Patch, GuestMemfd):
    """Revert "KVM: guest_memfd: Invalidate SHARED GPAs if gmem supports INIT_SHARED" (5d3341d684be, 6.18)."""

    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Private SPTEs, always."""
        return True


class RevertSrcuInZapRange(Patch, Mmu):
    """Revert "KVM: x86/mmu: hold SRCU in kvm_zap_gfn_range()" (b59a87c1ba3c, 7.3.2)."""

    def kvm_zap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Walk the memslots without a read section."""
        self.zap_gfns_of_memslots(kvm, start, end)
