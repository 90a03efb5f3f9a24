# SPDX-License-Identifier: GPL-2.0-only
"""Hand-made page tables of a guest."""

from __future__ import annotations

import struct

import pytest

from pfncache.footprint.memory import GuestMemory
from pfncache.footprint.vmm.roles import roles
from pfncache.machines.host.structs import KvmSregs
from pfncache.machines.model.machine import ModelMachine

NX = 1 << 63


def _memory(machine: ModelMachine, tables: dict[int, dict[int, int]]) -> GuestMemory:
    memory = GuestMemory(machine, machine.create_vm(), 32 << 12)
    for gfn, entries in tables.items():
        for number, entry in entries.items():
            memory.write(gfn * 4096 + number * 8, struct.pack("<Q", entry))
    return memory


@pytest.mark.parametrize("levels", [4, 5])
def test_the_kernel_and_the_page_tables(model: ModelMachine, levels: int) -> None:
    tables = {
        1: {511: 2 << 12 | 3, 0: 3 << 12 | 3},
        2: {510: 4 << 12 | 3},  # the last but one GiB: the kernel's image
        3: {0: 9 << 12 | 0x83},  # a large page of user space, which does not count
        4: {0: 5 << 12 | 3, 1: 5 << 12 | 3},
        5: {0: 10 << 12 | 1, 1: 11 << 12 | 1 | NX, 2: 12 << 12 | 3 | NX, 3: 13 << 12 | 3, 4: 14 << 12},
        6: {511: 1 << 12 | 3},
    }
    sregs = KvmSregs(cr3=(1 if levels == 4 else 6) << 12 | 8, cr4=0x20 if levels == 4 else 0x1020)
    found = roles(_memory(model, tables), sregs)
    expected = {
        **dict.fromkeys((1, 2, 3, 4, 5), "page table"),
        10: "kernel text", 11: "kernel read-only data", 12: "kernel data", 13: "kernel image",
    }  # fmt: skip
    assert found == (expected if levels == 4 else {**expected, 6: "page table"})


def test_a_large_page_ends_with_the_memory(model: ModelMachine) -> None:
    tables = {1: {511: 2 << 12 | 3}, 2: {510: 3 << 12 | 3}, 3: {0: 0x83}}
    found = roles(_memory(model, tables), KvmSregs(cr3=1 << 12))
    assert found.pop(1) == found.pop(2) == found.pop(3) == "page table"
    assert found == dict.fromkeys([0, *range(4, 32)], "kernel image")
