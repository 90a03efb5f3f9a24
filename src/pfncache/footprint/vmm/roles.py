# SPDX-License-Identifier: GPL-2.0-only
"""Roles of a 64-bit Linux guest's pages, from its page tables."""

from __future__ import annotations

import struct

from pfncache.footprint.memory import GuestMemory
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.host.structs import KvmSregs

KERNEL_IMAGE, MODULES = 0xFFFFFFFF80000000, 0xFFFFFFFFC0000000
"""Addresses at which Linux maps itself (Documentation/arch/x86/x86_64/mm.rst): __START_KERNEL_map to modules."""
_PRESENT, _WRITABLE, _LARGE, _NO_EXECUTE = 1, 2, 1 << 7, 1 << 63
_ADDRESS = 0x000FFFFFFFFFF000
_LA57 = 1 << 12
_BITS = 9


def roles(memory: GuestMemory, sregs: KvmSregs) -> dict[int, str]:
    """Return page tables and the pages of the kernel's image, by page number."""
    found: dict[int, str] = {}
    levels = 5 if sregs.cr4 & _LA57 else 4
    _walk(memory, sregs.cr3 & _ADDRESS, levels, 0, found)
    return found


def _walk(memory: GuestMemory, table: int, level: int, virtual: int, found: dict[int, str]) -> None:
    if not 0 < table < memory.size or found.get(table // PAGE_SIZE) == "page table":
        return
    found[table // PAGE_SIZE] = "page table"
    size = PAGE_SIZE << _BITS * (level - 1)
    for number, entry in enumerate(struct.unpack("<512Q", memory.read(table, PAGE_SIZE))):
        if not entry & _PRESENT:
            continue
        address = virtual + number * size
        if level > 1 and not entry & _LARGE:
            _walk(memory, entry & _ADDRESS, level - 1, address, found)
        else:
            _leaf(_canonical(address), entry, size, memory.size, found)


def _canonical(address: int) -> int:
    """Return the canonical address: a walk that starts at 0 reaches the upper half after the lower one."""
    for bits in (48, 57):
        if address >> (bits - 1) == 1:
            return address | (1 << 64) - (1 << bits)
    return address


def _leaf(virtual: int, entry: int, size: int, end: int, found: dict[int, str]) -> None:
    if not KERNEL_IMAGE <= virtual < MODULES:
        return
    # Until mark_readonly(), which a guest without a root does not reach, all of it can be written and executed.
    kind = ("image", "text", "data", "read-only data")[(not entry & _WRITABLE) + 2 * bool(entry & _NO_EXECUTE)]
    start = entry & _ADDRESS & -size
    role = f"kernel {kind}"
    for gpa in range(start, min(start + size, end), PAGE_SIZE):
        found.setdefault(gpa // PAGE_SIZE, role)
