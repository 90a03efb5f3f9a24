# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: attributes that the VMM of a Xen guest sets."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm import (
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_INVALID_GFN,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
)
from pfncache.linux.arch.x86.kvm.xen.runstate import XenRunstate
from pfncache.linux.arch.x86.kvm.xen.shared_info import XenSharedInfo
from pfncache.linux.arch.x86.kvm.xen.timer import XenTimer
from pfncache.linux.arch.x86.kvm.xen.vcpu_info import XenVcpuInfo
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOENT, ENXIO
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
from pfncache.linux.include.xen.interface.xen import RUNSTATE_OFFLINE
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock

FIRST_VECTOR = 0x10
"""The lowest interrupt vector that is not an exception."""


class XenAttributes(XenSharedInfo, XenVcpuInfo, XenTimer, XenRunstate):
    """The functions of arch/x86/kvm/xen.c for attributes."""

    # The VM

    def kvm_xen_hvm_set_attr(self, kvm: Kvm, attribute: int, value: int) -> Errno:
        """Set an attribute of the VM; `value` is a gfn, a user address, a mode or a vector.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        Locks: takes xen_lock, and SRCU; may sleep.
        Returns: 0, -EINVAL, -ENOENT (no such attribute), or the error of activation or refresh.
        Simplified: no outbound event channels; KVM_XEN_ATTR_TYPE_XEN_VERSION and RUNSTATE_UPDATE_FLAG are refused too,
        and the upcall vector is not kept.
        """
        if attribute == KVM_XEN_ATTR_TYPE_LONG_MODE:
            with mutex(kvm.xen.xen_lock):
                kvm.xen.long_mode = value != 0
                return self.kvm_xen_shared_info_init(kvm) if kvm.xen.shinfo_cache.active else 0
        if attribute == KVM_XEN_ATTR_TYPE_UPCALL_VECTOR:
            return -EINVAL if 0 < value < FIRST_VECTOR else 0
        by_hva = attribute == KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA
        if attribute != KVM_XEN_ATTR_TYPE_SHARED_INFO and not by_hva:
            return -ENOENT
        with mutex(kvm.xen.xen_lock):
            with srcu_read_lock(kvm.srcu):
                ret: Errno = self.shared_info_by_hva(kvm, value) if by_hva else self.shared_info_by_gfn(kvm, value)
            if ret == 0 and kvm.xen.shinfo_cache.active:
                ret = self.kvm_xen_shared_info_init(kvm)
            return ret

    @part_of("kvm_xen_hvm_set_attr")
    def shared_info_by_gfn(self, kvm: Kvm, gfn: int) -> Errno:
        """Set or disable shared_info by its gfn.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        Locks: xen_lock, SRCU.
        Returns: 0, or the error of the activation.
        """
        if gfn == KVM_XEN_INVALID_GFN:
            self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)
            return 0
        return self.kvm_gpc_activate(kvm.xen.shinfo_cache, gfn * self.PAGE_SIZE, self.PAGE_SIZE)

    @part_of("kvm_xen_hvm_set_attr")
    def shared_info_by_hva(self, kvm: Kvm, hva: Hva) -> Errno:
        """Set or disable shared_info by its user address.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
        Locks: xen_lock, SRCU.
        Returns: 0, -EINVAL (not aligned), or the error of the activation.
        """
        if hva % self.PAGE_SIZE != 0:
            return -EINVAL
        if hva == 0:
            self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)
            return 0
        return self.kvm_gpc_activate_hva(kvm.xen.shinfo_cache, hva, self.PAGE_SIZE)

    # A vCPU

    def kvm_xen_vcpu_set_attr(self, vcpu: KvmVcpu, attribute: int, value: int, expires: int) -> Errno:
        """Set an attribute of a vCPU; `value` is an address, a state, a vector, or a timer's port and priority.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex; takes xen_lock, and SRCU; may sleep.
        Returns: 0, -EINVAL, -ENXIO (not aligned), -ENOENT (no such attribute), or the error of the activation.
        Simplified: RUNSTATE_DATA, RUNSTATE_ADJUST and VCPU_ID are refused.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO:
                return self.vcpu_info_by_gpa(vcpu, value)
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA:
                return self.vcpu_info_by_hva(vcpu, value)
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO:
                return self.set_clock_area(vcpu, vcpu.xen.vcpu_time_info_cache, value, self.PVCLOCK_SIZE)
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
                return self.runstate_area(vcpu, value)
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
                if value > RUNSTATE_OFFLINE:
                    return -EINVAL
                self.kvm_xen_update_runstate(vcpu, value)
                return 0
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_TIMER:
                return self.timer_by_port(vcpu, value & KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL, value >> 32, expires)
            if attribute == KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
                if 0 < value < FIRST_VECTOR:
                    return -EINVAL
                vcpu.xen.upcall_vector = value != 0
                return 0
            return -ENOENT

    @part_of("kvm_xen_vcpu_set_attr")
    def vcpu_info_by_gpa(self, vcpu: KvmVcpu, gpa: int) -> Errno:
        """Set or disable vcpu_info by its gpa.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock, SRCU.
        """
        if gpa != KVM_XEN_INVALID_GPA and not self.vcpu_info_is_aligned(gpa):
            return -ENXIO
        return self.set_clock_area(vcpu, vcpu.xen.vcpu_info_cache, gpa, self.VCPU_INFO_SIZE)

    @part_of("kvm_xen_vcpu_set_attr")
    def vcpu_info_by_hva(self, vcpu: KvmVcpu, hva: Hva) -> Errno:
        """Set or disable vcpu_info by its user address.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock, SRCU.
        """
        if hva == 0:
            self.kvm_gpc_deactivate(vcpu.xen.vcpu_info_cache)
            return 0
        if not self.vcpu_info_is_aligned(hva):
            return -ENXIO
        ret = self.kvm_gpc_activate_hva(vcpu.xen.vcpu_info_cache, hva, self.VCPU_INFO_SIZE)
        if ret == 0:
            vcpu.clock_update = True
        return ret

    @part_of("kvm_xen_vcpu_set_attr")
    def set_clock_area(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, gpa: int, length: int) -> Errno:
        """Set or disable vcpu_info, or the time information, and request a clock update.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock, SRCU.
        """
        if gpa == KVM_XEN_INVALID_GPA:
            self.kvm_gpc_deactivate(gpc)
            return 0
        ret = self.kvm_gpc_activate(gpc, gpa, length)
        if ret == 0:
            vcpu.clock_update = True
        return ret

    @part_of("kvm_xen_vcpu_set_attr")
    def runstate_area(self, vcpu: KvmVcpu, gpa: int) -> Errno:
        """Set or disable the runstate area.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock, SRCU.
        """
        ret: Errno = 0 if gpa == KVM_XEN_INVALID_GPA else self.activate_runstate_area(vcpu, gpa)
        if gpa == KVM_XEN_INVALID_GPA or ret != 0:
            self.kvm_gpc_deactivate(vcpu.xen.runstate_cache)
            self.kvm_gpc_deactivate(vcpu.xen.runstate2_cache)
            return ret
        self.kvm_xen_update_runstate_guest(vcpu, False)
        return 0

    @part_of("kvm_xen_vcpu_set_attr")
    def timer_by_port(self, vcpu: KvmVcpu, port: int, priority: int, expires: int) -> Errno:
        """Stop the timer, and restart it if it has a port and an expiry time.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: vcpu.mutex, xen_lock, SRCU.
        """
        if port != 0 and priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL:
            return -EINVAL
        self.kvm_xen_stop_timer(vcpu)
        self.host_set_timer(vcpu, port, expires)
        if port != 0 and expires != 0:
            self.kvm_xen_start_timer(vcpu, expires)
        return 0

    @part_of("kvm_xen_vcpu_set_attr")
    @host_only
    def host_set_timer(self, vcpu: KvmVcpu, port: int, expires: int) -> None:
        """Keep the timer's port and expiry time.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        vcpu.xen.host_timer_virq = port
        vcpu.xen.host_timer_expires = expires

    def kvm_xen_vcpu_get_attr(self, vcpu: KvmVcpu, attribute: int) -> Errno:
        """Read an attribute of a vCPU.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_get_attr(), v7.3.4.
        Locks: vcpu.mutex; takes xen_lock; may sleep.
        Returns: 0, or -ENOENT.
        Simplified: values are not returned; the timer is the one attribute whose read has an effect.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(kvm.xen.xen_lock):
            return self.timer_attr(vcpu) if attribute == KVM_XEN_VCPU_ATTR_TYPE_TIMER else -ENOENT
