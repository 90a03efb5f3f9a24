# SPDX-License-Identifier: GPL-2.0-only
"""Hand-chosen scenarios, for hazards that a clock beside one operation does not show."""

from __future__ import annotations

from pfncache.check.system import Call, System
from pfncache.kernel.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.kernel.include.linux.sched import TaskStruct
from pfncache.kernel.vmlinux import Vmlinux
from pfncache.scenarios import users
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.world import Memory, World

Kernel = type[Vmlinux]


# Xen's shared_info: a cache of the whole VM, by guest or by user address, also used in interrupts


def _xen(kernel: Kernel, memory: Memory = Memory.ANON, by_hva: bool = False, active: bool = True) -> World:
    """A world whose one cache is shared_info, mapped by gpa 0, or by a user address that is in no slot."""
    w = World(kernel, memory, caches=lambda v: ())
    w.kvm.gpcs = (w.kvm.xen.shinfo_cache,)
    if by_hva:
        w.do(w.call("sys_mmap", w.mm, w.other_hva, None, 0))
    if active:
        w.do(w.call("kvm_xen_set_shared_info", w.kvm, w.gpa, w.other_hva, by_hva))
    return w


def _send(w: World) -> Call:
    return w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu)


def hva_cache_dontneed(kernel: Kernel) -> System:
    """An event is sent while the page behind an HVA-based cache in no memslot goes away."""
    w = _xen(kernel, by_hva=True)
    w.do(w.call("sys_madvise_dontneed", w.mm, w.other_hva))
    w.actor("sender", _send(w), _send(w))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.other_hva)).system()


def hva_cache_munmap(kernel: Kernel) -> System:
    """An event is sent while user space unmaps an HVA-based cache's page."""
    w = _xen(kernel, by_hva=True)
    w.actor("sender", _send(w))
    return w.actor("munmap", w.call("sys_munmap", w.mm, w.other_hva)).system()


def two_senders(kernel: Kernel) -> System:
    """Two tasks refresh one cache while its page goes away."""
    w = _xen(kernel)
    w.actor("sender", _send(w)).actor("sender'", _send(w))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva)).system()


def irq_user(kernel: Kernel) -> System:
    """A hard interrupt on another CPU uses the cache, and never refreshes it."""
    w = _xen(kernel)
    elsewhere = TaskStruct("elsewhere")
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("sender", _send(w))
    return w.actor("munmap", w.call("sys_munmap", w.mm, w.hva)).system()


def irq_on_this_cpu(kernel: Kernel) -> System:
    """A hard interrupt arrives on the CPU of a task that refreshes the cache it uses."""
    w = _xen(kernel)
    w.do(w.call("sys_madvise_dontneed", w.mm, w.hva))
    w.actor("sender", _send(w))
    task = w.actors[-1].task
    call = Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, task))
    return w.actor("timer", call, interrupts="sender", process=False).system()


def irq_during_invalidation(kernel: Kernel) -> System:
    """A hard interrupt arrives on the CPU of a task that invalidates the cache it uses."""
    w = _xen(kernel)
    w.actor("munmap", w.call("sys_munmap", w.mm, w.hva))
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
        w.call("kvm_xen_disable_shared_info", w.kvm),
        w.call("kvm_xen_set_shared_info", w.kvm, w.gpa, w.other_hva, False),
    ).system()


# vcpu_info and runstate


def _vcpu_info(kernel: Kernel, runstate: bool = False, split: bool = False) -> World:
    def caches(v: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
        return (v.xen.runstate_cache, v.xen.runstate2_cache) if runstate else (v.xen.vcpu_info_cache,)

    gfns = 2 if split else 1
    w = World(kernel, gfns=gfns, pages=4, caches=caches, log_dirty=True)
    if split:
        w.do(w.call("sys_mmap", w.mm, w.other_hva, None, 0))
    first = w.gpa + w.kernel.PAGE_SIZE - 1 if split else w.gpa
    w.do(w.call("kvm_xen_vcpu_set_info", w.vcpu, caches(w.vcpu)[0], first, 1))
    if split:
        w.do(w.call("kvm_xen_vcpu_set_info", w.vcpu, w.vcpu.xen.runstate2_cache, first + 1, 1))
    return w


def inject_events(kernel: Kernel) -> System:
    """A pending event is delivered while the page of vcpu_info goes away."""
    w = _vcpu_info(kernel)
    w.vcpu.xen.evtchn_pending_sel = True
    w.actor("vcpu", w.call("kvm_vcpu_run_inject_events", w.vcpu))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva)).system()


def has_interrupt(kernel: Kernel) -> System:
    """KVM looks for a pending upcall while the page of vcpu_info goes away."""
    w = _vcpu_info(kernel)
    w.actor("vcpu", w.call("kvm_xen_has_interrupt", w.vcpu))
    return w.actor("munmap", w.call("sys_munmap", w.mm, w.hva)).system()


def runstate(kernel: Kernel) -> System:
    """A vCPU is scheduled out and in while the page of its runstate goes away."""
    w = _vcpu_info(kernel, runstate=True)
    w.actor("vcpu", w.call("kvm_xen_runstate_set_preempted", w.vcpu), w.call("kvm_xen_update_runstate", w.vcpu))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva)).system()


def runstate_split(kernel: Kernel) -> System:
    """The same for a runstate area on two pages, of which the second goes away."""
    w = _vcpu_info(kernel, runstate=True, split=True)
    w.actor("vcpu", w.call("kvm_xen_runstate_set_preempted", w.vcpu), w.call("kvm_xen_update_runstate", w.vcpu))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.other_hva)).system()


# pfncache's own interface


def _gpc(kernel: Kernel, memory: Memory = Memory.ANON, active: bool = True) -> World:
    w = World(kernel, memory)
    return w.clock_on() if active else w


def _activate(w: World, gpa: int = 0) -> Call:
    return Call(users.gpc_activate, (w.kernel, w.kvm, w.vcpu.pv_time, gpa))


def _deactivate(w: World) -> Call:
    return Call(users.gpc_deactivate, (w.kernel, w.vcpu.pv_time))


def _refresh(w: World) -> Call:
    return Call(users.gpc_refresh, (w.kernel, w.kvm, w.vcpu.pv_time))


def _use(w: World) -> Call:
    return Call(users.gpc_use, (w.kernel, w.kvm, w.vcpu.pv_time))


def activate_twice(kernel: Kernel) -> System:
    """Two tasks activate one cache."""
    w = _gpc(kernel, active=False)
    return w.actor("a", _activate(w)).actor("b", _activate(w)).system()


def activate_deactivate(kernel: Kernel) -> System:
    """A cache is deactivated and activated again while another task deactivates it, and a user uses it."""
    w = _gpc(kernel)
    w.actor("a", _deactivate(w), _activate(w)).actor("b", _deactivate(w))
    return w.actor("user", _use(w)).system()


def activate_munmap(kernel: Kernel) -> System:
    """The page goes away while a cache is activated, and a user uses it."""
    w = _gpc(kernel, active=False)
    w.actor("a", _activate(w), _use(w))
    return w.actor("munmap", w.call("sys_munmap", w.mm, w.hva)).system()


def refresh_deactivate(kernel: Kernel) -> System:
    """A cache is refreshed while it is deactivated, then its page goes away, and a user uses it."""
    w = _gpc(kernel)
    w.do(w.call("sys_madvise_dontneed", w.mm, w.hva))
    w.actor("refresher", _refresh(w), _use(w))
    return w.actor("vmm", _deactivate(w), w.call("sys_munmap", w.mm, w.hva)).system()


def refresh_twice(kernel: Kernel) -> System:
    """Two tasks refresh one cache of device memory, which is mapped and unmapped, while its user address changes."""
    w = _gpc(kernel, Memory.PFNMAP)
    w.actor("a", _activate(w, 1), _use(w)).actor("b", _refresh(w), _use(w))
    return w.actor("munmap", w.call("sys_munmap", w.mm, w.hva)).system()


def move_in_page(kernel: Kernel) -> System:
    """The guest moves its clock within the page, and the host updates it."""
    w = _gpc(kernel)
    return w.actor(
        "vcpu",
        w.call("kvm_vcpu_ioctl_set_msr_system_time", w.vcpu, 1, True),
        w.call("kvm_vcpu_run_clock_update", w.vcpu),
    ).system()


# Memslots


def dirty_logging(kernel: Kernel) -> System:
    """The clock's page is logged, and goes away and comes back."""
    w = World(kernel, log_dirty=True).clock_on()
    w.kvm.slot_cache[0].dirty_bitmap[0].__dict__["dirty"] = False
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    return w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva)).system()


def steal_time_slot(kernel: Kernel) -> System:
    """Steal time is written while its slot is deleted."""
    w = World(kernel, slots=2, log_dirty=True)
    w.vcpu.st.cache.gpa = w.gpa
    w.actor("vcpu", w.call("kvm_vcpu_run_steal_time", w.vcpu))
    return w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def slot_move(kernel: Kernel) -> System:
    """The clock's slot moves away and back."""
    w = World(kernel, slots=3).clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    return w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 1, 1, w.hva)).system()


def page_reuse(kernel: Kernel) -> System:
    """Another process takes the pages that the VM's process frees."""
    w = World(kernel, pages=2).clock_on()
    other = w.kernel.new_mm("other")
    w.do(w.call("sys_mmap", other, w.hva, None, 0))
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva))
    return w.actor("other", w.call("sys_touch", other, w.hva)).system()


def slot_update_during_invalidation(kernel: Kernel) -> System:
    """A slot is deleted while a notifier is between its start and its end, and while the guest faults."""
    w = World(kernel, slots=2).clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_guest_access", w.vcpu, 0, False))
    w.actor("madvise", w.call("sys_madvise_dontneed", w.mm, w.hva))
    return w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


# guest_memfd


def recreate_then_punch(kernel: Kernel) -> System:
    """A slot is deleted and made again at the same addresses with another file; then the first file is punched."""
    return _recreate(kernel, "kvm_gmem_punch_hole", 0, 1)


def recreate_then_close(kernel: Kernel) -> System:
    """The same, and the first file is closed."""
    return _recreate(kernel, "sys_close")


def _recreate(kernel: Kernel, end: str, *args: int) -> System:
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, files=2, pages=4)
    w.do(w.call("kvm_vcpu_ioctl_set_msr_system_time", w.vcpu, w.gpa, True))
    update = w.call("kvm_vcpu_run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    return w.actor(
        "vmm",
        w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("kvm_set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
        w.call(end, w.files[0], *args),
    ).system()


def unmapped_gmem_punch(kernel: Kernel) -> System:
    """The clock's page is in a guest_memfd that user space could map but does not, and is punched."""
    w = World(kernel, Memory.GMEM_UNMAPPED)
    w.do(w.call("kvm_vcpu_ioctl_set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def overlapping_invalidations(kernel: Kernel) -> System:
    """Two files of the VM are punched at the same time, one of them under the clock."""
    w = World(kernel, Memory.GMEM_UNMAPPED, files=2)
    w.do(w.call("kvm_vcpu_ioctl_set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.files[0], 0, 1))
    return w.actor("punch other", w.call("kvm_gmem_punch_hole", w.files[1], 0, 1)).system()


def split_brain(kernel: Kernel) -> System:
    """The slot's user address is other memory than the guest_memfd that the guest runs from."""
    w = World(kernel, Memory.GMEM_UNMAPPED)
    w.do(w.call("sys_mmap", w.mm, w.hva, None, 0))
    w.actor("guest", w.call("kvm_vcpu_guest_access", w.vcpu, 0, False))
    return w.actor(
        "vcpu",
        w.call("kvm_vcpu_ioctl_set_msr_system_time", w.vcpu, w.gpa, True),
        w.call("kvm_vcpu_run_clock_update", w.vcpu),
    ).system()


def dying_file(kernel: Kernel) -> System:
    """A guest_memfd is closed while its slot is deleted and its memory fails."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=2, caches=lambda v: ())
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("close", w.call("sys_close", w.gmem))
    w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva))
    return w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0)).system()


def bind_and_punch(kernel: Kernel) -> System:
    """A slot is created over a guest_memfd that is punched."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, caches=lambda v: ())
    w.do(w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 0))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def toggle_gmem(kernel: Kernel) -> System:
    """User space takes the guest_memfd flag from an existing slot, then punches the file."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, caches=lambda v: ())
    return w.actor(
        "vmm",
        w.call("kvm_set_memory_region", w.kvm, 0, 0, 1, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    ).system()


def guest_faults(kernel: Kernel) -> System:
    """The guest faults a page of guest_memfd in while it is punched and allocated again."""
    w = World(kernel, Memory.GMEM_UNMAPPED, caches=lambda v: ())
    w.actor("guest", w.call("kvm_vcpu_guest_access", w.vcpu, 0, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    return w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1)).system()


def private_faults(kernel: Kernel) -> System:
    """The guest faults private memory in while it is converted and punched."""
    w = World(kernel, Memory.GMEM, caches=lambda v: ())
    w.actor("guest", w.call("kvm_vcpu_guest_access", w.vcpu, 0, True))
    w.actor("convert", w.call("kvm_vm_ioctl_set_mem_attributes", w.kvm, 0, 1, False))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def conversion_and_slot_update(kernel: Kernel) -> System:
    """Memory is converted while its slot is deleted and the clock is updated."""
    w = World(kernel, Memory.GMEM, slots=2, shared_attribute=True).clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_run_clock_update", w.vcpu))
    w.actor("convert", w.call("kvm_vm_ioctl_set_mem_attributes", w.kvm, 0, 1, True))
    return w.actor("vmm", w.call("kvm_set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def catalogue() -> list[Scenario]:
    """Every hand-chosen scenario; what its function says is the hazard."""
    builders = {
        "xen/hva-cache-dontneed": hva_cache_dontneed,
        "xen/hva-cache-munmap": hva_cache_munmap,
        "xen/two-senders": two_senders,
        "xen/irq-user": irq_user,
        "xen/irq-on-this-cpu": irq_on_this_cpu,
        "xen/irq-during-invalidation": irq_during_invalidation,
        "xen/process-exit": process_exit,
        "xen/never-activated": never_activated,
        "xen/shared-info-moves": shared_info_moves,
        "xen/inject-events": inject_events,
        "xen/has-interrupt": has_interrupt,
        "xen/runstate": runstate,
        "xen/runstate-split": runstate_split,
        "gpc/activate-twice": activate_twice,
        "gpc/activate-deactivate": activate_deactivate,
        "gpc/activate-munmap": activate_munmap,
        "gpc/refresh-deactivate": refresh_deactivate,
        "gpc/refresh-twice": refresh_twice,
        "gpc/move-in-page": move_in_page,
        "slots/dirty-logging": dirty_logging,
        "slots/steal-time": steal_time_slot,
        "slots/move": slot_move,
        "slots/page-reuse": page_reuse,
        "slots/update-during-invalidation": slot_update_during_invalidation,
    }
    gmem = {
        "gmem/recreate-then-punch": recreate_then_punch,
        "gmem/recreate-then-close": recreate_then_close,
        "gmem/unmapped-punch": unmapped_gmem_punch,
        "gmem/overlapping-invalidations": overlapping_invalidations,
        "gmem/split-brain": split_brain,
        "gmem/dying-file": dying_file,
        "gmem/bind-and-punch": bind_and_punch,
        "gmem/toggle-flag": toggle_gmem,
        "gmem/guest-faults": guest_faults,
        "gmem/private-faults": private_faults,
        "gmem/conversion-and-slot-update": conversion_and_slot_update,
    }
    old = {"gmem/private-faults", "gmem/conversion-and-slot-update"}
    return [Scenario(n, _first_line(b.__doc__), b) for n, b in builders.items()] + [
        Scenario(n, _first_line(b.__doc__), b, memory="" if n in old else Memory.GMEM_MMAP) for n, b in gmem.items()
    ]


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]
