# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: KVM_XEN_HVM_CONFIG, KVM_XEN_HVM_EVTCHN_SEND and timer interrupts; for direct execution."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm import (
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_MSR_MAX_INDEX,
    KVM_XEN_MSR_MIN_INDEX,
)
from pfncache.linux.arch.x86.kvm.xen.attributes import XenAttributes
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOTCONN
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
from pfncache.linux.kernel.locking.mutex import mutex

PERMITTED_FLAGS = (
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE
)


class XenIoctl(XenAttributes):
    """What the VMM and the machine do to a Xen guest in direct execution."""

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

    @part_of("hrtimer_interrupt")
    def host_timer_interrupt(self, vcpu: KvmVcpu) -> None:
        """Let the timer expire, if it is set.

        Linux: kernel/time/hrtimer.c hrtimer_interrupt(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.expire_timer(kvm, vcpu, current())

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
