# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/paging_tmpl.h: KVM walks the guest's page tables, through the userspace mapping."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

PT_ACCESSED_MASK = 1 << 5
"""Bit 5 of a page-table entry."""


class PagingTmpl(KvmMm):
    """FNAME(walk_addr_generic), one level of it."""

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
