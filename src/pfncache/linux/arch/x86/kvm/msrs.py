# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c, msrs.c: the ioctls for MSRs and for the clock; for direct execution."""

from __future__ import annotations

from pfncache.linux.arch.x86.kvm.x86.clock import X86
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import INVALID_GPA, Errno, Gpa
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock

MSR_KVM_WALL_CLOCK_NEW = 0x4B564D00
MSR_KVM_SYSTEM_TIME = 0x12
MSR_KVM_SYSTEM_TIME_NEW = 0x4B564D01
MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_ACK = 0x4B564D02, 0x4B564D07
MSR_KVM_STEAL_TIME = 0x4B564D03
KVM_MSR_ENABLED = 1
KVM_STEAL_RESERVED_MASK = 0x3E

PT_PRESENT_MASK = 1
PT_BASE_ADDR_MASK = ((1 << 52) - 1) & ~((1 << 21) - 1)
"""Of an entry that maps 2 MiB."""


class Ioctl(X86):
    """KVM_SET_MSRS, KVM_GET_MSRS, KVM_SET_CLOCK, KVM_GET_CLOCK, KVM_KVMCLOCK_CTRL."""

    def msr_io(self, vcpu: KvmVcpu, index: int, data: int) -> int:
        """KVM_SET_MSRS of one MSR.

        Linux: arch/x86/kvm/msrs.c msr_io(), v7.3.4.
        Returns: how many were set.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            return 1 if self.kvm_set_msr_common(vcpu, index, data) == 0 else 0

    def kvm_set_msr_common(self, vcpu: KvmVcpu, index: int, data: int) -> int:
        """Write an MSR.

        Linux: arch/x86/kvm/msrs.c kvm_set_msr_common(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 where the write is refused.
        Simplified: the place of steal time is looked up here already.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gpa = data & ~KVM_MSR_ENABLED
        enable = data & KVM_MSR_ENABLED != 0
        if index in (MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW):
            vcpu.host_msr_system_time = data
            return 1 if self.kvm_write_system_time(vcpu, gpa, enable) != 0 else 0
        if index == MSR_KVM_STEAL_TIME:
            if data & KVM_STEAL_RESERVED_MASK != 0:
                return 1
            vcpu.host_msr_steal_time = data
            vcpu.st.enabled = enable
            self.kvm_gfn_to_hva_cache_init(kvm, vcpu.st.cache, gpa if enable else INVALID_GPA)
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
        return 1

    def kvm_arch_vcpu_ioctl_translate(self, vcpu: KvmVcpu, table: Gpa) -> int:
        """KVM_TRANSLATE of an address that is mapped by the page-table entry at `table`, which KVM has not used yet.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl_translate(), kvm_mmu_gva_to_gpa_system(), v7.3.4.
        Returns: the entry's guest physical address, or INVALID_GPA.
        Simplified: the entries above are in other memory, and are right.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            if self.walk_addr_generic(vcpu, table, False) != 0:
                return INVALID_GPA
            entry = int.from_bytes(self.host_read_guest(kvm, table, 8), "little")
            return entry & PT_BASE_ADDR_MASK if entry & PT_PRESENT_MASK else INVALID_GPA

    def kvm_get_msr_common(self, vcpu: KvmVcpu, index: int) -> int:
        """Read an MSR: what was written to it, whether or not that did anything.

        Linux: arch/x86/kvm/msrs.c kvm_get_msr_common(), v7.3.4.
        """
        return vcpu.host_msr_steal_time if index == MSR_KVM_STEAL_TIME else vcpu.host_msr_system_time

    def kvm_set_guest_paused(self, vcpu: KvmVcpu) -> Errno:
        """KVM_KVMCLOCK_CTRL: tell the guest with the next update that it was stopped.

        Linux: arch/x86/kvm/x86.c kvm_set_guest_paused(), v7.3.4.
        Returns: 0, or -EINVAL without a clock.
        """
        with mutex(vcpu.mutex):
            if not vcpu.pv_time.active:
                return -EINVAL
            vcpu.host_guest_stopped = True
            vcpu.clock_update = True
        return 0

    def kvm_vm_ioctl_set_clock(self, kvm: Kvm, nanoseconds: int) -> Errno:
        """KVM_SET_CLOCK: every vCPU is to update its guest's clock.

        Linux: arch/x86/kvm/x86.c kvm_vm_ioctl_set_clock(), v7.3.4.
        Returns: 0.
        """
        kvm.host_kvmclock_offset = nanoseconds - self.host_clock
        for vcpu in kvm.vcpus:
            vcpu.clock_update = True
        return 0

    def flush_delayed_work(self, kvm: Kvm) -> None:
        """Do what a VM has put off: of what is modelled, nothing.

        Linux: kernel/workqueue.c flush_delayed_work(), v7.3.4.
        """

    def get_kvmclock_ns(self, kvm: Kvm) -> int:
        """KVM_GET_CLOCK: the VM's time now, which is later than it was.

        Linux: arch/x86/kvm/x86.c get_kvmclock_ns(), get_kvmclock(), v7.3.4.
        """
        self.host_clock += 1
        return self.host_clock + kvm.host_kvmclock_offset

    def vcpu_enter_guest(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN up to the guest: what has been requested is served.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest(), kvm_arch_vcpu_load(), v7.3.4.
        Simplified: no exit of the guest is an instruction boundary, so that none reports it preempted.
        """
        if vcpu.clock_update:
            self.run_clock_update(vcpu)
        if vcpu.st.enabled:
            self.run_steal_time_update(vcpu)
