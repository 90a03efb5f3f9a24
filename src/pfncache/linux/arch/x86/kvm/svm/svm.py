# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/svm/svm.c: the run of an SNP guest; nested guests, for direct execution."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until, host_only
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import IN_GUEST_MODE, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.types import Errno, Kva
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

VMCB_TR = 0x490
"""Offset of the task register in a VMCB, in bytes."""
TSS_SELECTOR = 0x18
DONE, INJECTED_GP, EMULATION_FAILURE = 0, 1, 2
"""Results of an instruction: completed, an exception, KVM_EXIT_INTERNAL_ERROR."""


class Svm(KvmMm):
    """The entry of an SNP guest. Nested SVM: accesses to the guest's VMCB."""

    def svm_vcpu_run(self, vcpu: KvmVcpu) -> Errno:
        """Run an SNP guest until its next exit.

        Linux: arch/x86/kvm/svm/svm.c svm_vcpu_run(), pre_svm_run(), v7.3.4.
        Locks: vcpu.mutex; interrupts and preemption off.
        Returns: 0, or -EINVAL for KVM_EXIT_FAIL_ENTRY.
        """
        ret = self.pre_sev_run(vcpu)
        if ret != 0:
            return ret
        self.vmrun(vcpu)
        if vcpu.spinning_vmsa != INVALID_GPA and vcpu.spinning_vmsa == vcpu.sev_es.snp_guest_vmsa_gpa:
            self.wait_for_exit(vcpu)
        return 0

    @part_of("svm_vcpu_enter_exit")
    @atomic
    def wait_for_exit(self, vcpu: KvmVcpu) -> None:
        """Stay in the guest until a kick.

        Linux: arch/x86/kvm/svm/svm.c svm_vcpu_enter_exit(), v7.3.4.
        """
        block_until(vcpu.mode != IN_GUEST_MODE)

    @part_of("svm_vcpu_enter_exit")
    @atomic
    def vmrun(self, vcpu: KvmVcpu) -> None:
        """Access the VMSA, as the processor does when it enters and leaves the guest.

        Linux: arch/x86/kvm/svm/svm.c svm_vcpu_enter_exit(), v7.3.4.
        Simplified: one access for all between entry and exit; the page may be freed before it.
        """
        pfn = vcpu.sev_es.vmsa_pa
        if self.mem_map[pfn].free:
            report("use-after-free", f"the guest of {vcpu} runs from a VMSA in pfn {pfn}, which is free")
        if self.mem_map[pfn].incarnation != vcpu.sev_es.vmsa_tag:
            report("use-after-free", f"the guest of {vcpu} runs from a VMSA in pfn {pfn}, which has another owner")
        self.trace_vmrun(vcpu)

    def vmload_vmsave_interception(self, vcpu: KvmVcpu, vmcb12: Gpa) -> int:
        """Emulate VMSAVE: write the guest's state to its VMCB through a kernel mapping.

        Linux: arch/x86/kvm/svm/svm.c vmload_vmsave_interception(), v7.3.4.
        Returns: DONE, or the result for a VMCB that cannot be mapped.
        Simplified: VMSAVE is always allowed; only the selector of the task register is written.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            gfn = self.gpa_to_gfn(vmcb12)
            ret, pfn, khva = self.kvm_vcpu_map(vcpu, gfn)
            if ret != 0:
                return self.vmcb12_is_unreachable()
            self.kernel_access(khva, True)
            self.host_save_state(khva)
            self.kvm_vcpu_unmap(vcpu, gfn, pfn, khva)
        return DONE

    @part_of("vmload_vmsave_interception")
    def vmcb12_is_unreachable(self) -> int:
        """Return the result for a VMCB that cannot be mapped.

        Linux: arch/x86/kvm/svm/svm.c vmload_vmsave_interception(), arch/x86/kvm/x86.c kvm_handle_memory_failure(),
        v7.3.4.
        """
        return EMULATION_FAILURE

    @part_of("svm_copy_vmloadsave_state")
    @host_only
    def host_save_state(self, khva: Kva) -> None:
        """Write the guest's state.

        Linux: arch/x86/kvm/svm/nested.c svm_copy_vmloadsave_state(), v7.3.4.
        """
        self.host_kernel_bytes(khva)[VMCB_TR : VMCB_TR + 2] = TSS_SELECTOR.to_bytes(2, "little")
