# SPDX-License-Identifier: GPL-2.0-only
"""The world of a scenario: one VM with one vCPU, a page or two of guest memory of some kind, and kvm-clock."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypedDict, Unpack

from pfncache.check.system import Actor, Call, System
from pfncache.lang.tracing import run_as
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_2M
from pfncache.linux.include.linux.kvm_host import File, GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED, CACHE_USED, CLOCK_WRITTEN
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_X86_DEFAULT_VM,
    KVM_X86_SNP_VM,
    KVM_X86_SW_PROTECTED_VM,
)
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.results import expected_results, named_results
from pfncache.scenarios.targets import targets_of, with_targets


class MemoryKind(StrEnum):
    """The kind of the guest's memory."""

    ANON = "anon"
    MEMFD = "memfd"
    PFNMAP = "pfnmap"
    """Memory of a device, mapped VM_PFNMAP: no struct page."""
    GMEM = "gmem"
    """guest_memfd without MMAP, private; the slot's user address is other, anonymous memory."""
    GMEM_COCO = "gmem-coco"
    """The same on a VM whose private pages the host must not write."""
    GMEM_MMAP = "gmem-mmap"
    """guest_memfd with MMAP and INIT_SHARED, mapped at the slot's user address."""
    GMEM_NDM = "gmem-ndm"
    """The same with NO_DIRECT_MAP."""
    GMEM_UNMAPPED = "gmem-unmapped"
    """guest_memfd with MMAP and INIT_SHARED, not mapped by user space: what only a design with gmem support reaches."""

    @property
    def is_gmem(self) -> bool:
        """True if the slot is bound to a guest_memfd."""
        return self.value.startswith("gmem")

    @property
    def is_private(self) -> bool:
        """True if the guest's page has the PRIVATE attribute."""
        return self in (MemoryKind.GMEM, MemoryKind.GMEM_COCO)

    @property
    def is_mapped_gmem(self) -> bool:
        """True if user space maps the guest_memfd."""
        return self in (MemoryKind.GMEM_MMAP, MemoryKind.GMEM_NDM)

    @property
    def has_user_mapping(self) -> bool:
        """True if something is mapped at the slot's user address."""
        return self is not MemoryKind.GMEM_UNMAPPED


GMEM_FLAGS = {
    MemoryKind.GMEM: 0,
    MemoryKind.GMEM_COCO: 0,
    MemoryKind.GMEM_MMAP: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
    MemoryKind.GMEM_UNMAPPED: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
    MemoryKind.GMEM_NDM: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED | GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
}
VM_TYPES = {MemoryKind.GMEM: KVM_X86_SW_PROTECTED_VM, MemoryKind.GMEM_COCO: KVM_X86_SNP_VM}
CLOCK_REFUSED = {
    MemoryKind.GMEM_UNMAPPED: "mainline looks the page up by its user address, where nothing is mapped",
    MemoryKind.GMEM_NDM: "mainline looks the page up with GUP, which refuses memory without a direct map",
}
"""By kind of memory: why a refresh fails in mainline, whatever runs beside it."""
SETUP = "setup"
"""The only actor of a system in which the set-up itself violates a property."""
DEVICE_PFN = 6
"""A pfn without struct page."""


class WorldOptions(TypedDict, total=False):
    """The size and the contents of a :class:`World`; DEFAULTS has what is left out."""

    pages: int
    """Pages of memory."""
    slots: int
    """Memslot objects that can be allocated in the whole run; an update of a slot takes one or two."""
    slot_ids: int
    """Ids that memslots can have."""
    gfns: int
    """Pages of the guest, and of its first slot."""
    files: int
    """Files of guest_memfd, where the memory is guest_memfd; the slot is bound to the first."""
    file_pages: int
    """Pages of each file."""
    caches: Callable[[KvmVcpu], tuple[GfnToPfnCache, ...]]
    """The caches that an invalidation looks at."""
    log_dirty: bool
    """The slot has KVM_MEM_LOG_DIRTY_PAGES."""
    readonly: bool
    """The slot has KVM_MEM_READONLY."""
    shared_attribute: bool
    """Guest memory starts shared although its kind is private."""
    user_pages: int
    """Pages of the address space of a process."""
    layout: SlotLayout | None
    """The memslots, if not one at gfn 0 with one page that user space maps."""
    huge: bool
    """Folios have up to two pages, and SPTEs map up to two. The slot has a huge page of two gfns, aligned to it."""
    tlbs: bool
    """TLBs keep what page tables have lost, until a flush."""


DEFAULTS: WorldOptions = {
    "pages": 3,
    "slots": 1,
    "slot_ids": 1,
    "gfns": 1,
    "files": 1,
    "file_pages": 1,
    "caches": lambda vcpu: (vcpu.pv_time,),
    "log_dirty": False,
    "readonly": False,
    "shared_attribute": False,
    "user_pages": 4,
    "layout": None,
    "huge": False,
    "tlbs": False,
}


SIZES = {
    "pages": (1, 64), "slots": (1, 31), "slot_ids": (1, 8), "gfns": (1, 8), "files": (1, 8), "file_pages": (1, 8),
    "user_pages": (3, 16),
}  # fmt: skip
"""Range of each size. More makes a state of thousands of bits, and no scenario of the catalogue uses a tenth."""


def with_defaults(options: WorldOptions) -> WorldOptions:
    """Return the options with the default of each that is left out.

    Raises TypeError for an option that does not exist or is of another type, and ValueError for a size out of range.
    """
    for name, value in options.items():
        if name not in DEFAULTS:
            near = ", ".join(difflib.get_close_matches(name, DEFAULTS, n=3)) or ", ".join(DEFAULTS)
            raise TypeError(f"a world has no option {name!r}; nearest: {near}")
        if name in SIZES:
            low, high = SIZES[name]
            if type(value) is not int:
                raise TypeError(f"{name} is a number, not {value!r:.40}")
            if not low <= value <= high:
                raise ValueError(f"{name} is a number from {low} to {high}, not {value}")
        elif name == "caches":
            if not callable(value):
                raise TypeError(f"caches is a function, as lambda vcpu: (vcpu.pv_time,), not {value!r:.40}")
        elif name == "layout":
            if not isinstance(value, SlotLayout | None):
                raise TypeError(f"layout is a SlotLayout, as SlotLayout(regions=(Region(),)), not {value!r:.40}")
        elif type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {value!r:.40}")
    return {**DEFAULTS, **options}


def _one_slot(size: WorldOptions) -> SlotLayout:
    """Return the memslot of a world that names no layout."""
    flags = {"log_dirty": size["log_dirty"], "readonly": size["readonly"]}
    user_page = 2 if size["huge"] else 1  # a huge page is aligned
    return SlotLayout(regions=(Region(npages=size["gfns"], user_page=user_page, **flags),))


def no_caches(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return no cache: the scenario has no use for one."""
    return ()


class World:
    """One VM with one vCPU, one slot of one page, and an mm with room for a second mapping.

    With `defer_setup`, nothing is run before the actors start: a design may break a property there. What do() would
    have run is then the only actor of the system.
    """

    def __init__(
        self,
        kernel: type[Vmlinux],
        memory: MemoryKind = MemoryKind.ANON,
        *,
        defer_setup: bool = False,
        **options: Unpack[WorldOptions],
    ) -> None:
        size = with_defaults(options)
        self.kernel = k = kernel(page_shift=1, pages=size["pages"], user_pages=size["user_pages"], vmap_areas=3)
        slots, gfns = size["slots"], size["gfns"]
        if size["huge"]:
            k.max_huge_page_level = PG_LEVEL_2M
            k.large_folios = True
        k.tlbs = size["tlbs"]
        if 2 * slots >= k.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
            most = k.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS - 1
            raise ValueError(f"{slots} memslots: a generation counts to {most}, and a memslot may take two")
        self.defer_setup = defer_setup
        self.memory = memory
        self.mm = k.new_mm("mm")
        self.vcpu = k.new(KvmVcpu, "vcpu")
        self.kvm = k.kvm_create_vm(
            "kvm", self.mm, VM_TYPES.get(memory, KVM_X86_DEFAULT_VM), slots, size["slot_ids"], gfns, (self.vcpu,)
        )
        self.kvm.gpcs = size["caches"](self.vcpu)
        self.layout = size["layout"] or _one_slot(size)
        self.hva = self.layout.user_page << k.PAGE_SHIFT
        """The user address of the structure's page: that of the slot, if the structure is in its first page."""
        self.other_hva = self.layout.end_user_page << k.PAGE_SHIFT
        """A user address where nothing is mapped at first."""
        self.gpa = (self.layout.gfn << k.PAGE_SHIFT) + (k.PAGE_SIZE - 1 if self.layout.crosses else 0)
        self.memfd: AddressSpace | None = None
        self.files: tuple[File, ...] = ()
        self.actors: list[Actor] = []
        self.deferred: list[Call] = []
        self.stated: tuple[str, ...] = ()
        self.unreachable: dict[str, str] = {}
        self.optional: set[str] = set()
        self.setup = TaskStruct(SETUP, mm=self.mm)
        self._make_memory(size["files"], size["file_pages"])
        if memory.is_private and not size["shared_attribute"]:
            for attributes in self.kvm.mem_attr_array[:gfns]:  # without a slot, that is all that the ioctl does
                attributes.private = True
        self.do(*(self.set_region(region) for region in self.layout.regions))

    @property
    def gmem(self) -> File:
        """The guest_memfd in which the structure is."""
        return self.files[self.layout.region.file]

    def set_region(self, region: Region) -> Call:
        """Return the call that creates the memslot, or changes it; one of no pages is deleted."""
        address = region.user_page << self.kernel.PAGE_SHIFT
        args = (region.slot, region.base_gfn, region.npages, address, region.log_dirty, region.readonly)
        file = self.files[region.file] if self.files and region.npages > 0 else None
        return self.call("set_memory_region", self.kvm, *args, file, region.pgoff if file is not None else 0)

    def _make_memory(self, files: int, file_pages: int) -> None:
        k, memory = self.kernel, self.memory
        if memory.is_gmem:
            self.files = tuple(
                k._kvm_gmem_create(f"gmem{n}", self.kvm, file_pages, GMEM_FLAGS[memory]) for n in range(files)
            )
        if memory is MemoryKind.MEMFD:
            self.memfd = k.new_memfd("memfd", file_pages)
        for region in self.layout.regions:
            for number in range(region.mapped if memory.has_user_mapping else 0):
                self._map_page(region, number)

    def _map_page(self, region: Region, number: int) -> None:
        """Map a page of a region at its user address."""
        address = (region.user_page + number) << self.kernel.PAGE_SHIFT
        mapping = self.files[region.file].f_mapping if self.memory.is_mapped_gmem else self.memfd
        self.do(self.call("vm_mmap_pgoff", self.mm, address, mapping, region.pgoff + number if mapping else 0))
        if self.memory is MemoryKind.PFNMAP:
            self.do(self.call("remap_pfn_range", self.mm, address, DEVICE_PFN + number))

    def do(self, *calls: Call) -> World:
        """Run operations before any actor starts."""
        self._require_calls(calls)
        if self.defer_setup:
            self.deferred += calls
            return self
        with run_as(self.setup):
            for call in calls:
                call.function(*call.args)
        return self

    def need_not_reach(self, target: str, reason: str) -> World:
        """State why a design need not reach a target, although mainline does."""
        self.optional.add(target)
        return self.cannot_reach(target, reason)

    def clock_refused(self) -> World:
        """State that mainline cannot write the clock in this kind of memory, or that a design need not."""
        if self.memory.is_private:
            for target in (CLOCK_WRITTEN, CACHE_USED, CACHE_REFRESHED):
                self.need_not_reach(target, "the memory is private, and KVM must not access it")
        elif self.memory in CLOCK_REFUSED:
            self.cannot_reach(CLOCK_WRITTEN, CLOCK_REFUSED[self.memory])
        return self

    def clock_on(self) -> World:
        """Set the guest's kvm-clock up and update it once, so that its cache is valid."""
        return self.do(
            Call(self.kernel.set_msr_system_time, (self.vcpu, self.gpa, True)),
            Call(self.kernel.run_clock_update, (self.vcpu,)),
        )

    def steal_time_on(self) -> World:
        """Set the guest's address of steal time, which is looked up when the vCPU runs."""
        self.vcpu.st.enabled = True
        self.vcpu.st.cache.gpa = self.gpa
        return self

    def zap(self) -> Call:
        """Return the call that takes the page of the structure away, and leaves whatever has it in place."""
        first = self.layout.pgoff
        if self.files:
            return self.call("kvm_gmem_punch_hole", self.gmem, first, first + 1)
        if self.memfd is not None:
            return self.call("punch_hole_in_memfd", self.memfd, first, first + 1)
        return self.call("madvise_dontneed", self.mm, self.hva)

    def actor(
        self,
        name: str,
        *calls: Call,
        interrupts: str | None = None,
        process: bool = True,
        endless: bool = False,
        mm: MmStruct | None = None,
    ) -> World:
        """Add an actor that runs `calls` in order.

        It is a task of the VM's process, or with ``process=False`` of none (a kernel thread, another process, an
        interrupt), or with `mm` of the process of that address space. With `interrupts`, it runs on the CPU of the
        actor of that name. With `endless`, it loops forever.
        """
        if not isinstance(name, str) or not name or not name.isprintable():
            raise TypeError(f"the name of an actor is text of one line, not {name!r:.40}")
        if any(actor.name == name for actor in self.actors):
            raise ValueError(f"a second actor {name!r}; give another name")
        self._require_calls(calls)
        task = TaskStruct(name, mm=mm if mm is not None else self.mm if process else None)
        self.actors.append(Actor(name, task, with_targets(name, named_results(name, calls)), interrupts, endless))
        return self

    def reaches(self, *targets: str) -> World:
        """Require that some interleaving reaches these targets too, which the kernel or an operation marks."""
        for target in targets:
            if not isinstance(target, str) or " " not in target or not target.isprintable():
                raise TypeError(f"a target is a sentence such as 'the clock was written', not {target!r:.40}")
        self.stated += targets
        return self

    def cannot_reach(self, target: str, reason: str) -> World:
        """State why mainline does not reach a target of the scenario: the scenario is not vacuous for that."""
        for text in (target, reason):
            if not isinstance(text, str) or " " not in text or not text.isprintable():
                raise TypeError(f"a target and its reason are sentences of one line, not {text!r:.40}")
        self.unreachable[target] = reason
        return self

    def system(self) -> System:
        """Return the closed system, whose end is checked by the probes of trace_quiescent().

        Raises ValueError for an actor that interrupts none.
        """
        names = [actor.name for actor in self.actors]
        for actor in self.actors:
            if actor.interrupts is not None and (actor.interrupts not in names or actor.interrupts == actor.name):
                others = ", ".join(n for n in names if n != actor.name) or "none"
                raise ValueError(f"{actor.name} interrupts {actor.interrupts!r}; the other actors: {others}")
        if self.defer_setup:
            self.actors = [Actor(SETUP, self.setup, tuple(self.deferred))]
        elif results := expected_results(self.actors):
            self.kernel.expected_results = results
        actors = tuple(self._with_task_work(actor) for actor in self.actors)
        targets = () if self.defer_setup else (*targets_of(self.actors), *self.stated)
        at_end = Call(self.kernel.trace_quiescent, (self.kvm,))
        return System(
            actors=actors, kernel=self.kernel, at_end=at_end, at_end_task=TaskStruct("at rest", mm=self.mm),
            targets=tuple(t for t in dict.fromkeys(targets) if t not in self.optional), unreachable=self.unreachable,
        )  # fmt: skip

    def _with_task_work(self, actor: Actor) -> Actor:
        """Add task_work_run() after each operation, as a return to user space does: any may drop a last reference.

        A file that no actor closes is held by its descriptor, and needs none.
        """
        closed = tuple(call.args[0] for a in self.actors for call in a.calls if call.function.__name__ == "filp_close")
        works = tuple(Call(self.kernel.task_work_run, (file,)) for file in closed)
        return replace(actor, calls=tuple(c for call in actor.calls for c in (call, *works)))

    def call(self, name: str | Callable[..., object], *args: Any) -> Call:
        """Return the call of a kernel function by name, or of a function that is not the kernel's.

        Raises AttributeError with the nearest names, and TypeError for other arguments than the function takes.
        """
        if not isinstance(name, str):
            if not hasattr(inspect.unwrap(name) if callable(name) else name, "__code__"):
                raise TypeError(f"a call is of a kernel function by name, or of a Python function, not of {name!r:.40}")
            return Call(name, args)
        function = getattr(self.kernel, name, None)
        if not callable(function):
            near = ", ".join(difflib.get_close_matches(name, dir(self.kernel), n=3)) or "none"
            raise AttributeError(f"the kernel has no function {name!r}; nearest: {near}", name=name, obj=self.kernel)
        try:
            _signature(type(self.kernel), name).bind(self.kernel, *args)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        return Call(function, args)

    def _require_calls(self, calls: tuple[object, ...]) -> None:
        for call in calls:
            if not isinstance(call, Call):
                raise TypeError(f"an operation is w.call(...), not {call!r:.40}")


@functools.cache
def _signature(kernel: type, name: str) -> inspect.Signature:
    return inspect.signature(getattr(kernel, name))
