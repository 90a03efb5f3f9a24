# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of Xen guests: shared_info, vcpu_info, timers and runstate, some of them used in hard interrupts."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.trace.events.kvm import CACHE_USED, CLOCK_WRITTEN
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOTCONN
from pfncache.scenarios import users
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


def shared_info(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache of shared_info."""
    assert vcpu.kvm is not None
    return (vcpu.kvm.xen.shinfo_cache,)


def vcpu_info(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache of a vCPU's vcpu_info."""
    return (vcpu.xen.vcpu_info_cache,)


def runstates(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the caches of the one or two pages of a vCPU's runstate area."""
    return (vcpu.xen.runstate_cache, vcpu.xen.runstate2_cache)


def three_structures(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the caches of runstate, vcpu_info and shared_info."""
    return (vcpu.xen.runstate_cache, *vcpu_info(vcpu), *shared_info(vcpu))


def _set_shared_info(w: World, by_hva: bool = False) -> None:
    """Map shared_info, by gpa 0 or by a user address that is in no slot."""
    if by_hva:
        w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, by_hva))


def _start_timer(w: World) -> None:
    """Set a timer of the guest, which may expire at any time."""
    w.do(w.call("set_timer", w.vcpu, True, False))


def _send(w: World) -> Call:
    return w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu)


@scenario(caches=shared_info)
def hva_cache_dontneed(w: World) -> None:
    """An event is sent while the page behind an HVA-based cache, which is in no memslot, is zapped."""
    _set_shared_info(w, by_hva=True)
    w.do(w.call("madvise_dontneed", w.mm, w.other_hva))
    w.actor("sender", _send(w), _send(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(caches=shared_info)
def hva_cache_munmap(w: World) -> None:
    """An event is sent while user space unmaps the page of an HVA-based cache."""
    _set_shared_info(w, by_hva=True)
    w.actor("sender", _send(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva))


@scenario(caches=shared_info)
def two_senders(w: World) -> None:
    """Two tasks refresh one cache while its page is zapped."""
    _set_shared_info(w)
    w.actor("sender", _send(w)).actor("sender'", _send(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=shared_info)
def irq_user(w: World) -> None:
    """A hard interrupt on another CPU uses the cache, which it cannot refresh, while its page is unmapped."""
    _set_shared_info(w)
    _start_timer(w)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("sender", _send(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=shared_info)
def irq_on_this_cpu(w: World) -> None:
    """A hard interrupt that uses a cache arrives on the CPU of a task that refreshes it."""
    _set_shared_info(w)
    _start_timer(w)
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("sender", _send(w))
    task = w.actors[-1].task
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, task))
    w.actor("timer", call, interrupts="sender", process=False)


@scenario(caches=shared_info)
def irq_during_invalidation(w: World) -> None:
    """A hard interrupt that uses a cache arrives on the CPU of a task that invalidates it."""
    _set_shared_info(w)
    _start_timer(w)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))
    task = w.actors[-1].task
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, task))
    w.actor("timer", call, interrupts="munmap", process=False)


@scenario(caches=shared_info)
def process_exit(w: World) -> None:
    """The process exits while an interrupt on another CPU still uses its memory."""
    _set_shared_info(w)
    _start_timer(w)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("exit", w.call("exit_mmap", w.mm))


@scenario(caches=shared_info)
def never_activated(w: World) -> None:
    """An event is sent before the guest has set its shared_info."""
    for target in ("sender: kvm_xen_set_evtchn() succeeded", CACHE_USED):
        w.cannot_reach(target, "there is no shared_info")
    w.actor("sender", _send(w))


@scenario(caches=shared_info)
def shared_info_moves(w: World) -> None:
    """shared_info is disabled and set again while an event is sent."""
    _set_shared_info(w)
    w.actor("sender", _send(w))
    w.actor(
        "vmm",
        w.call("disable_shared_info", w.kvm),
        w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False),
    )


@scenario(caches=shared_info)
def kthread_sender(w: World) -> None:
    """A kernel thread, as an irqfd's, borrows the address space to send an event while the page is unmapped."""
    _set_shared_info(w)
    w.actor("kthread", _send(w), process=False)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=shared_info)
def kthread_exit(w: World) -> None:
    """A kernel thread borrows the address space to send an event while the process exits."""
    _set_shared_info(w)
    w.do(w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("kthread", _send(w), process=False)
    w.actor("exit", w.call("exit_mmap", w.mm))


@scenario(caches=shared_info)
def shared_info_set(w: World) -> None:
    """shared_info is set, and the wall clock written there, while its page is unmapped."""
    w.actor("vmm", w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


# Timers


@scenario(caches=shared_info)
def expired_timer(w: World) -> None:
    """User space sets a timer that has expired while the page of shared_info is zapped."""
    _set_shared_info(w)
    w.actor("vcpu", w.call("set_timer", w.vcpu, True, True), w.call("run_timer_injection", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=shared_info)
def timer_on_vcpu(w: World) -> None:
    """A timer fires on the CPU of its vCPU, which delivers what the timer could not, while the page is zapped."""
    _set_shared_info(w)
    _start_timer(w)
    w.actor("vcpu", w.call("run_timer_injection", w.vcpu))
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, w.actors[-1].task))
    w.actor("timer", call, interrupts="vcpu", process=False)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=shared_info)
def timer_read(w: World) -> None:
    """User space reads a timer that has expired, as before a migration, while the page of shared_info is zapped."""
    _set_shared_info(w)
    _start_timer(w)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("vmm", w.call("get_timer", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=vcpu_info)
def timer_set(w: World) -> None:
    """User space sets a timer, which KVM compares with the guest's clock, while the page of vcpu_info is zapped."""
    _set_vcpu_info(w)
    w.actor("vmm", w.call("set_timer", w.vcpu, True, False))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


# SCHEDOP_poll


def _poll(w: World) -> World:
    """Let the vCPU poll for an event that the guest has masked; shared_info is in no slot."""
    _set_shared_info(w, by_hva=True)
    w.kvm.xen.evtchn_masked = True
    return w.actor("vcpu", w.call("run_schedop_poll", w.vcpu, w.gpa))


@scenario(caches=shared_info)
def poll_and_send(w: World) -> None:
    """A vCPU polls for an event that is sent."""
    w.cannot_reach("sender: kvm_xen_set_evtchn() succeeded", "it returns -ENOTCONN for a masked event")
    _poll(w).actor("sender", _send(w))


@scenario(caches=shared_info)
def poll_and_unmap(w: World) -> None:
    """A vCPU polls for an event that is pending while user space unmaps the page of shared_info."""
    _poll(w)
    w.kvm.xen.evtchn_pending = True
    w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva))


@scenario(caches=shared_info, slots=2)
def poll_and_update(w: World) -> None:
    """A vCPU polls for an event that the VMM sends after it has deleted a memslot."""
    w.cannot_reach("vmm: kvm_xen_set_evtchn() succeeded", "it returns -ENOTCONN for a masked event")
    _poll(w).actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva), _send(w))


# vcpu_info


def _set_vcpu_info(w: World) -> None:
    w.do(w.call("set_vcpu_info", w.vcpu, w.gpa))


@scenario(caches=vcpu_info, pages=4, log_dirty=True)
def inject_events(w: World) -> None:
    """A pending event is delivered while the page of vcpu_info is zapped."""
    _set_vcpu_info(w)
    w.vcpu.xen.evtchn_pending_sel = True
    w.actor("vcpu", w.call("run_event_injection", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=lambda vcpu: (*shared_info(vcpu), *vcpu_info(vcpu)), pages=4)
def send_and_inject(w: World) -> None:
    """An event is sent while the page of vcpu_info is unmapped: it is delivered, or left to the vCPU's next run."""
    _set_shared_info(w, by_hva=True)
    _set_vcpu_info(w)
    w.actor("sender", _send(w))
    w.actor("vcpu", w.call("run_event_injection", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4, log_dirty=True)
def has_interrupt(w: World) -> None:
    """KVM reads the pending upcall while the page of vcpu_info is unmapped."""
    _set_vcpu_info(w)
    w.actor("vcpu", w.call("run_has_interrupt", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4, log_dirty=True)
def halt(w: World) -> None:
    """A halted vCPU reads the pending upcall before it sleeps, while the page of vcpu_info is unmapped."""
    _set_vcpu_info(w)
    w.cannot_reach("vcpu: run_block() succeeded", "the model's vcpu_info always has an upcall pending")
    w.actor("vcpu", w.call("run_block", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4, log_dirty=True)
def vcpu_info_moves(w: World) -> None:
    """vcpu_info is disabled and set again while KVM reads the pending upcall, and its page is zapped."""
    _set_vcpu_info(w)
    w.actor("vcpu", w.call("run_has_interrupt", w.vcpu))
    w.actor(
        "vmm",
        w.call("disable_vcpu_info", w.vcpu),
        w.call("set_vcpu_info", w.vcpu, w.gpa),
    )
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4, log_dirty=True)
def clock(w: World) -> None:
    """The clock in vcpu_info is updated while its page is zapped."""
    _set_vcpu_info(w)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4)
def vcpu_info_crosses_page(w: World) -> None:
    """The guest's vcpu_info would cross a page, which KVM refuses; then its clock is updated."""
    for target in ("vcpu: set_vcpu_info() succeeded", CLOCK_WRITTEN):
        w.cannot_reach(target, "vcpu_info has to lie in one page")
    w.kernel.VCPU_INFO_SIZE = 2
    w.actor("vcpu", w.call("set_vcpu_info", w.vcpu, w.gpa + w.kernel.PAGE_SIZE - 1), w.call("run_clock_update", w.vcpu))


# Runstate


def _set_runstate(w: World, offset: int = 0, long_mode: bool = True) -> None:
    """Set a runstate area at an offset in its page; one at the last byte of the page needs the second page too."""
    w.kvm.xen.hvm_config = True
    w.kvm.xen.long_mode = long_mode
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("set_runstate_area", w.vcpu, w.gpa + offset))


def _schedule(w: World) -> tuple[Call, ...]:
    return w.call("run_sched_out", w.vcpu), w.call("run_runstate_update", w.vcpu)


@scenario(caches=runstates, gfns=2, pages=4, log_dirty=True)
def runstate(w: World) -> None:
    """A vCPU is scheduled out and in while the page of its runstate area is zapped."""
    _set_runstate(w)
    w.actor("vcpu", *_schedule(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=runstates, gfns=2, pages=4, log_dirty=True)
def runstate_split(w: World) -> None:
    """A vCPU is scheduled out and in while the second page of its runstate area is zapped."""
    _set_runstate(w, offset=w.kernel.PAGE_SIZE - 1)
    w.actor("vcpu", *_schedule(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(caches=runstates, gfns=2, pages=4, log_dirty=True)
def runstate_grows(w: World) -> None:
    """A guest has changed to 64-bit mode, so that its runstate area needs a second page, which is zapped."""
    _set_runstate(w, offset=w.kernel.PAGE_SIZE - 1, long_mode=False)
    w.kvm.xen.long_mode = True
    w.actor("vcpu", *_schedule(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(caches=runstates, gfns=2, pages=4, log_dirty=True)
def runstate_moves(w: World) -> None:
    """The guest moves its runstate area onto two pages while one is unmapped; then the vCPU is scheduled out."""
    _set_runstate(w)
    w.actor("vcpu", w.call("set_runstate_area", w.vcpu, w.gpa + 1), *_schedule(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva))


@scenario(caches=runstates, gfns=2, pages=4, log_dirty=True)
def runstate_preempted(w: World) -> None:
    """A vCPU is preempted while it updates its runstate, and so within a refresh; the page of the area is zapped."""
    _set_runstate(w)
    w.actor("vcpu", w.call("run_runstate_update", w.vcpu))
    w.actor("scheduler", w.call("preempt", w.vcpu, w.actors[-1].task), interrupts="vcpu")
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=three_structures, pages=4)
def runstate_and_events(w: World) -> None:
    """A vCPU is scheduled out while an event wakes it, and the page of both structures is unmapped."""
    w.kvm.xen.hvm_config = True
    w.vcpu.xen.upcall_vector = True
    w.do(
        w.call("set_shared_info", w.kvm, w.gpa, 0, False),
        w.call("set_vcpu_info", w.vcpu, w.gpa),
        w.call("set_runstate_area", w.vcpu, w.gpa),
    )
    w.actor("vcpu", w.call("run_sched_out", w.vcpu)).actor("sender", _send(w))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=vcpu_info, pages=4, slots=2, log_dirty=True)
def vcpu_info_by_hva(w: World) -> None:
    """A vcpu_info that had a gpa gets a user address in no slot; an event is delivered while its old slot is deleted.

    __kvm_gpc_refresh() forgets the memslot of a cache that has no gpa: nothing is marked dirty there.
    """
    _set_vcpu_info(w)
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.vcpu.xen.evtchn_pending_sel = True
    by_hva = w.call("set_vcpu_attr", w.vcpu, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, w.other_hva, 0)
    w.actor("vcpu", returns(by_hva, 0), w.call("run_event_injection", w.vcpu))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(caches=shared_info)
def poll_and_wake(w: World) -> None:
    """A vCPU that polls sleeps until an event wakes it that the guest has not masked.

    kvm_xen_set_evtchn_fast() kicks the vCPU after it has made KVM_REQ_UNBLOCK: the request alone wakes no task.
    """
    _set_shared_info(w, by_hva=True)
    w.vcpu.rq.sleeps = True
    w.actor("vcpu", returns(w.call("run_schedop_poll", w.vcpu, w.gpa), 0))
    w.actor("sender", returns(_send(w), 1))


@scenario(caches=shared_info)
def poll_and_wake_masked(w: World) -> None:
    """A vCPU that polls sleeps until an event wakes it that the guest has masked: kvm_xen_check_poller()."""
    _set_shared_info(w, by_hva=True)
    w.kvm.xen.evtchn_masked = True
    w.vcpu.rq.sleeps = True
    w.actor("vcpu", returns(w.call("run_schedop_poll", w.vcpu, w.gpa), 0))
    w.actor("sender", returns(_send(w), -ENOTCONN))


@scenario(caches=shared_info)
def never_activated_again(w: World) -> None:
    """Two events are sent before the guest has set its shared_info, where WARN_ON_ONCE() has warned before.

    __kvm_gpc_refresh() returns -EINVAL behind it, which ends the loop of kvm_xen_set_evtchn().
    """
    w.cannot_reach(CACHE_USED, "there is no shared_info")
    for name in ("sender", "sender'"):
        w.actor(name, returns(_send(w), -EINVAL))
        task = w.actors[-1].task
        assert isinstance(task, TaskStruct)
        task.warned_before = True
