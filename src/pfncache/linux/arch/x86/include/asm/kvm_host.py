# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/kvm_host.h: what x86 adds to struct kvm and struct kvm_vcpu."""

from __future__ import annotations

from pfncache.lang.records import Record
from pfncache.linux.include.linux.kvm_types import GfnToHvaCache, GfnToPfnCache
from pfncache.linux.kernel.locking.mutex import Mutex


class KvmSteal(Record):
    """vcpu->arch.st: steal time."""

    enabled: bool
    cache: GfnToHvaCache


class KvmApf(Record):
    """vcpu->arch.apf: the notification of asynchronous page faults that have completed."""

    enabled: bool
    """KVM_ASYNC_PF_ENABLED and KVM_ASYNC_PF_DELIVERY_AS_INT are set in msr_en_val: notification is by interrupt."""
    data: GfnToHvaCache
    wakeup_all: bool
    """vcpu->async_pf.done has the entry that wakes every waiting task of the guest."""
    pageready_pending: bool


class KvmVcpuXen(Record):
    """struct kvm_vcpu_xen."""

    vcpu_info_cache: GfnToPfnCache
    vcpu_time_info_cache: GfnToPfnCache
    runstate_cache: GfnToPfnCache
    runstate2_cache: GfnToPfnCache
    evtchn_pending_sel: bool
    """An event waits for delivery until vcpu_info can be accessed again."""
    upcall_vector: bool
    """KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR is set: events are delivered as MSIs."""
    timer_pending: bool
    """A timer has expired; its event is delivered when the vCPU runs next."""
    host_pending_sel: int = 0
    """evtchn_pending_sel, in direct execution."""
    host_timer_virq: int = 0
    host_timer_expires: int = 0
    """timer_virq and timer_expires, in direct execution: the event of the timer, and its time in ns, 0 for none."""
    host_runstate: int = 0
    host_runstate_entry_time: int = 0
    """current_runstate and runstate_entry_time, in direct execution."""


class KvmXen(Record):
    """struct kvm_xen."""

    hvm_config: bool
    """arch.xen_hvm_config.msr is set: the VM runs a Xen guest."""
    xen_lock: Mutex
    shinfo_cache: GfnToPfnCache
    host_long_mode: bool = False
    """long_mode, in direct execution: the layout of shared_info."""
    host_flags: int = 0
    """arch.xen_hvm_config.flags, in direct execution."""
