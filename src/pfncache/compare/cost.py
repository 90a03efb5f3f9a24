# SPDX-License-Identifier: GPL-2.0-only
"""What an operation costs under a design: the locks, flushes and mappings among the steps that the model makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pfncache.check.system import Call
from pfncache.designs.design import Design
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import run_as, tracing
from pfncache.linux.arch.x86.kvm.xen.evtchn import EWOULDBLOCK
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios.users import activate_cache
from pfncache.scenarios.world import MemoryKind, World

LOCK, REFERENCE, FLUSH, LOCAL, DIRECT_MAP, MAPPING, PAGE = (
    "locks", "references", "flushes", "local maps", "direct map", "vmalloc", "pages",
)  # fmt: skip
KINDS = {
    LOCK: "locks and trylocks taken",
    REFERENCE: "references of pages and files taken or dropped: an atomic instruction each",
    FLUSH: "flushes of the TLBs of other CPUs: an IPI to each, and a wait",
    LOCAL: "pages mapped on one CPU for an access: a PTE, and a flush of this CPU's TLB",
    DIRECT_MAP: "changes of the direct map: a PTE, after a large page was split",
    MAPPING: "addresses of vmalloc space mapped or unmapped: page tables, and at some time a flush",
    PAGE: "pages allocated",
}
"""What is counted."""
_LOCKS = {"Mutex", "SpinLock", "RwLock", "RwSemaphore"}
_STEPS = {
    "raw_spin_rq_lock": LOCK,
    "get_page": REFERENCE, "try_get_page": REFERENCE, "put_page": REFERENCE, "try_grab_folio_fast": REFERENCE,
    "unpin_user_page": REFERENCE, "filemap_get_entry": REFERENCE, "file_ref_get": REFERENCE, "file_ref_put": REFERENCE,
    "flush_tlb_mm_range": FLUSH, "arch_tlbbatch_flush": FLUSH, "kernel_tlb_flush_range": FLUSH,
    "flush_guest_tlb": FLUSH,
    "access_by_kmap_local": LOCAL,
    "set_direct_map_invalid_noflush": DIRECT_MAP, "set_direct_map_default_noflush": DIRECT_MAP,
    "vmap_pages_range": MAPPING, "remove_vm_area": MAPPING,
    "alloc_page": PAGE, "alloc_large_folio": PAGE,
}  # fmt: skip
"""Steps of the model, by the kernel function that they are."""


@dataclass(frozen=True)
class MeasuredOperation:
    """Something that user space, the guest or the kernel does, which is measured after a set-up."""

    name: str
    what: str
    before: Callable[[World], object]
    """Sets the world up."""
    measured: Callable[[World], Call]
    in_interrupt: bool = False
    """It runs in a hard interrupt, on behalf of no process; if it would have to sleep, it fails."""


OPERATIONS = (
    MeasuredOperation(
        "activation",
        "the guest sets its clock, and KVM looks the page up",
        lambda w: None,
        lambda w: w.call("set_msr_system_time", w.vcpu, w.gpa, True),
    ),
    MeasuredOperation(
        "access", "KVM writes the clock once more", World.clock_on, lambda w: w.call("run_clock_update", w.vcpu)
    ),
    MeasuredOperation(
        "repeated access",
        "KVM writes the clock after its page was punched",
        lambda w: w.clock_on().do(w.zap()),
        lambda w: w.call("run_clock_update", w.vcpu),
    ),
    MeasuredOperation("punch", "user space punches the page of the clock", World.clock_on, lambda w: w.zap()),
    MeasuredOperation(
        "munmap elsewhere",
        "user space unmaps memory that is not the guest's",
        lambda w: w.clock_on().do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0)),
        lambda w: w.call("vm_munmap", w.mm, w.other_hva),
    ),
    MeasuredOperation(
        "guest fault",
        "the guest accesses a page first",
        lambda w: None,
        lambda w: w.call("run_guest_access", w.vcpu, 0, False),
    ),
    MeasuredOperation(
        "event in an interrupt",
        "KVM marks an event of a Xen guest pending, in a hard interrupt",
        lambda w: w.do(w.call("set_shared_info", w.kvm, w.gpa, w.hva, False)),
        lambda w: w.call("kvm_xen_set_evtchn_fast", w.kvm, w.vcpu),
        in_interrupt=True,
    ),
)


class StepCounter:
    """Counts the steps of the code that it traces; a choice always has its first outcome."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()

    def access(self, record: Any, field: str) -> None:
        """Nothing: plain accesses are not counted."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Count a step that is one of those that cost something."""
        owner, _, name = function.__qualname__.rpartition(".")
        if owner in _LOCKS and "unlock" not in name and "lock" in name:
            self.steps[LOCK] += 1
        elif name in _STEPS:
            self.steps[_STEPS[name]] += 1

    def leave_atomic(self) -> None:
        """Nothing."""

    def changed(self, record: Any, field: str, old: Any, new: Any) -> None:
        """Nothing."""

    def choose(self, options: int) -> int:
        """Return the first outcome."""
        return 0


def _caches(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    return (vcpu.pv_time, vcpu.xen.runstate_cache, vcpu.xen.runstate2_cache)


def cost(design: Design, operation: MeasuredOperation, memory: MemoryKind, caches: int = 1) -> Counter[str] | None:
    """Return what an operation costs on a kind of memory; None where a property is violated or it cannot be done.

    Of `caches` that are active, up to three, those beyond the clock's are of the page of the clock too.
    """
    if not design.has(memory.value):
        return None
    world = World(design.kernel(), memory, tlbs=True, pages=4, caches=lambda vcpu: _caches(vcpu)[:caches])
    counter = StepCounter()
    task = TaskStruct("measured", mm=None if operation.in_interrupt else world.mm)
    try:
        for cache in world.kvm.gpcs[1:]:
            world.do(Call(activate_cache, (world.kernel, world.kvm, cache, world.gpa)))
        operation.before(world)
        call = operation.measured(world)
        with run_as(task), tracing(counter):
            result = call.function(*call.args)
    except PropertyViolated:
        return None
    return None if operation.in_interrupt and result == -EWOULDBLOCK else counter.steps


def growth(design: Design, operation: MeasuredOperation, memory: MemoryKind) -> Counter[str] | None:
    """Return what an operation costs more for each cache that is active beside the clock's."""
    one, two = (cost(design, operation, memory, caches) for caches in (1, 2))
    return None if one is None or two is None else two - one
