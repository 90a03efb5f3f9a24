# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: ioctls of the VMM of a Xen guest; for direct execution."""

from __future__ import annotations

from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.uapi.asm.kvm import (
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_MSR_MAX_INDEX,
    KVM_XEN_MSR_MIN_INDEX,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
)
from pfncache.linux.arch.x86.kvm.x86.vcpu_run import VcpuRun
from pfncache.linux.arch.x86.kvm.xen.runstate import XenRunstate
from pfncache.linux.arch.x86.kvm.xen.shared_info import XenSharedInfo
from pfncache.linux.arch.x86.kvm.xen.timer import XenTimer
from pfncache.linux.arch.x86.kvm.xen.vcpu_info import XenVcpuInfo
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOENT, ENOTCONN, ENXIO
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
from pfncache.linux.include.xen.interface.xen import RUNSTATE_OFFLINE, RUNSTATE_RUNNABLE, RUNSTATE_RUNNING
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.kernel.softirq import Softirq
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded

PERMITTED_FLAGS = (
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE
)
VCPU_INFO_SIZE = 64
"""sizeof(struct vcpu_info), in bytes."""
FIRST_VECTOR = 0x10
"""The lowest interrupt vector that is not an exception."""


class XenIoctl(VcpuRun, XenSharedInfo, XenVcpuInfo, XenTimer, XenRunstate, Softirq):
    """KVM_XEN_HVM_CONFIG, KVM_XEN_HVM_SET_ATTR, KVM_XEN_VCPU_SET_ATTR, KVM_XEN_HVM_EVTCHN_SEND."""

    def kvm_xen_hvm_config(self, kvm: Kvm, flags: int, msr: int) -> Errno:
        """Configure the VM: KVM_XEN_HVM_CONFIG. A nonzero MSR for the hypercall page makes it a Xen guest.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_config(), v7.3.4.
        Returns: 0, or -EINVAL.
        Simplified: no hypercall page that user space supplies.
        """
        if flags & ~PERMITTED_FLAGS != 0:
            return -EINVAL
        if msr != 0 and not KVM_XEN_MSR_MIN_INDEX <= msr <= KVM_XEN_MSR_MAX_INDEX:
            return -EINVAL
        with mutex(kvm.xen.xen_lock):
            changed = kvm.xen.host_flags ^ flags
            kvm.xen.hvm_config = msr != 0
            kvm.xen.host_flags = flags
        if changed & KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE != 0:
            for vcpu in kvm.vcpus:
                vcpu.clock_update = True
        return 0

    def kvm_xen_hvm_set_attr(self, kvm: Kvm, attribute: int, value: int) -> Errno:
        """Set an attribute of the VM: KVM_XEN_HVM_SET_ATTR.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_set_attr(), v7.3.4.
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
        if attribute not in (KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA):
            return -ENOENT
        by_hva = attribute == KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA
        if by_hva and value % self.PAGE_SIZE != 0:
            return -EINVAL
        if value == (0 if by_hva else KVM_XEN_INVALID_GPA):
            self.disable_shared_info(kvm)
            return 0
        return self.set_shared_info(kvm, value * self.PAGE_SIZE, value, by_hva)

    def kvm_xen_vcpu_set_attr(self, vcpu: KvmVcpu, attribute: int, value: int, expires: int) -> Errno:
        """Set an attribute of a vCPU; `value` is an address, a state, a vector, or a timer's port and priority.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Returns: 0, -EINVAL, -ENXIO (not aligned), -ENOENT (no such attribute), or the error of the activation.
        Simplified: RUNSTATE_DATA, RUNSTATE_ADJUST and VCPU_ID are refused.
        """
        places = {
            KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO: (vcpu.xen.vcpu_info_cache, VCPU_INFO_SIZE),
            KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO: (vcpu.xen.vcpu_time_info_cache, self.PVCLOCK_SIZE),
        }
        if attribute in places:
            return self._set_vcpu_place(vcpu, *places[attribute], value)
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA:
            return self._set_vcpu_info_hva(vcpu, value)
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR:
            if value == KVM_XEN_INVALID_GPA:
                self.disable_runstate_area(vcpu)
                return 0
            return self.set_runstate_area(vcpu, value)
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
            return self._set_runstate(vcpu, value)
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_TIMER:
            return self._set_timer(vcpu, value & KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL, value >> 32, expires)
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR:
            return self._set_vector(vcpu, value)
        return -ENOENT

    @part_of("kvm_xen_vcpu_set_attr")
    def _set_vcpu_place(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, length: int, gpa: int) -> Errno:
        """Set or disable vcpu_info, or the time information of a vCPU, by its gpa.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        if gpa == KVM_XEN_INVALID_GPA:
            self.disable_vcpu_info(vcpu, gpc)
            return 0
        return self.set_vcpu_info(vcpu, gpc, gpa, length)

    @part_of("kvm_xen_vcpu_set_attr")
    def _set_vcpu_info_hva(self, vcpu: KvmVcpu, hva: int) -> Errno:
        """Set or disable vcpu_info by its user address.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gpc = vcpu.xen.vcpu_info_cache
        if hva == 0:
            self.disable_vcpu_info(vcpu, gpc)
            return 0
        if not self.vcpu_info_is_aligned(hva):
            return -ENXIO
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            ret = self.kvm_gpc_activate_hva(gpc, hva, VCPU_INFO_SIZE)
            if ret == 0:
                vcpu.clock_update = True
            return ret

    @part_of("kvm_xen_vcpu_set_attr")
    def _set_runstate(self, vcpu: KvmVcpu, state: int) -> Errno:
        """Set the runstate of a vCPU.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if state > RUNSTATE_OFFLINE:
            return -EINVAL
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), mutex(kvm.xen.xen_lock), srcu_read_lock(kvm.srcu):
            self._enter_runstate(kvm, vcpu, state)
            self.kvm_xen_update_runstate(vcpu, state == RUNSTATE_RUNNABLE)
        return 0

    @part_of("kvm_xen_update_runstate")
    def _enter_runstate(self, kvm: Kvm, vcpu: KvmVcpu, state: int) -> None:
        """Record the new runstate and the time of the change.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        """
        self.host_clock += 1
        vcpu.xen.host_runstate = state
        vcpu.xen.host_runstate_entry_time = self.host_clock + kvm.host_kvmclock_offset

    @part_of("kvm_xen_vcpu_set_attr")
    def _set_timer(self, vcpu: KvmVcpu, port: int, priority: int, expires: int) -> Errno:
        """Stop the timer, and restart it if it has a port and an expiry time.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if port != 0 and priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL:
            return -EINVAL
        vcpu.xen.host_timer_virq = port
        vcpu.xen.host_timer_expires = expires
        self.use_timer_port(vcpu)
        return self.set_timer(vcpu, port != 0 and expires != 0, expires <= self.host_clock + kvm.host_kvmclock_offset)

    @part_of("kvm_xen_vcpu_set_attr")
    def _set_vector(self, vcpu: KvmVcpu, vector: int) -> Errno:
        """Set the vector by which the vCPU receives upcalls.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        """
        if 0 < vector < FIRST_VECTOR:
            return -EINVAL
        vcpu.xen.upcall_vector = vector != 0
        return 0

    @part_of_caller
    def use_timer_port(self, vcpu: KvmVcpu) -> None:
        """Make the timer's port the event that is sent.

        Linux: arch/x86/kvm/xen.c xen_timer_callback(), kvm_xen_inject_timer_irqs(), v7.3.4.
        """
        current().host_evtchn_port = vcpu.xen.host_timer_virq

    def kvm_xen_runstate_set_running(self, vcpu: KvmVcpu) -> None:
        """Set the runstate of a vCPU that runs: at each KVM_RUN, as vcpu_load() requests it.

        Linux: arch/x86/kvm/xen.h kvm_xen_runstate_set_running(), arch/x86/kvm/x86.c vcpu_enter_guest() with
        KVM_REQ_STEAL_UPDATE, v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self._enter_runstate(kvm, vcpu, RUNSTATE_RUNNING)
        self.run_runstate_update(vcpu)

    @part_of("hrtimer_interrupt")
    def host_timer_interrupt(self, vcpu: KvmVcpu) -> None:
        """Let the timer expire, if it is set.

        Linux: kernel/time/hrtimer.c hrtimer_interrupt(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.use_timer_port(vcpu)
        self.expire_timer(kvm, vcpu, current())

    @part_of("kvm_xen_vcpu_get_attr")
    def get_timer_expires(self, vcpu: KvmVcpu) -> int:
        """Return the expiry time of the timer, or 0.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_get_attr(), v7.3.4.
        """
        self.use_timer_port(vcpu)
        self.get_timer(vcpu)
        return vcpu.xen.host_timer_expires if vcpu.xen.timer_expires else 0

    def kvm_xen_hvm_evtchn_send(self, kvm: Kvm, port: int, vcpu_id: int, priority: int) -> Errno:
        """Send an event to the guest: KVM_XEN_HVM_EVTCHN_SEND. The result does not distinguish delivered from masked.

        Linux: arch/x86/kvm/xen.c kvm_xen_hvm_evtchn_send(), v7.3.4.
        Returns: 0, -EINVAL, or the error of the refresh.
        """
        if port == 0 or port >= self.max_evtchn_port(kvm) or priority != KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL:
            return -EINVAL
        if vcpu_id >= len(kvm.vcpus):
            return -EINVAL
        current().host_evtchn_port = port
        ret = self.kvm_xen_set_evtchn(kvm, kvm.vcpus[vcpu_id])
        return 0 if ret > 0 or ret == -ENOTCONN else ret
