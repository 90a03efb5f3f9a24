# SPDX-License-Identifier: GPL-2.0-only
"""The model's functions of arch/x86/kvm/xen.c and xen.h whose parameters or results are not the C's."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.csource.kvm.xen import XenHelpers
from pfncache.lang.part_of import part_of_caller
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL

SetEvtchn = Callable[..., tuple[Errno, int, bool]]
"""The C's kvm_xen_set_evtchn(), and its fast form."""


class XenAdapters(XenHelpers):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_xen_has_interrupt: Callable[..., int]
    c_kvm_xen_set_evtchn_fast: SetEvtchn
    c_kvm_xen_set_evtchn: SetEvtchn
    c_kvm_xen_hvm_evtchn_send: Callable[..., Errno]
    c_kvm_xen_hvm_set_attr: Callable[..., Errno]
    c_kvm_xen_vcpu_set_attr: Callable[..., Errno]
    c_kvm_xen_vcpu_get_attr: Callable[..., tuple[Errno, ...]]
    c_kvm_xen_start_timer: Callable[..., None]
    c_kvm_xen_inject_timer_irqs: Callable[..., None]
    c_xen_timer_callback: Callable[..., int]

    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Return a truth value."""
        return self.c_kvm_xen_has_interrupt(vcpu) != 0

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Pass the event as a structure."""
        return self.with_event(self.c_kvm_xen_set_evtchn_fast, kvm, vcpu)

    def kvm_xen_set_evtchn(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Pass the event as a structure."""
        return self.with_event(self.c_kvm_xen_set_evtchn, kvm, vcpu)

    @part_of_caller
    def with_event(self, set_evtchn: SetEvtchn, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Call a function with the event that the task sends, as struct kvm_xen_evtchn."""
        return set_evtchn(
            kvm,
            xe_port=self.evtchn_port(),
            xe_vcpu_id=self.index_of(vcpu),
            xe_vcpu_idx=self.index_of(vcpu),
            xe_priority=KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
        )[0]

    def kvm_xen_hvm_evtchn_send(self, kvm: Kvm, port: int, vcpu_id: int, priority: int) -> Errno:
        """Pass the event as a structure."""
        return self.c_kvm_xen_hvm_evtchn_send(kvm, uxe_port=port, uxe_vcpu=vcpu_id, uxe_priority=priority)

    def kvm_xen_hvm_set_attr(self, kvm: Kvm, attribute: int, value: int) -> Errno:
        """Pass the attribute as a structure with a union."""
        return self.c_kvm_xen_hvm_set_attr(
            kvm,
            data_type=attribute,
            data_u_long_mode=value,
            data_u_vector=value,
            data_u_runstate_update_flag=value,
            data_u_shared_info_gfn=value,
            data_u_shared_info_hva=value,
            data_u_evtchn_send_port=value,
            data_u_evtchn_type=0,
            data_u_evtchn_flags=0,
            data_u_xen_version=value,
        )

    def kvm_xen_vcpu_set_attr(self, vcpu: KvmVcpu, attribute: int, value: int, expires: int) -> Errno:
        """Pass the attribute as a structure with a union."""
        return self.c_kvm_xen_vcpu_set_attr(
            vcpu,
            data_type=attribute,
            data_u_gpa=value,
            data_u_hva=value,
            data_u_runstate_state=value,
            data_u_runstate_state_entry_time=0,
            data_u_runstate_time_running=0,
            data_u_runstate_time_runnable=0,
            data_u_runstate_time_blocked=0,
            data_u_runstate_time_offline=0,
            data_u_vcpu_id=value,
            data_u_timer_port=value & KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
            data_u_timer_priority=value >> 32,
            data_u_timer_expires_ns=expires,
            data_u_vector=value,
        )

    def kvm_xen_vcpu_get_attr(self, vcpu: KvmVcpu, attribute: int) -> Errno:
        """Drop the values."""
        return self.c_kvm_xen_vcpu_get_attr(
            vcpu,
            data_type=attribute,
            data_u_gpa=0,
            data_u_hva=0,
            data_u_runstate_state=0,
            data_u_runstate_state_entry_time=0,
            data_u_runstate_time_running=0,
            data_u_runstate_time_runnable=0,
            data_u_runstate_time_blocked=0,
            data_u_runstate_time_offline=0,
            data_u_vcpu_id=0,
            data_u_timer_port=0,
            data_u_timer_priority=0,
            data_u_timer_expires_ns=0,
            data_u_vector=0,
        )[0]

    def kvm_xen_start_timer(self, vcpu: KvmVcpu, guest_abs: int) -> None:
        """Set the timer as its VMM does, not as a guest."""
        self.c_kvm_xen_start_timer(vcpu, guest_abs, False)

    def kvm_xen_inject_timer_irqs(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Pass the vCPU alone."""
        self.c_kvm_xen_inject_timer_irqs(vcpu)

    def xen_timer_callback(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Pass the timer."""
        self.c_xen_timer_callback(vcpu.xen.timer)
