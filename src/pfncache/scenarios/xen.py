# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of Xen guests: shared_info, vcpu_info, timers and runstate, some of them used in hard interrupts."""

from __future__ import annotations

from pfncache.check.system import Call, System
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios import users
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World


def _xen(kernel: Kernel, memory: Memory = Memory.ANON, by_hva: bool = False, active: bool = True) -> World:
    """A world whose one cache is shared_info, mapped by gpa 0, or by a user address that is in no slot."""
    w = World(kernel, memory, caches=lambda v: ())
    w.kvm.gpcs = (w.kvm.xen.shinfo_cache,)
    if by_hva:
        w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    if active:
        w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, by_hva))
    return w


def _send(w: World) -> Call:
    return w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu)


def hva_cache_dontneed(kernel: Kernel) -> System:
    """An event is sent while the page behind an HVA-based cache in no memslot goes away."""
    w = _xen(kernel, by_hva=True)
    w.do(w.call("madvise_dontneed", w.mm, w.other_hva))
    w.actor("sender", _send(w), _send(w))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva)).system()


def hva_cache_munmap(kernel: Kernel) -> System:
    """An event is sent while user space unmaps an HVA-based cache's page."""
    w = _xen(kernel, by_hva=True)
    w.actor("sender", _send(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva)).system()


def two_senders(kernel: Kernel) -> System:
    """Two tasks refresh one cache while its page goes away."""
    w = _xen(kernel)
    w.actor("sender", _send(w)).actor("sender'", _send(w))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def irq_user(kernel: Kernel) -> System:
    """A hard interrupt on another CPU uses the cache, and never refreshes it."""
    w = _xen(kernel)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("sender", _send(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def irq_on_this_cpu(kernel: Kernel) -> System:
    """A hard interrupt arrives on the CPU of a task that refreshes the cache it uses."""
    w = _xen(kernel)
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("sender", _send(w))
    task = w.actors[-1].task
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, task))
    return w.actor("timer", call, interrupts="sender", process=False).system()


def irq_during_invalidation(kernel: Kernel) -> System:
    """A hard interrupt arrives on the CPU of a task that invalidates the cache it uses."""
    w = _xen(kernel)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))
    task = w.actors[-1].task
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, task))
    return w.actor("timer", call, interrupts="munmap", process=False).system()


def process_exit(kernel: Kernel) -> System:
    """The process exits while an interrupt still uses its memory."""
    w = _xen(kernel)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    return w.actor("exit", w.call("exit_mmap", w.mm)).system()


def never_activated(kernel: Kernel) -> System:
    """An event is sent before the guest has said where its shared_info is."""
    w = _xen(kernel, active=False)
    return w.actor("sender", _send(w)).system()


def shared_info_moves(kernel: Kernel) -> System:
    """shared_info is taken away and set again while events are sent."""
    w = _xen(kernel)
    w.actor("sender", _send(w))
    return w.actor(
        "vmm",
        w.call("disable_shared_info", w.kvm),
        w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False),
    ).system()


def kthread_sender(kernel: Kernel) -> System:
    """A kernel thread, as an irqfd has one, borrows the address space to send an event while the page goes away."""
    w = _xen(kernel)
    w.actor("kthread", _send(w), process=False)
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def kthread_exit(kernel: Kernel) -> System:
    """The same while the process exits."""
    w = _xen(kernel)
    w.do(w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("kthread", _send(w), process=False)
    return w.actor("exit", w.call("exit_mmap", w.mm)).system()


def shared_info_set(kernel: Kernel) -> System:
    """shared_info is set, and the wall clock written there, while its page goes away."""
    w = _xen(kernel, active=False)
    w.actor("vmm", w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


# Timers


def expired_timer(kernel: Kernel) -> System:
    """User space sets a timer whose time has come while the page of shared_info goes away."""
    w = _xen(kernel)
    w.actor("vcpu", w.call("start_expired_timer", w.vcpu), w.call("run_timer_injection", w.vcpu))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def timer_on_vcpu(kernel: Kernel) -> System:
    """A timer fires on the CPU of a vCPU that delivers the one before, while the page goes away."""
    w = _xen(kernel)
    w.actor("vcpu", w.call("run_timer_injection", w.vcpu))
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, w.actors[-1].task))
    w.actor("timer", call, interrupts="vcpu", process=False)
    w.vcpu.xen.timer_pending = True
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


# vcpu_info


def _vcpu_info(kernel: Kernel) -> World:
    w = World(kernel, pages=4, caches=lambda v: (v.xen.vcpu_info_cache,), log_dirty=True)
    return w.do(w.call("set_vcpu_info", w.vcpu, w.vcpu.xen.vcpu_info_cache, w.gpa, 1))


def inject_events(kernel: Kernel) -> System:
    """A pending event is delivered while the page of vcpu_info goes away."""
    w = _vcpu_info(kernel)
    w.vcpu.xen.evtchn_pending_sel = True
    w.actor("vcpu", w.call("run_event_injection", w.vcpu))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def has_interrupt(kernel: Kernel) -> System:
    """KVM looks for a pending upcall while the page of vcpu_info goes away."""
    w = _vcpu_info(kernel)
    w.actor("vcpu", w.call("kvm_xen_has_interrupt", w.vcpu))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def halt(kernel: Kernel) -> System:
    """A halted vCPU looks for a pending upcall before it sleeps, while the page of vcpu_info goes away."""
    w = _vcpu_info(kernel)
    w.actor("vcpu", w.call("kvm_vcpu_block", w.vcpu))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def vcpu_info_moves(kernel: Kernel) -> System:
    """vcpu_info is taken away and set again while KVM looks for a pending upcall, and its page goes away."""
    w = _vcpu_info(kernel)
    w.actor("vcpu", w.call("kvm_xen_has_interrupt", w.vcpu))
    w.actor(
        "vmm",
        w.call("disable_vcpu_info", w.vcpu, w.vcpu.xen.vcpu_info_cache),
        w.call("set_vcpu_info", w.vcpu, w.vcpu.xen.vcpu_info_cache, w.gpa, 1),
    )
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


# Runstate


def _runstate(kernel: Kernel, offset: int = 0, second: bool = True) -> World:
    """A runstate area at an offset in its page; from the last byte of a page on it needs a second page."""
    w = World(kernel, gfns=2, pages=4, caches=lambda v: (v.xen.runstate_cache, v.xen.runstate2_cache), log_dirty=True)
    w.kvm.xen.hvm_config = True
    if second:
        w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    return w.do(w.call("set_runstate_area", w.vcpu, w.gpa + offset))


def _schedule(w: World) -> tuple[Call, ...]:
    return w.call("kvm_sched_out", w.vcpu), w.call("run_runstate_update", w.vcpu)


def runstate(kernel: Kernel) -> System:
    """A vCPU is scheduled out and in while the page of its runstate goes away."""
    w = _runstate(kernel)
    w.actor("vcpu", *_schedule(w))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def runstate_split(kernel: Kernel) -> System:
    """The same for a runstate area on two pages, of which the second goes away."""
    w = _runstate(kernel, offset=kernel(page_shift=1).PAGE_SIZE - 1)
    w.actor("vcpu", *_schedule(w))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva)).system()


def runstate_moves(kernel: Kernel) -> System:
    """The guest moves its runstate area onto two pages while one of them goes away; then the vCPU is scheduled out."""
    w = _runstate(kernel)
    w.actor("vcpu", w.call("set_runstate_area", w.vcpu, w.gpa + 1), *_schedule(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva)).system()


def runstate_and_events(kernel: Kernel) -> System:
    """A vCPU is scheduled out while an event is sent to it, which wakes it, and the page of both structures goes."""
    w = World(kernel, pages=4, caches=lambda v: (v.xen.runstate_cache, v.xen.vcpu_info_cache))
    w.kvm.gpcs = (*w.kvm.gpcs, w.kvm.xen.shinfo_cache)
    w.kvm.xen.hvm_config = True
    w.vcpu.xen.upcall_vector = True
    w.do(
        w.call("set_shared_info", w.kvm, w.gpa, 0, False),
        w.call("set_vcpu_info", w.vcpu, w.vcpu.xen.vcpu_info_cache, w.gpa, 1),
        w.call("set_runstate_area", w.vcpu, w.gpa),
    )
    w.actor("vcpu", w.call("kvm_sched_out", w.vcpu)).actor("sender", _send(w))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()
