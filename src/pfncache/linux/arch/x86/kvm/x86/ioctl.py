# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: ioctls of a VM and of a vCPU."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm import (
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_INVALID_GFN,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
)
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class X86Ioctl(KvmMm):
    """kvm_arch_vm_ioctl() and kvm_arch_vcpu_ioctl(), for attributes of Xen guests."""

    @part_of("kvm_arch_vm_ioctl")
    def set_shared_info(self, kvm: Kvm, gpa: Gpa, uhva: Hva, by_hva: bool) -> Errno:
        """Set the address of shared_info: KVM_XEN_HVM_SET_ATTR.

        Linux: arch/x86/kvm/x86.c kvm_arch_vm_ioctl(), v7.3.4.
        """
        if by_hva:
            return self.kvm_xen_hvm_set_attr(kvm, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, uhva)
        return self.kvm_xen_hvm_set_attr(kvm, KVM_XEN_ATTR_TYPE_SHARED_INFO, self.gpa_to_gfn(gpa))

    @part_of("kvm_arch_vm_ioctl")
    def disable_shared_info(self, kvm: Kvm) -> None:
        """Disable shared_info: KVM_XEN_HVM_SET_ATTR with no address.

        Linux: arch/x86/kvm/x86.c kvm_arch_vm_ioctl(), v7.3.4.
        """
        self.kvm_xen_hvm_set_attr(kvm, KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN)

    @part_of("kvm_arch_vcpu_ioctl")
    def set_vcpu_attr(self, vcpu: KvmVcpu, attribute: int, value: int, expires: int) -> Errno:
        """Set an attribute of a vCPU: KVM_XEN_VCPU_SET_ATTR.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            return self.kvm_xen_vcpu_set_attr(vcpu, attribute, value, expires)

    @part_of("kvm_arch_vcpu_ioctl")
    def set_vcpu_info(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Set the address of vcpu_info.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        return self.set_vcpu_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, gpa, 0)

    @part_of("kvm_arch_vcpu_ioctl")
    def disable_vcpu_info(self, vcpu: KvmVcpu) -> None:
        """Disable vcpu_info.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        self.set_vcpu_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, KVM_XEN_INVALID_GPA, 0)

    @part_of("kvm_arch_vcpu_ioctl")
    def set_vcpu_time_info(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Set the address of the time information.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        return self.set_vcpu_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, gpa, 0)

    @part_of("kvm_arch_vcpu_ioctl")
    def set_runstate_area(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Set the address of the runstate area.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        return self.set_vcpu_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, gpa, 0)

    @part_of("kvm_arch_vcpu_ioctl")
    def set_timer(self, vcpu: KvmVcpu, start: bool, expired: bool) -> Errno:
        """Stop the timer; start it again if `start` is true, at a time that is past if `expired` is true.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        port = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL << 32 | 1 if start else 0
        expires = self.kvmclock_now(kvm) + (0 if expired else 1)
        return self.set_vcpu_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_TIMER, port, expires)

    @part_of("kvm_arch_vcpu_ioctl")
    def get_timer(self, vcpu: KvmVcpu) -> Errno:
        """Read the timer: KVM_XEN_VCPU_GET_ATTR.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_ioctl(), v7.3.4.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            return self.kvm_xen_vcpu_get_attr(vcpu, KVM_XEN_VCPU_ATTR_TYPE_TIMER)
