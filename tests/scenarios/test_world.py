# SPDX-License-Identifier: GPL-2.0-only
"""The world of a scenario: what each kind of memory consists of."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import DEVICE_PFN, MemoryKind, World

KERNEL = mainline_7_3.kernel()


@pytest.mark.parametrize(
    ("memory", "vm_type", "flags", "private"),
    [
        (MemoryKind.ANON, 0, None, False),
        (MemoryKind.GMEM, 1, 0, True),
        (MemoryKind.GMEM_COCO, 4, 0, True),
        (MemoryKind.GMEM_MMAP, 0, 3, False),
        (MemoryKind.GMEM_NDM, 0, 7, False),
        (MemoryKind.GMEM_UNMAPPED, 0, 3, False),
    ],
)
def test_guest_memory(memory: MemoryKind, vm_type: int, flags: int | None, private: bool) -> None:
    world = World(KERNEL, memory)
    assert (world.kvm.vm_type, world.kvm.mem_attr_array[0].private) == (vm_type, private)
    slot = world.kvm.slot_cache[0]
    assert (slot.base_gfn, slot.npages, slot.userspace_addr) == (0, 1, world.hva)
    assert slot.guest_memfd is (flags is not None)
    assert [file.f_mapping.gmem_flags for file in world.files] == ([] if flags is None else [flags])


@pytest.mark.parametrize("memory", MemoryKind)
def test_user_mapping(memory: MemoryKind) -> None:
    world = World(KERNEL, memory)
    vma = world.mm.vmas[world.hva >> world.kernel.PAGE_SHIFT]
    mapped = {
        MemoryKind.MEMFD: world.memfd,
        MemoryKind.GMEM_MMAP: world.files[0].f_mapping if world.files else None,
        MemoryKind.GMEM_NDM: world.files[0].f_mapping if world.files else None,
    }
    assert (vma.present, vma.pfnmap) == (memory is not MemoryKind.GMEM_UNMAPPED, memory is MemoryKind.PFNMAP)
    assert vma.mapping is mapped.get(memory)
    device = world.mm.ptes[world.hva >> world.kernel.PAGE_SHIFT].pfn
    assert device == (DEVICE_PFN if memory is MemoryKind.PFNMAP else -1)


def test_clock_on_leaves_a_valid_cache() -> None:
    world = World(KERNEL).clock_on()
    assert (world.vcpu.pv_time.valid, world.vcpu.clock_update) == (True, False)


def test_set_up_can_be_put_off() -> None:
    world = World(KERNEL, defer_setup=True).clock_on()
    (setup,) = world.actor("vcpu", world.call("run_clock_update", world.vcpu)).system().actors
    assert not world.vcpu.pv_time.active
    assert (setup.name, [call.function.__name__ for call in setup.calls]) == (
        "setup",
        ["vm_mmap_pgoff", "set_memory_region", "set_msr_system_time", "run_clock_update"],
    )


def test_actors_are_of_the_process_or_of_none() -> None:
    world = World(KERNEL)
    call = world.call("vm_munmap", world.mm, world.hva)
    one, other = world.actor("one", call).actor("other", call, process=False).system().actors
    assert isinstance(one.task, TaskStruct)
    assert isinstance(other.task, TaskStruct)
    assert (one.task.mm, other.task.mm) == (world.mm, None)


def generation_of(world: World) -> int:
    slots = world.kvm.memslots
    assert slots is not None
    return slots.generation


def test_generations_do_not_reach_the_bit_that_says_in_progress() -> None:
    """Eight updates, each of which counts: no two have the same generation, with or without the bit."""
    world = World(KERNEL, slots=13)
    bit = world.kernel.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
    generations = [generation_of(world)]
    for _ in range(4):
        for operation in OPERATIONS["slot-replace"].calls(world):
            world.do(operation)
            generations.append(generation_of(world))
    assert generations == [1, 3, 4, 6, 7, 9, 10, 12, 13]
    assert not any(generation & bit for generation in generations)


def test_more_updates_than_generations_are_refused() -> None:
    with pytest.raises(ValueError, match="16 memslots: a generation counts to 31, and a memslot may take two"):
        World(KERNEL, slots=16)
