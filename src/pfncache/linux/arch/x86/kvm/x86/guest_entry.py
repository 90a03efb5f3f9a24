# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: a vCPU of an SNP guest serves its requests and enters the guest, which others make it leave."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import EXITING_GUEST_MODE, IN_GUEST_MODE, OUTSIDE_GUEST_MODE, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestEntry(KvmMm):
    """vcpu_run() of an SNP guest, around the entry."""

    @part_of("vcpu_enter_guest")
    def run_snp_guest(self, vcpu: KvmVcpu) -> Errno:
        """Run an SNP guest until its next exit: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest(), vcpu_run(), v7.3.4.
        Returns: 0; -EAGAIN for a vCPU that is halted, or that a request keeps outside; -EINVAL without a VMSA.
        Simplified: interrupts and preemption stay on, since nothing in between sleeps; an entry that is cancelled ends
        the operation.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            with srcu_read_lock(kvm.srcu):
                if not self.serve_requests(vcpu):
                    return -EAGAIN
                vcpu.mode = IN_GUEST_MODE
            ret: Errno = -EAGAIN
            if not self.kvm_vcpu_exit_request(vcpu):
                ret = self.svm_vcpu_run(vcpu)
            vcpu.mode = OUTSIDE_GUEST_MODE
            return ret

    @part_of("vcpu_enter_guest")
    def serve_requests(self, vcpu: KvmVcpu) -> bool:
        """Reset the vCPU, and look its VMSA up, as requested.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest(), kvm_vcpu_reset(), vcpu_block(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: whether the vCPU is runnable.
        """
        if vcpu.update_protected_guest_state:
            vcpu.update_protected_guest_state = False
            self.sev_snp_init_protected_guest_state(vcpu)
        if vcpu.halted:
            return False
        if vcpu.vmsa_page_reload:
            vcpu.vmsa_page_reload = False
            self.sev_snp_reload_vmsa(vcpu)
        return True

    @atomic
    def kvm_request_pending(self, vcpu: KvmVcpu) -> bool:
        """Return whether there is a request.

        Linux: include/linux/kvm_host.h kvm_request_pending(), v7.3.4.
        """
        return vcpu.vmsa_page_reload or vcpu.update_protected_guest_state

    def kvm_vcpu_exit_request(self, vcpu: KvmVcpu) -> bool:
        """Return whether the entry must be cancelled. IN_GUEST_MODE is set before, so that later requests kick.

        Linux: arch/x86/kvm/x86.c kvm_vcpu_exit_request(), v7.3.4.
        """
        return vcpu.mode == EXITING_GUEST_MODE or self.kvm_request_pending(vcpu)

    @part_of("vcpu_run")
    def run_ap_creation(self, target: KvmVcpu, gpa: Gpa) -> Errno:
        """Handle the exit of another vCPU whose guest chooses the target's VMSA: KVM_RUN of that vCPU.

        Linux: arch/x86/kvm/x86.c vcpu_run(), v7.3.4.
        Returns: 0.
        """
        kvm = target.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            return self.sev_snp_ap_creation(target, gpa)
