# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of a vCPU's thread that is preempted in the middle of one operation, whichever it is.

vcpu_load() registers KVM's preemption notifier, under vcpu->mutex: kvm_sched_out() runs where the thread has loaded the
vCPU, and there alone.
"""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR
from pfncache.linux.arch.x86.include.uapi.asm.kvm_para import KVM_MSR_ENABLED, MSR_KVM_SYSTEM_TIME_NEW
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.trace.events.kvm import CACHE_USED
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World, no_caches
from pfncache.scenarios.xen import shared_info, vcpu_info


def _preempted(w: World, *calls: Call) -> World:
    """Add a vCPU that makes calls, and the scheduler, which may preempt its thread once."""
    w.actor("vcpu", *calls)
    return w.actor("scheduler", w.call("preempt", w.vcpu, w.actors[-1].task), interrupts="vcpu")


@scenario
def system_time(w: World) -> None:
    """The thread is preempted while user space sets the address of kvm-clock: KVM_SET_MSRS."""
    _preempted(w, returns(w.call("set_msr_system_time", w.vcpu, w.gpa, True), 1))


@scenario
def msr(w: World) -> None:
    """The thread is preempted while user space sets MSR_KVM_SYSTEM_TIME_NEW: msr_io()."""
    _preempted(w, returns(w.call("msr_io", w.vcpu, MSR_KVM_SYSTEM_TIME_NEW, w.gpa | KVM_MSR_ENABLED), 1))


@scenario(log_dirty=True)
def translate(w: World) -> None:
    """The thread is preempted in KVM_TRANSLATE, which sets the accessed bit of a page-table entry."""
    _preempted(w, returns(w.call("kvm_arch_vcpu_ioctl_translate", w.vcpu, w.gpa), 0))


@scenario
def guest_paused(w: World) -> None:
    """The thread is preempted in KVM_KVMCLOCK_CTRL."""
    _preempted(w.clock_on(), returns(w.call("kvm_set_guest_paused", w.vcpu), 0))


@scenario
def guest_paused_without_clock(w: World) -> None:
    """The thread is preempted in KVM_KVMCLOCK_CTRL, which fails for a guest without kvm-clock."""
    _preempted(w, returns(w.call("kvm_set_guest_paused", w.vcpu), -EINVAL))


def _two_caches(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the caches of shared_info and vcpu_info."""
    return (*shared_info(vcpu), *vcpu_info(vcpu))


def _xen(w: World) -> World:
    """Set shared_info and vcpu_info of a Xen guest."""
    return w.do(w.call("set_shared_info", w.kvm, w.gpa, 0, False), w.call("set_vcpu_info", w.vcpu, w.gpa))


@scenario(caches=_two_caches)
def events(w: World) -> None:
    """The thread is preempted while KVM_RUN delivers an event that waited."""
    _xen(w).vcpu.xen.evtchn_pending_sel = True
    _preempted(w, w.call("run_event_injection", w.vcpu))


@scenario(caches=_two_caches)
def timer(w: World) -> None:
    """The thread is preempted while KVM_RUN delivers a timer that has expired."""
    _xen(w).vcpu.xen.timer_pending = True
    _preempted(w, w.call("run_timer_injection", w.vcpu))


@scenario(caches=_two_caches)
def timer_set(w: World) -> None:
    """The thread is preempted while user space sets a timer that expires later."""
    _preempted(_xen(w), returns(w.call("set_timer", w.vcpu, True, False), 0))


@scenario(caches=_two_caches)
def timer_read(w: World) -> None:
    """The thread is preempted while user space reads a timer: KVM_XEN_VCPU_GET_ATTR."""
    _xen(w).do(w.call("set_timer", w.vcpu, True, False))
    _preempted(w, returns(w.call("get_timer", w.vcpu), 0))


@scenario(caches=_two_caches)
def attribute(w: World) -> None:
    """The thread is preempted while user space sets the upcall vector: KVM_XEN_VCPU_SET_ATTR."""
    kind = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR
    _preempted(
        w,
        returns(w.call("set_vcpu_attr", w.vcpu, kind, 0x20, 0), 0),
        returns(w.call("set_vcpu_attr", w.vcpu, kind, 0x0F, 0), -EINVAL),
    )


@scenario(caches=_two_caches)
def interrupt(w: World) -> None:
    """The thread is preempted while KVM_RUN looks for an upcall."""
    _preempted(_xen(w), returns(w.call("run_has_interrupt", w.vcpu), 1))


@scenario(caches=_two_caches)
def halted(w: World) -> None:
    """The thread of a halted vCPU is preempted while it looks for an upcall before it sleeps."""
    w.cannot_reach("vcpu: run_block() succeeded", "the model's vcpu_info always has an upcall pending")
    _preempted(_xen(w), returns(w.call("run_block", w.vcpu), 0))


@scenario(caches=shared_info)
def poll(w: World) -> None:
    """The thread is preempted while a vCPU polls for an event that is pending."""
    w.do(w.call("set_shared_info", w.kvm, w.gpa, 0, False))
    w.kvm.xen.evtchn_masked = w.kvm.xen.evtchn_pending = True
    w.reaches(CACHE_USED)
    _preempted(w, returns(w.call("run_schedop_poll", w.vcpu, w.gpa), 0))


@scenario(caches=no_caches)
def nested_entry(w: World) -> None:
    """The thread is preempted while a vCPU enters L2, which fails, as its virtual-APIC page is in no memslot."""
    _preempted(w, returns(w.call("run_nested_entry", w.vcpu, w.gpa + w.kernel.PAGE_SIZE), -EINVAL))


@scenario(caches=no_caches)
def nested(w: World) -> None:
    """The thread is preempted while a vCPU enters L2, runs it, and exits to L1."""
    _preempted(
        w,
        returns(w.call("run_nested_entry", w.vcpu, w.gpa), 0),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )


@scenario(caches=no_caches, log_dirty=True)
def vmsave(w: World) -> None:
    """The thread is preempted while KVM emulates VMSAVE, which writes to a page of L1 that it maps meanwhile."""
    _preempted(w, returns(w.call("vmload_vmsave_interception", w.vcpu, w.gpa), 0))


@scenario(memory=MemoryKind.GMEM_COCO, caches=no_caches)
def snp_guest(w: World) -> None:
    """The thread is preempted while a vCPU runs an SNP guest, before and after the entry."""
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa))
    run = w.call("run_snp_guest", w.vcpu)
    _preempted(w, run, run)
