# SPDX-License-Identifier: GPL-2.0-only
"""One VM with anonymous memory in a process, for calling the kernel's functions directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_host import DirtyBit, GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.vmlinux import Vmlinux

HVA = 0x4000
"""Where the VM's memory is mapped in the process: four pages, of which nothing is touched yet."""


@dataclass
class Host:
    """A kernel with one process that has one VM, without memslots."""

    kernel: Vmlinux
    vm_type: int = 0
    slots: int = 6
    mm: MmStruct = field(init=False)
    vcpu: KvmVcpu = field(init=False)
    kvm: Kvm = field(init=False)

    def __post_init__(self) -> None:
        self.mm = self.kernel.new_mm("mm")
        self.vcpu = KvmVcpu("vcpu")
        self.kvm = self.kernel.kvm_create_vm(
            "kvm", self.mm, self.vm_type, self.slots, slot_ids=3, gfns=8,
            vcpus=(self.vcpu,), caches=(self.vcpu.pv_time,),
        )  # fmt: skip
        for number in range(4):
            self.kernel.vm_mmap_pgoff(self.mm, HVA + (number << 12), None, 0)

    @property
    def gpc(self) -> GfnToPfnCache:
        """kvm-clock's cache."""
        return self.vcpu.pv_time

    def add_slot(
        self, base_gfn: int = 0, npages: int = 4, slot_id: int = 0, hva: Hva = HVA, log_dirty: bool = False
    ) -> int:
        """KVM_SET_USER_MEMORY_REGION."""
        return self.kernel.set_memory_region(self.kvm, slot_id, base_gfn, npages, hva, log_dirty)

    def delete_slot(self, slot_id: int = 0) -> int:
        """The same with size 0."""
        return self.kernel.set_memory_region(self.kvm, slot_id, 0, 0, 0)

    def slot(self, slot_id: int = 0) -> KvmMemorySlot:
        """A slot of the active set."""
        slots = self.kvm.memslots
        assert slots is not None
        slot = slots.entries[slot_id].slot
        assert slot is not None
        return slot

    def dirty_bits(self, slot_id: int = 0) -> tuple[DirtyBit, ...]:
        """The dirty bitmap of a slot of the active set; none without dirty logging."""
        bitmap = self.slot(slot_id).dirty_bitmap
        return bitmap.bits if bitmap is not None else ()

    @property
    def generation(self) -> int:
        """The active set's generation."""
        slots = self.kvm.memslots
        assert slots is not None
        return slots.generation

    def map_device(self, hva: Hva, pfn: Pfn) -> None:
        """A driver's VM_PFNMAP mapping of one page."""
        self.kernel.vm_mmap_pgoff(self.mm, hva, None, 0)
        self.mm.vmas[hva >> 12].pfnmap = True
        self.mm.ptes[hva >> 12].pfn = pfn
        self.mm.ptes[hva >> 12].writable = True

    def page(self, hva: Hva) -> Page:
        """The page that the process has at hva."""
        return self.kernel.mem_map[self.mm.ptes[hva >> 12].pfn]


MakeHost = Callable[..., Host]


@pytest.fixture
def make_host(task: TaskStruct) -> MakeHost:
    """Make hosts; the test runs as a task of the process of the last one, which has loaded its vCPU."""

    def make(kernel: type[Vmlinux] = Vmlinux, vm_type: int = 0, slots: int = 6) -> Host:
        host = Host(kernel(), vm_type, slots)
        task.mm = host.mm
        task.running_vcpu = host.vcpu
        return host

    return make


@contextmanager
def reported(kind: str) -> Iterator[None]:
    """The block ends in a report of this kind."""
    with pytest.raises(PropertyViolated) as splat:
        yield
    assert splat.value.kind == kind


@pytest.fixture
def task() -> Iterator[TaskStruct]:
    """A running task that is of no process."""
    made = TaskStruct("task")
    with run_as(made):
        yield made


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A host with the kernel as it is."""
    return make_host()
