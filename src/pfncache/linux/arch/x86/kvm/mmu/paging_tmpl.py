# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/paging_tmpl.h: KVM walks the guest's page tables, through the userspace mapping."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

PT_PRESENT_MASK, PT_ACCESSED_MASK = 1, 1 << 5
"""Bits of a page-table entry."""
PT_BASE_ADDR_MASK = ((1 << 52) - 1) & ~((1 << 12) - 1)
"""The address in an entry that maps a page."""


class PagingTmpl(KvmMm):
    """FNAME(walk_addr_generic), one level of it; the shadow of an entry."""

    def walk_addr_generic(self, vcpu: KvmVcpu, table: Gpa, accessed: bool) -> Errno:
        """Read a guest page-table entry and set its accessed bit, without regard to attributes and guest_memfd.

        The bit stays as it is in a read-only slot, and if the processor has set it (`accessed`).

        Linux: arch/x86/kvm/mmu/paging_tmpl.h walk_addr_generic(), update_accessed_dirty_bits(), each in FNAME(),
        v7.3.4.
        Locks: SRCU.
        Returns: 0, or -EFAULT for a page fault in the guest.
        Simplified: one level, whose entry is present.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gfn = self.gpa_to_gfn(table)
        slot = self.gfn_to_memslot(kvm, gfn)
        hva = self.gfn_to_hva_memslot_prot(slot, gfn)
        if self.kvm_is_error_hva(hva):
            return -EFAULT
        hva += self.offset_in_page(table)
        if not self.copy_from_user(hva, 1):
            return -EFAULT
        assert slot is not None
        if accessed or slot.readonly:
            return 0
        if not self._try_cmpxchg_user(hva):
            return -EFAULT
        self.host_set_accessed(hva)
        self.mark_page_dirty(kvm, gfn)
        self.note_write(slot, gfn)
        return 0

    @part_of("update_accessed_dirty_bits")
    @host_only
    def host_set_accessed(self, hva: Hva) -> None:
        """Set the accessed bit of the entry.

        Linux: arch/x86/kvm/mmu/paging_tmpl.h update_accessed_dirty_bits(), in FNAME(), v7.3.4.
        """
        self.host_put(hva, bytes([self.host_get(hva, 1)[0] | PT_ACCESSED_MASK]))

    def page_fault(self, vcpu: KvmVcpu, table: Gpa) -> Errno:
        """Shadow the entry at `table` of a page table of L1, unless it has changed since it was read.

        Linux: arch/x86/kvm/mmu/paging_tmpl.h page_fault(), fetch(), each in FNAME(), v7.3.4.
        Locks: SRCU.
        Returns: 0, RET_PF_RETRY, or -EFAULT for a page fault in the guest.
        Simplified: one level. The page that the entry maps is looked up by the caller, before the entry is used.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_page(kvm, self.gpa_to_gfn(table), self.offset_in_page(table), self.GPTE_SIZE) != 0:
            return -EFAULT
        gpte = self.guest_gpte(vcpu, table)
        # An entry that is not present gets no accessed bit.
        if gpte & PT_PRESENT_MASK == 0 or self.walk_addr_generic(vcpu, table, gpte & PT_ACCESSED_MASK != 0) != 0:
            return -EFAULT
        gpte |= PT_ACCESSED_MASK
        with write_lock(kvm.mmu_lock):
            if self.gpte_changed(vcpu, table, gpte):
                return RET_PF_RETRY
            vcpu.shadow.gpa = table
            vcpu.shadow.gpte = gpte
            self.kvm_tdp_mmu_write_protect_gfn(kvm, vcpu)
        return 0

    def gpte_changed(self, vcpu: KvmVcpu, table: Gpa, gpte: int) -> bool:
        """Return whether an entry is not as the walk has found it, or cannot be read.

        Linux: arch/x86/kvm/mmu/paging_tmpl.h gpte_changed(), in FNAME(), v7.3.4.
        Locks: SRCU, mmu_lock for writing.
        """
        if self.kvm_vcpu_read_guest_atomic(vcpu, table, self.GPTE_SIZE) != 0:
            return True
        return self.guest_gpte(vcpu, table) | PT_ACCESSED_MASK != gpte

    def sync_spte(self, vcpu: KvmVcpu) -> int:
        """Read an entry that is shadowed again; if it maps something else, or nothing, drop its shadow.

        Linux: arch/x86/kvm/mmu/paging_tmpl.h sync_spte(), in FNAME(), v7.3.4.
        Locks: SRCU, mmu_lock for writing.
        Returns: -1 if the entry cannot be read; 1 if the shadow was dropped; 0.
        Simplified: entries differ in their address and their present bit alone.
        """
        shadow = vcpu.shadow
        if self.kvm_vcpu_read_guest_atomic(vcpu, shadow.gpa, self.GPTE_SIZE) != 0:
            return -1
        gpte = self.guest_gpte(vcpu, shadow.gpa)
        if gpte & PT_PRESENT_MASK == 0 or (gpte ^ shadow.gpte) & PT_BASE_ADDR_MASK:
            shadow.gpa = INVALID_GPA
            return 1
        return 0

    @part_of("sync_spte")
    def guest_gpte(self, vcpu: KvmVcpu, table: Gpa) -> int:
        """Return the entry, which was found readable. In the checker, it always maps the same page.

        Linux: arch/x86/kvm/mmu/paging_tmpl.h sync_spte(), in FNAME(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.host_execution:
            return int.from_bytes(self.host_read_guest(kvm, table, self.GPTE_SIZE), "little")
        return PT_PRESENT_MASK | PT_ACCESSED_MASK
