# SPDX-License-Identifier: GPL-2.0-only
"""Proposed fixes for the faults of mainline that docs/findings describes."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86.hooks import ArchHooks
from pfncache.linux.arch.x86.kvm.xen.poll import XenPoll
from pfncache.linux.arch.x86.kvm.xen.timer import XenTimer
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Pgoff
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier
from pfncache.linux.virt.kvm.kvm_main.vcpu import VcpuMain


class InvalidateCachesOnRelease(Patch, KvmMmuNotifier):
    """KVM: invalidate every pfncache of the VM when its MMU notifier is released.

    No notification follows the release, whether the address space is torn down or the VM is destroyed. A cache that
    stays valid would keep the kernel address of a page that its owner may free.
    """

    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        """Invalidate all caches: the range is every user address."""
        super().kvm_mmu_notifier_release(kvm)
        self.gfn_to_pfn_cache_invalidate_start(kvm, 0, self.KVM_HVA_ERR_BAD)


class StopXenTimers(Patch, ArchHooks, XenTimer):
    """KVM: x86/xen: stop the timer of each vCPU before the MMU notifier is unregistered.

    kvm_arch_pre_destroy_vm() is called before mmu_notifier_unregister(), kvm_xen_destroy_vcpu() after it.
    """

    def kvm_arch_pre_destroy_vm(self, kvm: Kvm) -> None:
        """Stop each timer."""
        for vcpu in kvm.vcpus:
            self.kvm_xen_stop_timer(vcpu)
        super().kvm_arch_pre_destroy_vm(kvm)


class PollOutsideSrcu(Patch, XenPoll):
    """KVM: x86/xen: leave the SRCU read section while a vCPU polls.

    vcpu_block() does so for a vCPU that halts. Until an event or a signal ends the poll, synchronize_srcu() of a
    memslot update waits for it, with slots_lock held. Nothing that SRCU protects is used after the sleep.
    """

    def halt_polling_vcpu(self, vcpu: KvmVcpu) -> None:
        """Sleep outside of the section."""
        self.kvm_vcpu_srcu_read_unlock(vcpu)
        super().halt_polling_vcpu(vcpu)
        self.kvm_vcpu_srcu_read_lock(vcpu)


class UnlockFailedFolio(Patch, GuestMemfdInvalidation):
    """KVM: guest_memfd: take invalidate_lock outside the folio lock when a page fails.

    memory_failure() calls ->error_remove_folio() with the folio locked. Everywhere else invalidate_lock is the outer
    lock. The folio cannot go while it is unlocked: memory_failure() has a reference. A new fault of the page fails in
    any case: the page is marked as poisoned before. The inode has a reference of its own meanwhile.
    """

    def kvm_gmem_error_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Unlock the folio, invalidate its range under invalidate_lock, lock the folio again.

        If a hole was punched meanwhile, the range is invalidated once more than needed, which is harmless.
        """
        page = mapping.i_pages[index].page
        assert page is not None
        if not self.igrab(mapping):
            return
        page.lock.unlock()
        super().kvm_gmem_error_folio(mapping, index)
        self.iput(mapping)
        page.lock.lock()


class WaitForExitingVcpu(Patch, VcpuMain):
    """KVM: wait for a vCPU that is exiting already in kvm_make_request_and_kick() with KVM_REQUEST_WAIT.

    The kick that was first may be one that does not wait, and the vCPU may still be in the guest.
    kvm_request_needs_ipi() waits unless the vCPU is OUTSIDE_GUEST_MODE.
    """

    def _kvm_vcpu_kick(self, vcpu: KvmVcpu, wait: bool) -> None:
        """Wait for an IPI in either mode: the vCPU is exiting, or else it has seen the request."""
        super()._kvm_vcpu_kick(vcpu, wait)
        if wait:
            self.wait_for_ack(vcpu)
