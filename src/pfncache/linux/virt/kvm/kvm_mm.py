# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_mm.h, include/linux/kvm_host.h: prototypes of what virt/kvm and arch/x86/kvm call of each other."""

from __future__ import annotations

from abc import abstractmethod

from pfncache.lang.call_result import CallResult
from pfncache.linux.arch.x86.include.asm.kvm_host import KvmX86
from pfncache.linux.include.linux.kvm_host import (
    File,
    GfnToHvaCache,
    GfnToPfnCache,
    GmemFile,
    Kvm,
    KvmMemorySlot,
    KvmMemslots,
    KvmVcpu,
)
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa
from pfncache.linux.include.linux.lockdep import assert_rwlock_held
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Pgoff, Sequence
from pfncache.linux.kernel.locking.mutex import Mutex


class KvmMm(KvmX86):
    """Prototypes of KVM."""

    KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS: int
    """Bit 63 of a memslot generation; bit 5 in the checker, whose numbers are small."""

    kvm_lock: Mutex
    expected_results: tuple[tuple[CallResult, tuple[int, ...]], ...] = ()
    """In no kernel: the results that a scenario has an expectation of, each with the numbers that it may be."""
    KVM_HVA_ERR_BAD: int
    KVM_HVA_ERR_RO_BAD: int
    """The error address: PAGE_OFFSET on x86, which no user page has."""

    def kvm_is_error_hva(self, hva: Hva) -> bool:
        """Return whether hva is an error address.

        Linux: include/linux/kvm_host.h kvm_is_error_hva(), v7.3.4.
        """
        return hva >= self.PAGE_OFFSET

    def kvm_is_error_gpa(self, gpa: Gpa) -> bool:
        """Return whether gpa is INVALID_GPA.

        Linux: include/linux/kvm_host.h kvm_is_error_gpa(), v7.3.4.
        """
        return gpa == INVALID_GPA

    def gpa_to_gfn(self, gpa: Gpa) -> Gfn:
        """Return the guest frame number of a guest physical address.

        Linux: include/linux/kvm_host.h gpa_to_gfn(), v7.3.4.
        """
        return gpa >> self.PAGE_SHIFT

    # virt/kvm/kvm_main.c
    @abstractmethod
    def free_vcpu(self, vcpu: KvmVcpu) -> None:
        """Free a vCPU whose caches are inactive, and whose timer is stopped."""

    @abstractmethod
    def kvm_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Return the active set. Locks: SRCU or slots_lock; none for a VM without references."""

    @abstractmethod
    def _kvm_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Return the active set. Locks: SRCU or slots_lock; none for a VM without references."""

    @abstractmethod
    def kvm_free_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Free a slot that is no longer reachable. Locks: slots_lock; none for a VM without references."""

    @abstractmethod
    def _gfn_to_memslot(self, slots: KvmMemslots, gfn: Gfn) -> KvmMemorySlot | None:
        """Return the slot of a set that has gfn."""

    @abstractmethod
    def gfn_to_memslot(self, kvm: Kvm, gfn: Gfn) -> KvmMemorySlot | None:
        """Return the slot of the active set that has gfn. Locks: SRCU or slots_lock."""

    @abstractmethod
    def gfn_to_hva_memslot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Return the user address of gfn for writing; an error for no slot, an INVALID or a read-only one."""

    @abstractmethod
    def gfn_to_hva_memslot_prot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        """Return the user address of gfn for reading; an error for no slot or an INVALID one."""

    @abstractmethod
    def hva_to_pfn(self, hva: Hva) -> Pfn:
        """Return a pfn for writing, with a reference unless it is of a VM_PFNMAP mapping; or an error pfn."""

    @abstractmethod
    def kvm_follow_pfn(self, slot: KvmMemorySlot | None, gfn: Gfn, pin: bool) -> Pfn:
        """Return the page at the user address of gfn, for writing, or an error pfn. Locks: SRCU."""

    @abstractmethod
    def _kvm_faultin_pfn(self, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page at the user address of gfn, for the guest to write, or an error pfn. Locks: SRCU."""

    @abstractmethod
    def note_write(self, slot: KvmMemorySlot, gfn: Gfn) -> None:
        """Report to the properties that a write is done and marked dirty."""

    @abstractmethod
    def kvm_release_page_unused(self, pfn: Pfn) -> None:
        """Drop the reference of a lookup whose page was not used."""

    @abstractmethod
    def kvm_release_page_clean(self, pfn: Pfn) -> None:
        """Drop the reference of a lookup whose page was not written."""

    @abstractmethod
    def kvm_mmu_invalidate_start(self, kvm: Kvm) -> None:
        """Increment mmu_invalidate_in_progress. Locks: mmu_lock for writing."""

    @abstractmethod
    def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Widen the range that is being invalidated. Locks: mmu_lock for writing."""

    @abstractmethod
    def kvm_mmu_invalidate_end(self, kvm: Kvm) -> None:
        """Increment mmu_invalidate_seq, then decrement mmu_invalidate_in_progress. Locks: mmu_lock for writing."""

    @abstractmethod
    def kvm_mem_is_private(self, kvm: Kvm, gfn: Gfn) -> bool:
        """Return whether gfn has KVM_MEMORY_ATTRIBUTE_PRIVATE."""

    @abstractmethod
    def kvm_range_has_memory_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> bool:
        """Return whether every gfn of [start, end) has the attribute. Locks: slots_lock."""

    @abstractmethod
    def mark_page_dirty_in_slot(self, kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn) -> None:
        """Set the dirty bit of gfn if the slot has dirty logging."""

    @abstractmethod
    def mark_page_dirty(self, kvm: Kvm, gfn: Gfn) -> None:
        """Set the dirty bit of gfn in the slot that has it now."""

    @abstractmethod
    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        """Zap the SPTEs of [start, end), and return whether TLBs must be flushed. Locks: mmu_lock for writing."""

    @abstractmethod
    def kvm_read_guest_page(self, kvm: Kvm, gfn: Gfn, offset: int, length: int) -> Errno:
        """Read guest memory through its user address. Locks: SRCU."""

    @abstractmethod
    def kvm_vcpu_read_guest_atomic(self, vcpu: KvmVcpu, gpa: Gpa, length: int) -> Errno:
        """Read guest memory through its user address, without handling a page fault. Locks: SRCU."""

    @abstractmethod
    def kvm_write_guest_page(self, kvm: Kvm, gfn: Gfn, data: bytes, offset: int) -> Errno:
        """Write guest memory through its user address. Locks: SRCU."""

    @abstractmethod
    def kvm_clear_guest(self, kvm: Kvm, gpa: Gpa, length: int) -> Errno:
        """Write zeros to guest memory. Locks: SRCU."""

    @abstractmethod
    def kvm_gfn_to_hva_cache_init(self, kvm: Kvm, ghc: GfnToHvaCache, gpa: Gpa, length: int) -> Errno:
        """Look the user address of gpa up and store it in the cache. Locks: SRCU."""

    @abstractmethod
    def kvm_write_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, data: bytes, offset: int) -> Errno:
        """Write through the user address in the cache. Locks: SRCU."""

    @abstractmethod
    def kvm_read_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, offset: int, length: int) -> Errno:
        """Read through the user address in the cache. Locks: SRCU."""

    @abstractmethod
    def host_read_guest(self, kvm: Kvm, gpa: Gpa, length: int) -> bytes:
        """Return the bytes that kvm_read_guest_page() has found readable, in direct execution."""

    @abstractmethod
    def kvm_vcpu_map(self, vcpu: KvmVcpu, gfn: Gfn) -> tuple[Errno, Pfn, Kva]:
        """Pin and map a guest page; return 0 or a negative errno, its pfn and its kernel address. Locks: SRCU."""

    @abstractmethod
    def kvm_vcpu_unmap(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn, khva: Kva) -> None:
        """Undo kvm_vcpu_map(), and mark the page dirty. Locks: SRCU."""

    @abstractmethod
    def kvm_gpc_init(self, gpc: GfnToPfnCache, kvm: Kvm) -> None:
        """Make a zeroed cache ready for activation."""

    @abstractmethod
    def access_khva(self, gpc: GfnToPfnCache, write: bool) -> Pfn:
        """Read or write through the cache's kernel address. Locks: gpc.lock for reading, after kvm_gpc_check()."""

    @abstractmethod
    def kvm_get_kvm(self, kvm: Kvm) -> None:
        """Take a reference on the VM."""

    @abstractmethod
    def kvm_put_kvm(self, kvm: Kvm) -> None:
        """Drop a reference on the VM; the last one destroys it."""

    # virt/kvm/pfncache.c
    @abstractmethod
    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate every cache whose user address lies in [start, end)."""

    @abstractmethod
    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Return whether the cache may be used now. Locks: gpc.lock for reading, SRCU."""

    @abstractmethod
    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Make the cache valid again. Locks: SRCU, no spinlock."""

    @abstractmethod
    def kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, length: int) -> Errno:
        """Activate the cache for a guest physical address. Locks: SRCU."""

    @abstractmethod
    def kvm_gpc_activate_hva(self, gpc: GfnToPfnCache, uhva: Hva, length: int) -> Errno:
        """Activate the cache for a user address. Locks: SRCU."""

    @abstractmethod
    def kvm_gpc_deactivate(self, gpc: GfnToPfnCache) -> None:
        """Take the cache off gpc_list and drop its mapping."""

    def kvm_gpc_mark_dirty_in_slot(self, gpc: GfnToPfnCache) -> None:
        """Mark the cached page dirty; nothing to do for an HVA-based cache, which has no slot.

        Linux: include/linux/kvm_host.h kvm_gpc_mark_dirty_in_slot(), v7.3.4.
        Locks: gpc.lock for reading, SRCU.
        """
        assert_rwlock_held(gpc.lock)
        if gpc.memslot is not None:
            kvm = gpc.kvm
            assert kvm is not None
            self.mark_page_dirty_in_slot(kvm, gpc.memslot, self.gpa_to_gfn(gpc.gpa))

    @abstractmethod
    def bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """Increment gpc_invalidate_seq. Locks: mn_invalidate_lock."""

    @abstractmethod
    def raise_mn_active_invalidate_count(self, kvm: Kvm) -> None:
        """Increment mn_active_invalidate_count. Locks: mn_invalidate_lock."""

    @abstractmethod
    def lower_mn_active_invalidate_count(self, kvm: Kvm) -> bool:
        """Decrement mn_active_invalidate_count; return whether it is zero now. Locks: mn_invalidate_lock."""

    # virt/kvm/guest_memfd.c
    @abstractmethod
    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page of a gmem slot, with a reference, or an error pfn. Locks: SRCU or slots_lock."""

    @abstractmethod
    def gmem_max_order(self, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn) -> int:
        """Return the order of a gmem page's folio, on which the caller has a reference."""

    @abstractmethod
    def kvm_gmem_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Check the file for a new slot and store it in the slot. Locks: slots_lock."""

    @abstractmethod
    def kvm_gmem_commit_memory_region(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Store the bindings of a new slot. Locks: slots_lock, slots_arch_lock."""

    @abstractmethod
    def kvm_gmem_invalidate_start(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Zap what the guest maps of the pages [start, end) of the inode. Locks: invalidate_lock."""

    @abstractmethod
    def kvm_gmem_invalidate_end(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """End the invalidation of [start, end). Locks: invalidate_lock, held since the start."""

    @abstractmethod
    def _kvm_gmem_invalidate_start(self, f: GmemFile, start: Pgoff, end: Pgoff, private: bool) -> None:
        """Zap what the slots that are bound in [start, end) have mapped. Locks: invalidate_lock."""

    @abstractmethod
    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """End the invalidation of one file of the inode. Locks: invalidate_lock, held since the start."""

    @abstractmethod
    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """Erase the bindings of a slot that is no longer reachable. Locks: as kvm_free_memslot()."""

    @abstractmethod
    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Return which SPTEs can map the inode's pages: True for the private ones, False for the shared ones."""

    @abstractmethod
    def kvm_gmem_is_private_mem(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Return whether the inode's pages are private: without GUEST_MEMFD_FLAG_INIT_SHARED."""

    # virt/kvm/kvm_main.c, virt/kvm/async_pf.c
    @abstractmethod
    def kvm_check_async_pf_completion(self, vcpu: KvmVcpu) -> None:
        """Announce pages that are ready to the guest. Locks: SRCU."""

    @abstractmethod
    def mmu_invalidate_retry_gfn(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return whether an invalidation of gfn has begun or ended since `sequence`. Locks: mmu_lock."""

    @abstractmethod
    def kvm_vcpu_block(self, vcpu: KvmVcpu) -> bool:
        """Return whether a halted vCPU would sleep. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """Schedule out the vCPU's thread. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_arch_vcpu_should_kick(self, vcpu: KvmVcpu) -> bool:
        """Take a vCPU out of IN_GUEST_MODE; return whether it was in it. Locks: any context."""

    @abstractmethod
    def kvm_vcpu_exiting_guest_mode(self, vcpu: KvmVcpu) -> int:
        """Take a vCPU out of IN_GUEST_MODE; return the mode that it was in. Locks: any context."""

    @abstractmethod
    def kvm_vcpu_halt(self, vcpu: KvmVcpu) -> None:
        """Sleep until there is a reason not to. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_vcpu_srcu_read_lock(self, vcpu: KvmVcpu) -> None:
        """Enter the SRCU read section in which an exit of the guest is handled. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_vcpu_srcu_read_unlock(self, vcpu: KvmVcpu) -> None:
        """Leave the section. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_vcpu_kick(self, vcpu: KvmVcpu) -> None:
        """Wake a vCPU that sleeps, or make it leave the guest. Locks: any context."""

    @abstractmethod
    def _kvm_vcpu_kick(self, vcpu: KvmVcpu, wait: bool) -> None:
        """Kick a vCPU; with `wait`, until it has left the guest. Locks: any context; interrupts on to wait."""

    @abstractmethod
    def kvm_flush_remote_tlbs(self, kvm: Kvm) -> None:
        """Flush the TLBs of every vCPU, and wait until they are flushed. Locks: may be mmu_lock."""

    @abstractmethod
    def flush_guest_tlb(self, kvm: Kvm) -> None:
        """Flush what the vCPUs have of the SPTEs in their TLBs. Locks: may be mmu_lock."""

    @abstractmethod
    def flush_if(self, kvm: Kvm, flush: bool) -> None:
        """Flush the TLBs if SPTEs were zapped. Locks: may be mmu_lock."""
