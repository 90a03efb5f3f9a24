# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/hyperv.c: the pages of a Hyper-V guest's synthetic interrupt controller; for direct execution."""

from __future__ import annotations

from pfncache.linux.include.hyperv.hvgdk_mini import (
    HV_SYNIC_SIEFP_ENABLE,
    HV_SYNIC_SIMP_ENABLE,
    HV_X64_MSR_SIEFP,
    HV_X64_MSR_SIMP,
)
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Hyperv(KvmMm):
    """The functions of arch/x86/kvm/hyperv.c that clear guest memory."""

    def kvm_hv_set_msr_common(self, vcpu: KvmVcpu, msr: int, data: int, host: bool) -> int:
        """Write an MSR of Hyper-V.

        Linux: arch/x86/kvm/hyperv.c kvm_hv_set_msr_common(), kvm_hv_set_msr(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 if the write is refused.
        Simplified: a vCPU has Hyper-V in its CPUID if it has a SynIC.
        """
        if not host and not vcpu.synic.active:
            return 1
        return self.synic_set_msr(vcpu, msr, data, host)

    def synic_set_msr(self, vcpu: KvmVcpu, msr: int, data: int, host: bool) -> int:
        """Set the address of a page, which is cleared if the guest enables it (KVM_CAP_HYPERV_SYNIC, not _SYNIC2).

        Linux: arch/x86/kvm/hyperv.c synic_set_msr(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 if the write is refused.
        Simplified: without the exit to user space that follows.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        synic = vcpu.synic
        if not synic.active and (not host or data != 0):
            return 1
        enabled = {HV_X64_MSR_SIEFP: HV_SYNIC_SIEFP_ENABLE, HV_X64_MSR_SIMP: HV_SYNIC_SIMP_ENABLE}
        if msr not in enabled:
            return 1
        if data & enabled[msr] and not host and not synic.dont_zero_synic_pages:
            if self.kvm_clear_guest(kvm, data & ~(self.PAGE_SIZE - 1), self.PAGE_SIZE) != 0:
                return 1
        if msr == HV_X64_MSR_SIEFP:
            synic.host_evt_page = data
        else:
            synic.host_msg_page = data
        return 0
