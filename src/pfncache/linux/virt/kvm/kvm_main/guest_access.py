# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, accesses to guest memory through user addresses: kvm_read_guest() and kvm_write_guest()."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import (
    DirtyBitmap,
    GfnToHvaCache,
    Kvm,
    KvmMemorySlot,
    KvmMemslots,
    KvmVcpu,
)
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestAccess(KvmMm):
    """The functions that copy from and to guest memory, and that mark what they wrote dirty."""

    def kvm_read_guest_page(self, kvm: Kvm, gfn: Gfn, offset: int, length: int) -> Errno:
        """Read guest memory through its user address; memory attributes and guest_memfd play no part.

        Linux: virt/kvm/kvm_main.c kvm_read_guest_page(), __kvm_read_guest_page(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        hva = self.gfn_to_hva_memslot_prot(self.gfn_to_memslot(kvm, gfn), gfn)
        if self.kvm_is_error_hva(hva):
            return -EFAULT
        return 0 if self.copy_from_user(hva + offset, length) else -EFAULT

    def kvm_vcpu_read_guest_atomic(self, vcpu: KvmVcpu, gpa: Gpa, length: int) -> Errno:
        """Read guest memory through its user address, without handling a page fault.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_read_guest_atomic(), __kvm_read_guest_atomic(), v7.3.4.
        Locks: SRCU; a spinlock may be held.
        Returns: 0 or -EFAULT.
        Simplified: the vCPU's own pointer to the slot that was used last is left out: kvm_vcpu_gfn_to_memslot().
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gfn = self.gpa_to_gfn(gpa)
        hva = self.gfn_to_hva_memslot_prot(self.gfn_to_memslot(kvm, gfn), gfn)
        if self.kvm_is_error_hva(hva):
            return -EFAULT
        current().pagefault_disabled = True
        read = self.copy_from_user(hva + self.offset_in_page(gpa), length)
        current().pagefault_disabled = False
        return 0 if read else -EFAULT

    def kvm_write_guest_page(self, kvm: Kvm, gfn: Gfn, data: bytes, offset: int) -> Errno:
        """Write guest memory through its user address, then mark it dirty.

        Linux: virt/kvm/kvm_main.c kvm_write_guest_page(), __kvm_write_guest_page(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        slot = self.gfn_to_memslot(kvm, gfn)
        hva = self.gfn_to_hva_memslot(slot, gfn)
        if self.kvm_is_error_hva(hva):
            return -EFAULT
        if not self.copy_to_user(hva + offset, data):
            return -EFAULT
        self.mark_page_dirty_in_slot(kvm, slot, gfn)
        assert slot is not None
        self.note_write(slot, gfn)
        return 0

    def kvm_clear_guest(self, kvm: Kvm, gpa: Gpa, length: int) -> Errno:
        """Write zeros to guest memory.

        Linux: virt/kvm/kvm_main.c kvm_clear_guest(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        Simplified: within one page.
        """
        return self.kvm_write_guest_page(kvm, self.gpa_to_gfn(gpa), bytes(length), self.offset_in_page(gpa))

    @atomic
    @part_of_caller
    def note_write(self, slot: KvmMemorySlot, gfn: Gfn) -> None:
        """Report to the properties that a write is done and marked dirty.

        Linux: nothing; a tracepoint of the model.
        """
        self.trace_write_guest(slot, gfn << self.PAGE_SHIFT)

    def kvm_gfn_to_hva_cache_init(self, kvm: Kvm, ghc: GfnToHvaCache, gpa: Gpa, length: int) -> Errno:
        """Look the user address of gpa up and store it in the cache.

        Linux: virt/kvm/kvm_main.c kvm_gfn_to_hva_cache_init(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        Simplified: the structure lies within one page.
        """
        return self._kvm_gfn_to_hva_cache_init(self.kvm_memslots(kvm), ghc, gpa, length)

    def _kvm_gfn_to_hva_cache_init(self, slots: KvmMemslots, ghc: GfnToHvaCache, gpa: Gpa, length: int) -> Errno:
        """Look the user address of gpa in a set up and store it in the cache.

        Linux: virt/kvm/kvm_main.c __kvm_gfn_to_hva_cache_init(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        ghc.generation = slots.generation
        ghc.memslot = self._gfn_to_memslot(slots, self.gpa_to_gfn(gpa))
        hva = self.gfn_to_hva_memslot(ghc.memslot, self.gpa_to_gfn(gpa))
        if self.kvm_is_error_hva(hva):
            ghc.hva = self.KVM_HVA_ERR_BAD
            return -EFAULT
        ghc.hva = hva + self.offset_in_page(gpa)
        ghc.gpa = gpa
        ghc.len = length
        return 0

    @part_of_caller
    def ghc_is_usable(self, kvm: Kvm, ghc: GfnToHvaCache) -> bool:
        """Return whether the cache has a user address, looked up again if the memslots have changed.

        Linux: virt/kvm/kvm_main.c kvm_write_guest_offset_cached(), kvm_read_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        """
        slots = self.kvm_memslots(kvm)
        if slots.generation != ghc.generation and self._kvm_gfn_to_hva_cache_init(slots, ghc, ghc.gpa, ghc.len) != 0:
            return False
        return not self.kvm_is_error_hva(ghc.hva)

    def kvm_write_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, data: bytes, offset: int) -> Errno:
        """Write through the user address in the cache, if its generation is that of the memslots.

        Linux: virt/kvm/kvm_main.c kvm_write_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        if not self.ghc_is_usable(kvm, ghc):
            return -EFAULT
        if not self.copy_to_user(ghc.hva + offset, data):
            return -EFAULT
        slot = ghc.memslot
        self.mark_page_dirty_in_slot(kvm, slot, self.gpa_to_gfn(ghc.gpa))
        assert slot is not None
        self.note_write(slot, self.gpa_to_gfn(ghc.gpa))
        return 0

    def kvm_read_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, offset: int, length: int) -> Errno:
        """Read through the user address in the cache, if its generation is that of the memslots.

        Linux: virt/kvm/kvm_main.c kvm_read_guest_offset_cached(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        if not self.ghc_is_usable(kvm, ghc):
            return -EFAULT
        return 0 if self.copy_from_user(ghc.hva + offset, length) else -EFAULT

    def mark_page_dirty_in_slot(self, kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn) -> None:
        """Set the dirty bit of gfn if the slot has dirty logging.

        Whether or not it has, a vCPU of the VM must be loaded: a dirty ring, of which there is one a vCPU, needs it.

        Linux: virt/kvm/kvm_main.c mark_page_dirty_in_slot(), v7.3.4.
        Locks: SRCU; between vcpu_load() and vcpu_put().
        Simplified: the bitmap only, no dirty ring.
        """
        vcpu = current().running_vcpu
        if vcpu is None:
            WARN_ON_ONCE(kvm.users_count != 0, "!vcpu && !kvm_arch_allow_write_without_running_vcpu(kvm)")
        elif vcpu.kvm is not kvm:
            WARN_ON_ONCE(True, "vcpu && vcpu->kvm != kvm")
            return
        if slot is not None and slot.log_dirty:
            bitmap = slot.dirty_bitmap
            if bitmap is not None:
                self.set_bit_le(gfn - slot.base_gfn, bitmap)

    def set_bit_le(self, number: int, bitmap: DirtyBitmap) -> None:
        """Set a bit.

        Linux: include/asm-generic/bitops/le.h set_bit_le(), v7.3.4.
        """
        bitmap.bits[number].dirty = True

    def mark_page_dirty(self, kvm: Kvm, gfn: Gfn) -> None:
        """Set the dirty bit of gfn in the slot that has it now.

        Linux: virt/kvm/kvm_main.c mark_page_dirty(), kvm_vcpu_mark_page_dirty(), v7.3.4.
        Locks: SRCU.
        Simplified: the vCPU's own pointer to the slot that was used last is left out: kvm_vcpu_gfn_to_memslot().
        """
        self.mark_page_dirty_in_slot(kvm, self.gfn_to_memslot(kvm, gfn), gfn)

    @part_of("kvm_read_guest")
    def host_read_guest(self, kvm: Kvm, gpa: Gpa, length: int) -> bytes:
        """Return the bytes that kvm_read_guest_page() has found readable, in direct execution.

        Linux: virt/kvm/kvm_main.c kvm_read_guest(), v7.3.4.
        Locks: SRCU.
        """
        gfn = self.gpa_to_gfn(gpa)
        hva = self.gfn_to_hva_memslot_prot(self.gfn_to_memslot(kvm, gfn), gfn)
        return self.host_get(hva + self.offset_in_page(gpa), length)
