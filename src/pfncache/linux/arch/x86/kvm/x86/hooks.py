# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: the kvm_arch_ functions that virt/kvm calls."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.choose import choose
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_4K
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_DEFAULT_VM, KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import (
    IN_GUEST_MODE,
    KVM_MR_DELETE,
    KVM_MR_FLAGS_ONLY,
    Kvm,
    KvmMemorySlot,
    KvmVcpu,
)
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno, Pfn
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOMEM
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.mm.failslab import should_failslab
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class ArchHooks(KvmMm):
    """Memory regions, guest_memfd and destruction on x86."""

    def kvm_arch_memslots_updated(self, kvm: Kvm) -> None:
        """Kick every vCPU, which then looks the address of steal time up again.

        Linux: arch/x86/kvm/x86.c kvm_arch_memslots_updated(), v7.3.4.
        Locks: slots_lock.
        Simplified: without kvm_mmu_invalidate_mmio_sptes(), for a generation that wraps.
        """
        for vcpu in kvm.vcpus:
            self.kvm_vcpu_kick(vcpu)

    def kvm_arch_vcpu_should_kick(self, vcpu: KvmVcpu) -> bool:
        """Take a vCPU out of IN_GUEST_MODE; return whether it was in it, and needs an IPI.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_should_kick(), v7.3.4.
        Locks: any context.
        Simplified: vCPUs of SNP VMs alone have a mode; the others are not in the guest.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        return kvm.vm_type == KVM_X86_SNP_VM and self.kvm_vcpu_exiting_guest_mode(vcpu) == IN_GUEST_MODE

    def kvm_arch_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Take the pages of [start, end) from what is no SPTE.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_invalidate_range(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        self.sev_gmem_invalidate_range(kvm, start, end)

    def kvm_arch_pre_destroy_vm(self, kvm: Kvm) -> None:
        """Stop background work of a VM that is destroyed.

        Linux: arch/x86/kvm/x86.c kvm_arch_pre_destroy_vm(), v7.3.4.
        Simplified: the model has none of the work that is stopped here: the PIT, the I/O APIC's, NX huge pages'.
        """

    def kvm_arch_destroy_vm(self, kvm: Kvm) -> None:
        """Destroy the vCPUs of a VM, and its caches.

        Linux: arch/x86/kvm/x86.c kvm_arch_destroy_vm(), virt/kvm/kvm_main.c kvm_destroy_vcpus(), v7.3.4.
        Simplified: vCPUs stay allocated; what they have of caches and timers is stopped.
        """
        for vcpu in kvm.vcpus:
            self.kvm_arch_vcpu_destroy(vcpu)
            self.free_vcpu(vcpu)
        self.kvm_xen_destroy_vm(kvm)

    def kvm_arch_vcpu_destroy(self, vcpu: KvmVcpu) -> None:
        """Deactivate the caches of a vCPU, and stop its timer.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_destroy(), v7.3.4.
        """
        self.kvmclock_reset(vcpu)
        self.kvm_xen_destroy_vcpu(vcpu)

    def kvm_arch_has_private_mem(self, kvm: Kvm) -> bool:
        """Return whether the VM type has private memory.

        Linux: arch/x86/include/asm/kvm_host.h kvm_arch_has_private_mem(), v7.3.4.
        """
        return kvm.vm_type != KVM_X86_DEFAULT_VM

    def kvm_arch_prepare_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> Errno:
        """Allocate the architecture's metadata of a slot that is new or moves; one with other flags has the old one's.

        Linux: arch/x86/kvm/x86.c kvm_arch_prepare_memory_region(), kvm_alloc_memslot_metadata(), v7.3.4.
        Locks: slots_lock, slots_arch_lock.
        Returns: 0 or -ENOMEM.
        Simplified: one allocation; kvm_vm_ioctl_set_memory_region() checks that the gfns are in range.
        """
        if change == KVM_MR_FLAGS_ONLY:
            assert old is not None and new is not None
            new.arch_ready = old.arch_ready
            for number in range(len(new.lpage_info)):
                new.lpage_info[number].mixed = old.lpage_info[number].mixed
        elif change != KVM_MR_DELETE:
            assert new is not None
            if should_failslab():
                return -ENOMEM
            new.arch_ready = self.kvm_memslots_have_rmaps(kvm)
            if self.max_huge_page_level > PG_LEVEL_4K:
                self.kvm_mmu_init_memslot_memory_attributes(kvm, new)
        return 0

    def mmu_first_shadow_root_alloc(self, kvm: Kvm) -> Errno:
        """Allocate the rmaps of every memslot, before the first guest page table is shadowed.

        slots_arch_lock keeps a memslot from being installed meanwhile that was prepared without rmaps.

        Linux: arch/x86/kvm/mmu/mmu.c mmu_first_shadow_root_alloc(), arch/x86/kvm/x86.c memslot_rmap_alloc(), v7.3.4.
        Locks: SRCU; takes slots_arch_lock.
        Returns: 0.
        Simplified: it never fails with -ENOMEM.
        """
        if kvm.shadow_root_allocated:
            return 0
        with mutex(kvm.slots_arch_lock):
            if not kvm.shadow_root_allocated:
                for entry in self._kvm_memslots(kvm).entries:
                    slot = entry.slot
                    if slot is not None:
                        slot.arch_ready = True
                kvm.shadow_root_allocated = True
        return 0

    def kvm_arch_commit_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> None:
        """Adapt SPTEs to a slot whose logging is switched.

        Linux: arch/x86/kvm/x86.c kvm_arch_commit_memory_region(), v7.3.4.
        Locks: slots_lock.
        Simplified: without the limit on the number of shadow pages.
        """
        if self.max_huge_page_level > PG_LEVEL_4K and change == KVM_MR_FLAGS_ONLY:
            assert new is not None
            self.kvm_mmu_slot_apply_flags(kvm, new)

    def kvm_mmu_slot_apply_flags(self, kvm: Kvm, new: KvmMemorySlot) -> None:
        """Split huge SPTEs when logging begins, and flush the TLBs; make SPTEs huge again when it ends.

        Linux: arch/x86/kvm/x86.c kvm_mmu_slot_apply_flags(), v7.3.4.
        Locks: slots_lock.
        Simplified: SPTEs are not write-protected: see set_spte(). eager_page_split is set, as by default.
        """
        if new.readonly:
            return
        if new.log_dirty:
            self.kvm_mmu_slot_try_split_huge_pages(kvm, new)
            self.flush_if(kvm, True)
        else:
            self.kvm_mmu_recover_huge_pages(kvm, new)

    def kvm_arch_gmem_make_private(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> Errno:
        """Assign a page to the guest in the RMP, unless it is; attributes play no part.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_make_private(), arch/x86/kvm/svm/sev.c sev_gmem_make_private(), v7.3.4.
        Locks: the folio lock.
        Returns: 0 or -EINVAL.
        Simplified: SNP's rules for the CoCo type; other types have no RMP. RMPUPDATE fails if rmp_update_may_fail.
        """
        if kvm.vm_type == KVM_X86_SNP_VM and not self.mem_map[pfn].rmp_private:
            if self.rmp_update_may_fail and self.rmp_update_fails():
                return -EINVAL
            self.mem_map[pfn].rmp_private = True
        return 0

    @part_of("kvm_arch_gmem_make_private")
    @atomic
    def rmp_update_fails(self) -> bool:
        """Return whether RMPUPDATE fails, by nondeterministic choice.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_make_private(), v7.3.4.
        """
        return choose(2) == 1

    def kvm_arch_gmem_reclaim(self, pfn: Pfn) -> None:
        """Return a page to the host in the RMP.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_reclaim(), arch/x86/kvm/svm/sev.c sev_gmem_make_shared(), v7.3.4.
        """
        if self.mem_map[pfn].rmp_private:
            self.mem_map[pfn].rmp_private = False
