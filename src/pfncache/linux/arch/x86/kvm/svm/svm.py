# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/svm/svm.c: a guest that is a hypervisor itself; for direct execution."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.types import Gpa, Kva
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

VMCB_TR = 0x490
"""Where a VMCB has the task register."""
TSS_SELECTOR = 0x18
DONE, INJECTED_GP, EMULATION_FAILURE = 0, 1, 2
"""What comes of an instruction: the next one, an exception, KVM_EXIT_INTERNAL_ERROR."""


class Svm(KvmMm):
    """Nested SVM, as far as it reaches the guest's VMCB."""

    def vmload_vmsave_interception(self, vcpu: KvmVcpu, vmcb12: Gpa) -> int:
        """The guest executes VMSAVE: its state goes to the page that it names, by way of a kernel mapping.

        Linux: arch/x86/kvm/svm/svm.c vmload_vmsave_interception(), v7.3.4.
        Returns: DONE, or what an unreachable VMCB leads to.
        Simplified: the guest may execute VMSAVE; of its state only the task register's selector is kept.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
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
        """The guest's VMCB cannot be mapped.

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
