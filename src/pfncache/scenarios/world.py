# SPDX-License-Identifier: GPL-2.0-only
"""The small world that scenarios are built in: one VM, a page or two of each kind of memory, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any

from pfncache.check.system import Actor, Call, System
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import File, GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_X86_DEFAULT_VM,
    KVM_X86_SNP_VM,
    KVM_X86_SW_PROTECTED_VM,
)
from pfncache.linux.vmlinux import Vmlinux


class Memory(StrEnum):
    """What the guest's memory is made of."""

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
        """Whether there is a guest_memfd."""
        return self.value.startswith("gmem")

    @property
    def is_private(self) -> bool:
        """Whether the guest's page is private."""
        return self in (Memory.GMEM, Memory.GMEM_COCO)

    @property
    def is_mapped_gmem(self) -> bool:
        """Whether user space maps the guest_memfd."""
        return self in (Memory.GMEM_MMAP, Memory.GMEM_NDM)

    @property
    def has_user_mapping(self) -> bool:
        """Whether there is anything at the slot's user address."""
        return self is not Memory.GMEM_UNMAPPED


GMEM_FLAGS = {
    Memory.GMEM: 0,
    Memory.GMEM_COCO: 0,
    Memory.GMEM_MMAP: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
    Memory.GMEM_UNMAPPED: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
    Memory.GMEM_NDM: GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED | GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
}
VM_TYPES = {Memory.GMEM: KVM_X86_SW_PROTECTED_VM, Memory.GMEM_COCO: KVM_X86_SNP_VM}
DEVICE_PFN = 6
"""A pfn without struct page."""


class World:
    """One VM with one vCPU, one slot of one page, and an mm with room for a second mapping.

    `slots` is how many memslot objects can ever be allocated.
    """

    defer_setup = False
    """A design may break a property before the actors start. Then what do() would have done is all that is searched."""

    def __init__(
        self,
        kernel: type[Vmlinux],
        memory: Memory = Memory.ANON,
        *,
        pages: int = 3,
        slots: int = 1,
        gfns: int = 1,
        slot_ids: int = 1,
        files: int = 1,
        caches: Callable[[KvmVcpu], tuple[GfnToPfnCache, ...]] = lambda v: (v.pv_time,),
        log_dirty: bool = False,
        readonly: bool = False,
        shared_attribute: bool = False,
        file_pages: int = 1,
    ) -> None:
        self.kernel = k = kernel(page_shift=1, pages=pages, user_pages=4, vmap_areas=2)
        if 2 * slots >= k.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
            most = k.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS - 1
            raise ValueError(f"{slots} memslots: a generation counts to {most}, and a memslot may take two")
        self.memory = memory
        self.mm = k.new_mm("mm")
        self.vcpu = KvmVcpu("vcpu")
        self.kvm = k.kvm_create_vm(
            "kvm", self.mm, VM_TYPES.get(memory, KVM_X86_DEFAULT_VM), slots, slot_ids, gfns, (self.vcpu,)
        )
        self.kvm.gpcs = caches(self.vcpu)
        self.hva = 1 << k.PAGE_SHIFT
        """The slot's user address."""
        self.other_hva = 2 << k.PAGE_SHIFT
        """A user address with nothing there at first."""
        self.gpa = 0
        self.memfd: AddressSpace | None = None
        self.files: tuple[File, ...] = ()
        self.actors: list[Actor] = []
        self.deferred: list[Call] = []
        self.setup = TaskStruct("setup", mm=self.mm)
        self._make_memory(files, file_pages)
        if memory.is_private and not shared_attribute:
            for attributes in self.kvm.mem_attr_array[:gfns]:  # without a slot, that is all that the ioctl does
                attributes.private = True
        file = self.files[0] if self.files else None
        region = (self.kvm, 0, 0, gfns, self.hva, log_dirty, readonly, file, 0)
        self.do(self.call("set_memory_region", *region))

    @property
    def gmem(self) -> File:
        """The first guest_memfd."""
        return self.files[0]

    def _make_memory(self, files: int, file_pages: int) -> None:
        k, memory = self.kernel, self.memory
        if memory.is_gmem:
            self.files = tuple(
                k._kvm_gmem_create(f"gmem{n}", self.kvm, file_pages, GMEM_FLAGS[memory]) for n in range(files)
            )
        if memory is Memory.MEMFD:
            self.memfd = k.new_memfd("memfd", file_pages)
            self.do(self.call("vm_mmap_pgoff", self.mm, self.hva, self.memfd, 0))
        elif memory is Memory.PFNMAP:
            self.do(self.call("vm_mmap_pgoff", self.mm, self.hva, None, 0))
            number = self.hva >> k.PAGE_SHIFT
            self.mm.vmas[number].pfnmap = True
            self.mm.ptes[number].pfn = DEVICE_PFN
            self.mm.ptes[number].writable = True
        elif memory.has_user_mapping:
            mapping = self.files[0].f_mapping if memory.is_mapped_gmem else None
            self.do(self.call("vm_mmap_pgoff", self.mm, self.hva, mapping, 0))

    def do(self, *calls: Call) -> World:
        """Run operations before the actors start."""
        if World.defer_setup:
            self.deferred += calls
            return self
        with run_as(self.setup):
            for call in calls:
                call.function(*call.args)
        return self

    def clock_on(self) -> World:
        """The guest has a clock, and KVM has written it once: the cache is valid."""
        return self.do(
            Call(self.kernel.set_msr_system_time, (self.vcpu, self.gpa, True)),
            Call(self.kernel.run_clock_update, (self.vcpu,)),
        )

    def actor(
        self, name: str, *calls: Call, interrupts: str | None = None, process: bool = True, endless: bool = False
    ) -> World:
        """Add an actor: of the VM's process, or of none."""
        task = TaskStruct(name, mm=self.mm if process else None)
        self.actors.append(Actor(name, task, calls, interrupts, endless))
        return self

    def system(self) -> System:
        """The closed system, with the properties of its end."""
        if World.defer_setup:
            self.actors = [Actor("setup", self.setup, tuple(self.deferred))]
        actors = tuple(self._with_task_work(actor) for actor in self.actors)
        return System(actors, self.kernel, Call(self.kernel.trace_quiescent, (self.kvm,)))

    def _with_task_work(self, actor: Actor) -> Actor:
        """After each operation, what a task does on its way back to user space: any may drop a file's last reference.

        Where nobody closes a file, its descriptor keeps it, and there is nothing to do.
        """
        closed = tuple(call.args[0] for a in self.actors for call in a.calls if call.function.__name__ == "filp_close")
        works = tuple(Call(self.kernel.task_work_run, (file,)) for file in closed)
        return replace(actor, calls=tuple(c for call in actor.calls for c in (call, *works)))

    def call(self, name: str, *args: Any) -> Call:
        """A call of a kernel function by name."""
        return Call(getattr(self.kernel, name), args)
