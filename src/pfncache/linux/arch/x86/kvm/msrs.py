# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/msrs.c: MSRs by which a guest and its VMM set up paravirtual features."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm_para import (
    KVM_ASYNC_PF_DELIVERY_AS_INT,
    KVM_ASYNC_PF_ENABLED,
    KVM_MSR_ENABLED,
    MSR_KVM_ASYNC_PF_ACK,
    MSR_KVM_ASYNC_PF_EN,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    MSR_KVM_WALL_CLOCK_NEW,
)
from pfncache.linux.include.hyperv.hvgdk_mini import HV_X64_MSR_SIEFP, HV_X64_MSR_SIMP
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

KVM_STEAL_RESERVED_MASK = 0x3E
KVM_ASYNC_PF_WANTED = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT
KVM_ASYNC_PF_RESERVED = 0x30
"""Bits 4 and 5 of MSR_KVM_ASYNC_PF_EN."""
KVM_ASYNC_PF_ALIGN = 64
"""sizeof(struct kvm_vcpu_pv_apf_data), by which its address is aligned."""


class Msrs(KvmMm):
    """The functions of arch/x86/kvm/msrs.c."""

    @part_of("kvm_set_msrs")
    def set_msr_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> int:
        """Write MSR_KVM_SYSTEM_TIME_NEW: KVM_SET_MSRS.

        Linux: arch/x86/kvm/msrs.c kvm_set_msrs(), msr_io(), v7.3.4.
        Returns: the number of MSRs that were set: 1, or 0 when the write is refused.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            return 1 if self.kvm_write_system_time(vcpu, gpa, enable) == 0 else 0

    def msr_io(self, vcpu: KvmVcpu, index: int, data: int) -> int:
        """Write one MSR: KVM_SET_MSRS.

        Linux: arch/x86/kvm/msrs.c msr_io(), v7.3.4.
        Returns: the number of MSRs that were set.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            return 1 if self.kvm_set_msr_common(vcpu, index, data, True) == 0 else 0

    def kvm_emulate_wrmsr(self, vcpu: KvmVcpu, index: int, data: int) -> int:
        """Write an MSR that the guest writes, in vcpu_run().

        Linux: arch/x86/kvm/msrs.c kvm_emulate_wrmsr(), v7.3.4.
        Locks: vcpu.mutex, SRCU; the vCPU is loaded.
        Returns: 0; 1 for #GP in the guest.
        """
        return self.kvm_set_msr_common(vcpu, index, data, False)

    def kvm_set_msr_common(self, vcpu: KvmVcpu, index: int, data: int, host: bool) -> int:
        """Write an MSR; `host` if user space does.

        Linux: arch/x86/kvm/msrs.c kvm_set_msr_common(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 if the write is refused.
        Simplified: the address of steal time is looked up here, not at the next run.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gpa = data & ~KVM_MSR_ENABLED
        enable = data & KVM_MSR_ENABLED != 0
        is_old_clock = index == MSR_KVM_SYSTEM_TIME  # the language has no `in`
        if is_old_clock or index == MSR_KVM_SYSTEM_TIME_NEW:
            self.host_keep_system_time(vcpu, data)
            return 1 if self.kvm_write_system_time(vcpu, gpa, enable) != 0 else 0
        if index == MSR_KVM_STEAL_TIME:
            if data & KVM_STEAL_RESERVED_MASK != 0:
                return 1
            self.host_keep_steal_time(vcpu, data)
            vcpu.st.enabled = enable
            self.kvm_gfn_to_hva_cache_init(kvm, vcpu.st.cache, gpa if enable else INVALID_GPA, self.STEAL_SIZE)
            # If there is no memslot yet, the next run looks the new address up, not the old one.
            vcpu.st.cache.gpa = gpa if enable else INVALID_GPA
            return 0
        if index == MSR_KVM_WALL_CLOCK_NEW:
            self.kvm_write_wall_clock(kvm, data)
            return 0
        if index == MSR_KVM_ASYNC_PF_EN:
            return self.kvm_pv_enable_async_pf(vcpu, data)
        if index == MSR_KVM_ASYNC_PF_ACK:
            if data & 1:
                vcpu.apf.pageready_pending = False
                self.kvm_check_async_pf_completion(vcpu)
            return 0
        is_event_page = index == HV_X64_MSR_SIEFP
        if is_event_page or index == HV_X64_MSR_SIMP:
            return self.kvm_hv_set_msr_common(vcpu, index, data, host)
        return 1

    @part_of("kvm_set_msr_common")
    @host_only
    def host_keep_system_time(self, vcpu: KvmVcpu, data: int) -> None:
        """Keep what the clock MSR reads as.

        Linux: arch/x86/kvm/msrs.c kvm_set_msr_common(), v7.3.4.
        """
        vcpu.host_msr_system_time = data

    @part_of("kvm_set_msr_common")
    @host_only
    def host_keep_steal_time(self, vcpu: KvmVcpu, data: int) -> None:
        """Keep what the MSR of steal time reads as.

        Linux: arch/x86/kvm/msrs.c kvm_set_msr_common(), v7.3.4.
        """
        vcpu.host_msr_steal_time = data

    def kvm_get_msr_common(self, vcpu: KvmVcpu, index: int) -> int:
        """Read an MSR: the last value written, whether or not the write had an effect.

        Linux: arch/x86/kvm/msrs.c kvm_get_msr_common(), v7.3.4.
        Simplified: every MSR other than that of steal time reads as the clock's.
        """
        return vcpu.host_msr_steal_time if index == MSR_KVM_STEAL_TIME else vcpu.host_msr_system_time

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """Set or disable the address of the guest's clock. The guest gets no error.

        Linux: arch/x86/kvm/msrs.c kvm_write_system_time(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0.
        Simplified: void in Linux; a posted patch returns the result of the activation. The request is for this vCPU's
        clock; KVM_REQ_GLOBAL_CLOCK_UPDATE requests that of every vCPU, and kicks them, when this one runs next.
        """
        vcpu.clock_update = True
        if enable:
            self.kvm_gpc_activate(vcpu.pv_time, gpa, self.PVCLOCK_SIZE)
        else:
            self.kvm_gpc_deactivate(vcpu.pv_time)
        return 0

    def kvm_write_wall_clock(self, kvm: Kvm, gpa: Gpa) -> None:
        """Write the boot time once: version odd, contents, version even. The guest gets no error.

        Linux: arch/x86/kvm/msrs.c kvm_write_wall_clock(), v7.3.4.
        Locks: SRCU.
        Simplified: the boot time is zero, when the model's clock starts; an odd version is skipped.
        """
        if gpa == 0 or self.kvm_read_guest_page(kvm, self.gpa_to_gfn(gpa), self.offset_in_page(gpa), 4) != 0:
            return
        version = int.from_bytes(self.host_read_guest(kvm, gpa, 4), "little")
        version = version + (version & 1) + 1 & 0xFFFFFFFF
        gfn, offset = self.gpa_to_gfn(gpa), self.offset_in_page(gpa)
        if self.kvm_write_guest_page(kvm, gfn, version.to_bytes(4, "little"), offset) != 0:
            return
        self.kvm_write_guest_page(kvm, gfn, version.to_bytes(12, "little"), offset)
        self.kvm_write_guest_page(kvm, gfn, (version + 1 & 0xFFFFFFFF).to_bytes(4, "little"), offset)

    def kvm_pv_enable_async_pf(self, vcpu: KvmVcpu, data: int) -> int:
        """Set the address of the guest's token, and request a first report that every page is ready.

        Linux: arch/x86/kvm/msrs.c kvm_pv_enable_async_pf(), virt/kvm/async_pf.c kvm_async_pf_wakeup_all(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 if the write is refused: reserved bits, no in-kernel APIC, no memslot.
        Simplified: an in-kernel APIC is always enabled.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if data & KVM_ASYNC_PF_RESERVED:
            return 1
        if not vcpu.apic_enabled:
            return 1 if data != 0 else 0
        enable = data & KVM_ASYNC_PF_WANTED == KVM_ASYNC_PF_WANTED
        address = data & ~(KVM_ASYNC_PF_ALIGN - 1)
        if enable and self.kvm_gfn_to_hva_cache_init(kvm, vcpu.apf.data, address, self.APF_LENGTH) != 0:
            return 1
        vcpu.apf.enabled = enable
        vcpu.apf.wakeup_all = enable
        return 0
