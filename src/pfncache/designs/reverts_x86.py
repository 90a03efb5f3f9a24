# SPDX-License-Identifier: GPL-2.0-only
"""What older kernels did otherwise in arch/x86/kvm."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.msrs import Msrs
from pfncache.linux.arch.x86.kvm.svm.svm import INJECTED_GP, Svm
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.uapi import MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW


class RevertUpdateWork(Patch, Msrs):
    """A clock that is set up is updated once more a tenth of a second later, with all others; gone by 7.2.12."""

    def kvm_set_msr_common(self, vcpu: KvmVcpu, index: int, data: int) -> int:
        """KVM_REQ_GLOBAL_CLOCK_UPDATE instead of KVM_REQ_CLOCK_UPDATE: kvmclock_update_work is scheduled as well."""
        if index in (MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW) and vcpu.kvm is not None:
            vcpu.kvm.host_kvmclock_update_work = True
        return super().kvm_set_msr_common(vcpu, index, data)

    def flush_delayed_work(self, kvm: Kvm) -> None:
        """kvmclock_update_fn()."""
        if kvm.host_kvmclock_update_work:
            kvm.host_kvmclock_update_work = False
            for vcpu in kvm.vcpus:
                vcpu.clock_update = True


class RevertVmcbMemoryFailure(Patch, Svm):
    """A guest's VMCB that KVM cannot map is the guest's mistake: it gets #GP; user space is told by 7.2.12."""

    def vmcb12_is_unreachable(self) -> int:
        """kvm_inject_gp()."""
        return INJECTED_GP
