# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/kvm_host.h, headers of arch/x86/kvm: prototypes of what KVM calls of its x86 part."""

from __future__ import annotations

from abc import abstractmethod

from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.types import Errno, Pfn


class KvmX86(Mm):
    """Prototypes of arch/x86/kvm."""

    host_execution: bool
    """Direct execution, in which pages have their bytes."""
    PVCLOCK_SIZE: int
    """sizeof(struct pvclock_vcpu_time_info); one in the checker's small pages."""
    APF_LENGTH: int
    """Bytes of struct kvm_vcpu_pv_apf_data that KVM accesses: flags and token."""
    GPTE_SIZE: int
    """Bytes of an entry of a guest's page table; one in the checker's small pages."""
    APF_TOKEN_SIZE: int
    """Bytes of that token; one in the checker's small pages."""
    APF_TOKEN: int
    """offsetof(struct kvm_vcpu_pv_apf_data, token)."""
    STEAL_SIZE: int
    """sizeof(struct kvm_steal_time); one in the checker's small pages."""
    STEAL_VERSION: int
    """offsetof(struct kvm_steal_time, version); zero in the checker's small pages."""
    STEAL_PREEMPTED: int
    """offsetof(struct kvm_steal_time, preempted); zero in the checker's small pages."""
    VCPU_INFO_SIZE: int
    """sizeof(struct vcpu_info); one in the checker's small pages."""
    VCPU_INFO_ALIGN: int
    """sizeof(u32): the alignment of struct vcpu_info; one in the checker's small pages."""
    RUNSTATE_SIZE: int
    """sizeof(struct vcpu_runstate_info); two in the checker's small pages, so that it can straddle two of them."""
    RUNSTATE_COMPAT_SIZE: int
    """sizeof(struct compat_vcpu_runstate_info); one in the checker's small pages."""
    XEN_VCPU_INFO_TIME: int
    """offsetof(struct vcpu_info, time); zero in the checker's small pages."""
    max_huge_page_level: int
    """The largest page that SPTEs map: PG_LEVEL_4K if the processor has no other, and in most scenarios."""
    rmp_update_may_fail: bool = False
    """RMPUPDATE may fail, as it does for a page whose size another entry of the RMP overlaps."""
    host_clock: int
    """The TSC, in nanoseconds, in direct execution."""

    @abstractmethod
    def kvm_pv_enable_async_pf(self, vcpu: KvmVcpu, data: int) -> int:
        """Write MSR_KVM_ASYNC_PF_EN: enable or disable asynchronous page faults. Locks: SRCU."""

    @abstractmethod
    def kvm_hv_set_msr_common(self, vcpu: KvmVcpu, msr: int, data: int, host: bool) -> int:
        """Write an MSR of Hyper-V. Locks: SRCU."""

    @abstractmethod
    def walk_addr_generic(self, vcpu: KvmVcpu, table: Gpa, accessed: bool) -> Errno:
        """Read a guest page-table entry and set its accessed bit. Locks: SRCU."""

    @abstractmethod
    def sync_spte(self, vcpu: KvmVcpu) -> int:
        """Read an entry that is shadowed again. Locks: SRCU, mmu_lock for writing."""

    @abstractmethod
    def kvm_mmu_sync_roots(self, vcpu: KvmVcpu) -> None:
        """Read what is shadowed of tables that the guest may have changed again. Locks: SRCU."""

    @abstractmethod
    def kvm_tdp_mmu_write_protect_gfn(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Have the guest's next write to a shadowed table fault. Locks: mmu_lock for writing."""

    @abstractmethod
    def emulate_store(self, vcpu: KvmVcpu, rip: Gpa, operand: Gpa) -> Errno:
        """Emulate a store of the guest. Locks: SRCU."""

    @abstractmethod
    def kvm_unmap_gfn_range(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        """Zap the SPTEs of [start, end), and return whether TLBs must be flushed. Locks: mmu_lock for writing."""

    @abstractmethod
    def kvm_arch_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Take the pages of [start, end) from what is no SPTE (SNP's VMSAs). Locks: mmu_lock for writing."""

    @abstractmethod
    def sev_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Make each vCPU whose VMSA is in [start, end) look it up again. Locks: mmu_lock for writing."""

    @abstractmethod
    def sev_snp_init_protected_guest_state(self, vcpu: KvmVcpu) -> None:
        """Set the VMSA that the guest has chosen for a vCPU. Locks: vcpu.mutex, SRCU."""

    @abstractmethod
    def sev_snp_reload_vmsa(self, vcpu: KvmVcpu) -> None:
        """Look the VMSA up again. Locks: vcpu.mutex, SRCU."""

    @abstractmethod
    def sev_snp_ap_creation(self, target: KvmVcpu, gpa: Gpa) -> Errno:
        """Choose the VMSA of another vCPU, for the guest. Locks: SRCU."""

    @abstractmethod
    def pre_sev_run(self, vcpu: KvmVcpu) -> Errno:
        """Return -EINVAL if the vCPU has no VMSA. Locks: vcpu.mutex."""

    @abstractmethod
    def svm_vcpu_run(self, vcpu: KvmVcpu) -> Errno:
        """Run the guest until its next exit. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_memslots_have_rmaps(self, kvm: Kvm) -> bool:
        """Return whether the memslots have rmaps."""

    @abstractmethod
    def check_arch_ready(self, slot: KvmMemorySlot) -> None:
        """Report a NULL dereference if the slot's rmap is not allocated."""

    @abstractmethod
    def pre_set_attributes(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool) -> bool:
        """kvm_arch_pre_set_memory_attributes(): zap SPTEs; return whether to flush. Locks: mmu_lock for writing."""

    @abstractmethod
    def post_set_attributes(self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn) -> None:
        """kvm_arch_post_set_memory_attributes(): update lpage_info. Locks: mmu_lock for writing, slots_lock."""

    @abstractmethod
    def kvm_mmu_init_memslot_memory_attributes(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Initialise lpage_info of a new slot. Locks: slots_lock."""

    @abstractmethod
    def kvm_mmu_slot_try_split_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Split the huge SPTEs of a slot. Locks: slots_lock; takes mmu_lock."""

    @abstractmethod
    def kvm_mmu_recover_huge_pages(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Replace SPTEs of a slot by huge ones. Locks: slots_lock; takes mmu_lock."""

    @abstractmethod
    def kvm_mmu_hugepage_adjust(
        self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn, private: bool, max_level: int
    ) -> int:
        """Return the level at which a fault maps its page. Locks: mmu_lock."""

    @abstractmethod
    def kvm_mmu_max_mapping_level(
        self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, private: bool, max_level: int, fault: bool
    ) -> int:
        """Return the highest level at which gfn can be mapped. Locks: mmu_lock."""

    @abstractmethod
    def kvm_arch_commit_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> None:
        """Adapt SPTEs to the new flags of a slot. Locks: slots_lock."""

    @abstractmethod
    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Zap what was mapped through a slot that is INVALID in the active set."""

    @abstractmethod
    def kvm_arch_flush_shadow_all(self, kvm: Kvm) -> None:
        """Zap every SPTE."""

    @abstractmethod
    def kvm_arch_destroy_vm(self, kvm: Kvm) -> None:
        """Destroy the vCPUs of a VM, and its caches."""

    @abstractmethod
    def kvmclock_reset(self, vcpu: KvmVcpu) -> None:
        """Disable kvm-clock."""

    @abstractmethod
    def kvm_xen_destroy_vcpu(self, vcpu: KvmVcpu) -> None:
        """Stop the timer of a vCPU that is destroyed, and deactivate its caches."""

    @abstractmethod
    def kvm_xen_destroy_vm(self, kvm: Kvm) -> None:
        """Deactivate the cache of a VM that is destroyed."""

    @abstractmethod
    def kvm_arch_memslots_updated(self, kvm: Kvm) -> None:
        """Kick every vCPU, as the memslots have another generation. Locks: slots_lock."""

    @abstractmethod
    def kvm_arch_pre_destroy_vm(self, kvm: Kvm) -> None:
        """Stop background work of a VM that is destroyed."""

    @abstractmethod
    def kvm_arch_prepare_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> Errno:
        """Allocate the rmap and lpage metadata of a slot. Locks: slots_lock, slots_arch_lock."""

    @abstractmethod
    def kvm_arch_has_private_mem(self, kvm: Kvm) -> bool:
        """Return whether the VM type has private memory."""

    @abstractmethod
    def kvm_arch_gmem_make_private(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> Errno:
        """Assign the page to the guest in the RMP (SNP)."""

    @abstractmethod
    def kvm_xen_hvm_set_attr(self, kvm: Kvm, attribute: int, value: int) -> Errno:
        """Set an attribute of a VM for a Xen guest."""

    @abstractmethod
    def kvm_xen_vcpu_set_attr(self, vcpu: KvmVcpu, attribute: int, value: int, expires: int) -> Errno:
        """Set an attribute of a vCPU for a Xen guest. Locks: vcpu.mutex."""

    @abstractmethod
    def kvm_xen_vcpu_get_attr(self, vcpu: KvmVcpu, attribute: int) -> Errno:
        """Read an attribute of a vCPU of a Xen guest. Locks: vcpu.mutex."""

    @abstractmethod
    def kvmclock_now(self, kvm: Kvm) -> int:
        """Return the VM's time in nanoseconds."""

    @abstractmethod
    def kvm_xen_msr_enabled(self, kvm: Kvm) -> bool:
        """Return whether the VM runs a Xen guest."""

    @abstractmethod
    def kvm_xen_runstate_set_running(self, vcpu: KvmVcpu) -> None:
        """Enter the runstate of a vCPU that runs. Locks: SRCU."""

    @abstractmethod
    def kvm_xen_runstate_set_preempted(self, vcpu: KvmVcpu) -> None:
        """Enter the runstate of a vCPU that is scheduled out. Locks: SRCU, the runqueue's."""

    @abstractmethod
    def kvm_arch_gmem_reclaim(self, pfn: Pfn) -> None:
        """Return the page to the host in the RMP (SNP)."""

    @abstractmethod
    def kvm_arch_vcpu_put(self, vcpu: KvmVcpu) -> None:
        """Write to the guest that its vCPU does not run. Locks: the runqueue's."""

    @abstractmethod
    def kvm_arch_can_dequeue_async_page_present(self, vcpu: KvmVcpu) -> bool:
        """Return whether the guest can take a report of pages that are ready. Locks: SRCU."""

    @abstractmethod
    def kvm_arch_async_page_present(self, vcpu: KvmVcpu) -> None:
        """Report to the guest that pages are ready. Locks: SRCU."""

    @abstractmethod
    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Return whether an upcall is pending in vcpu_info."""

    @abstractmethod
    def kvm_read_guest_virt(self, vcpu: KvmVcpu, address: Gpa, length: int) -> Errno:
        """Read guest memory for an exit. Locks: SRCU."""

    @abstractmethod
    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Sleep until an event is pending; return what the guest gets. Locks: vcpu.mutex, SRCU."""

    @abstractmethod
    def kvm_xen_inject_vcpu_vector(self, vcpu: KvmVcpu) -> None:
        """Deliver the vCPU's upcall vector as an MSI. Locks: any context."""

    @abstractmethod
    def kvm_xen_inject_timer_irqs(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver the event of a pending timer. Locks: vcpu.mutex, SRCU."""

    @abstractmethod
    def kvm_xen_inject_pending_events(self, vcpu: KvmVcpu) -> None:
        """Deliver the events that are pending in the vCPU. Locks: vcpu.mutex, SRCU."""
