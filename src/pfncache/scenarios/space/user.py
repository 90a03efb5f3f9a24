# SPDX-License-Identifier: GPL-2.0-only
"""The dimension of the user: by what path KVM accesses guest memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.check.system import Call
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.scenarios import users
from pfncache.scenarios.space.dimension import Dimension, Value
from pfncache.scenarios.world import World, no_caches
from pfncache.scenarios.xen import runstates, shared_info, vcpu_info

Calls = Callable[[World], tuple[Call, ...]]


def _nothing(w: World) -> tuple[Call, ...]:
    return ()


@dataclass(frozen=True)
class User(Value):
    """A path by which KVM accesses guest memory."""

    use: Calls = _nothing
    """The calls that access the structure once."""
    name_place: Calls = _nothing
    """The calls by which the guest, or the VMM for it, says where the structure is."""
    turn_off: Calls = _nothing
    caches: Callable[[KvmVcpu], tuple[GfnToPfnCache, ...]] = no_caches
    prepare: Callable[[World], object] = _nothing
    """Sets what the structure needs beside its place, without a step."""
    in_task: bool = True
    """A task of the VM's process can be the user."""
    in_kthread: bool = False
    in_interrupt: bool = False
    crosses_pages: bool = False
    """The structure may lie in two pages."""

    @property
    def has_cache(self) -> bool:
        """Whether the path is a pfncache."""
        return self.caches is not no_caches

    @property
    def can_be_named(self) -> bool:
        """Whether an actor can say where the structure is."""
        return self.name_place is not _nothing and self.in_task

    @property
    def can_be_turned_off(self) -> bool:
        """Whether an actor can turn the structure off."""
        return self.turn_off is not _nothing


def pv_time(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache of kvm-clock."""
    return (vcpu.pv_time,)


def _call(name: str, *more: object) -> Calls:
    """Return the operation that calls a function of a vCPU."""
    return lambda w: (w.call(name, w.vcpu, *more),)


def _at_gpa(name: str, *more: object) -> Calls:
    """Return the operation that calls a function of a vCPU with the address of the structure."""
    return lambda w: (w.call(name, w.vcpu, w.gpa, *more),)


def _send(w: World) -> tuple[Call, ...]:
    return (w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu),)


def _xen(w: World) -> None:
    w.kvm.xen.hvm_config = True
    w.kvm.xen.long_mode = True


def _event_pending(w: World) -> None:
    w.vcpu.xen.evtchn_pending_sel = True


def _runstate_area(w: World) -> tuple[Call, ...]:
    return (w.call("set_runstate_area", w.vcpu, w.gpa),)


def _timer(w: World) -> tuple[Call, ...]:
    return (w.call("set_shared_info", w.kvm, w.gpa, w.hva, False), w.call("set_timer", w.vcpu, True, False))


def _shared_info(by_hva: bool) -> Calls:
    return lambda w: (w.call("set_shared_info", w.kvm, w.gpa, w.hva, by_hva),)


def _guest_access(w: World) -> Call:
    return w.call("run_guest_access", w.vcpu, w.gpa, w.memory.is_private)


USER = Dimension(
    "user",
    "the path by which KVM accesses guest memory",
    (
        User(
            "clock",
            "kvm-clock, written through a pfncache",
            _call("run_clock_update"),
            _at_gpa("set_msr_system_time", True),
            _at_gpa("set_msr_system_time", False),
            pv_time,
        ),
        User(
            "steal-time",
            "steal time, written through a gfn_to_hva_cache",
            lambda w: (w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu)),
            prepare=lambda w: w.steal_time_on(),
        ),
        User(
            "shared-info",
            "shared_info of a Xen guest, by gpa, where an event channel is marked pending",
            _send,
            _shared_info(False),
            lambda w: (w.call("disable_shared_info", w.kvm),),
            shared_info,
            in_kthread=True,
        ),
        User(
            "shared-info-hva",
            "the same by user address",
            _send,
            _shared_info(True),
            lambda w: (w.call("disable_shared_info", w.kvm),),
            shared_info,
            in_kthread=True,
        ),
        User(
            "timer",
            "a timer of a Xen guest, which marks an event channel in a hard interrupt, or leaves that to the vCPU",
            _call("run_timer_injection"),
            _timer,
            caches=shared_info,
            in_task=False,
            in_interrupt=True,
        ),
        User(
            "vcpu-info",
            "vcpu_info of a Xen guest, where pending events are delivered",
            lambda w: (w.call("run_event_injection", w.vcpu), w.call("run_has_interrupt", w.vcpu)),
            _at_gpa("set_vcpu_info"),
            _call("disable_vcpu_info"),
            vcpu_info,
            _event_pending,
        ),
        User(
            "runstate",
            "the runstate area of a Xen guest, written as a vCPU is scheduled out and in",
            lambda w: (w.call("run_sched_out", w.vcpu), w.call("run_runstate_update", w.vcpu)),
            _runstate_area,
            caches=runstates,
            prepare=_xen,
            crosses_pages=True,
        ),
        User(
            "cache",
            "a pfncache's own interface: refresh, then check and use",
            lambda w: (
                Call(users.refresh_cache, (w.kernel, w.kvm, w.vcpu.pv_time)),
                Call(users.use_cache, (w.kernel, w.kvm, w.vcpu.pv_time)),
            ),
            lambda w: (Call(users.activate_cache, (w.kernel, w.kvm, w.vcpu.pv_time, w.gpa)),),
            lambda w: (Call(users.deactivate_cache, (w.kernel, w.vcpu.pv_time)),),
            pv_time,
        ),
        User(
            "vcpu-map",
            "kvm_vcpu_map(), held while an L2 guest runs",
            lambda w: (
                w.call("run_nested_entry", w.vcpu, w.gpa),
                w.call("run_l2", w.vcpu),
                w.call("run_nested_exit", w.vcpu),
            ),
        ),
        User("guest", "the guest itself, through the TDP", lambda w: (_guest_access(w),)),
        User("walk", "a walk of the guest's page tables, which reads", _at_gpa("kvm_mmu_gva_to_gpa_read")),
        User(
            "emulate",
            "the emulator, which writes",
            lambda w: (w.call("x86_emulate_instruction", w.vcpu, w.gpa, w.gpa),),
        ),
    ),
)
