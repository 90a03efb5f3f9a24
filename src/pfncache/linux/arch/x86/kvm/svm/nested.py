# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/svm/nested.c: L1 enters an L2 guest, which exits to it; for direct execution.

The VMCB of L1 is mapped twice, for the entry and for the exit: in between, nothing is pinned.
"""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.asm.svm import VMCB_EXIT_CODE, VMCB_EXIT_CODE_SIZE
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class SvmNested(KvmMm):
    """VMRUN and #VMEXIT of an L2 guest."""

    def nested_svm_vmrun(self, vcpu: KvmVcpu, vmcb12: Gpa) -> Errno:
        """Read L1's VMCB and enter L2, which gets page tables that are in sync with L1's.

        Linux: arch/x86/kvm/svm/nested.c nested_svm_vmrun(), nested_svm_copy_vmcb12_to_cache(),
        nested_svm_transition_tlb_flush(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0, or -EFAULT for a VMCB that cannot be mapped, of which C makes an exit (vmcb12_is_unreachable()).
        Simplified: VMRUN is always allowed, and the VMCB is valid.
        """
        gfn = self.gpa_to_gfn(vmcb12)
        ret, pfn, khva = self.kvm_vcpu_map(vcpu, gfn)
        if ret != 0:
            return -EFAULT
        self.kernel_access(khva, False)
        self.kvm_vcpu_unmap(vcpu, gfn, pfn, khva)
        vcpu.host_vmcb12_gpa = vmcb12
        self.kvm_mmu_sync_roots(vcpu)
        return 0

    def nested_svm_vmexit(self, vcpu: KvmVcpu, exit_code: int) -> bool:
        """Leave L2: write the exit to L1's VMCB.

        Linux: arch/x86/kvm/svm/nested.c nested_svm_vmexit(), nested_svm_vmexit_update_vmcb12(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: False if the VMCB cannot be mapped, so that the vCPU shuts down.
        """
        gfn = self.gpa_to_gfn(vcpu.host_vmcb12_gpa)
        vcpu.host_vmcb12_gpa = INVALID_GPA
        ret, pfn, khva = self.kvm_vcpu_map(vcpu, gfn)
        if ret != 0:
            return False
        self.kernel_access(khva, True)
        self.host_write_exit_code(khva, exit_code)
        self.kvm_vcpu_unmap(vcpu, gfn, pfn, khva)
        return True

    @part_of("nested_svm_vmexit_update_vmcb12")
    def host_write_exit_code(self, khva: int, exit_code: int) -> None:
        """Write the exit code.

        Linux: arch/x86/kvm/svm/nested.c nested_svm_vmexit_update_vmcb12(), v7.3.4.
        """
        data = exit_code.to_bytes(VMCB_EXIT_CODE_SIZE, "little")
        self.host_kernel_bytes(khva)[VMCB_EXIT_CODE : VMCB_EXIT_CODE + VMCB_EXIT_CODE_SIZE] = data
