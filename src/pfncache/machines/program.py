# SPDX-License-Identifier: GPL-2.0-only
"""Small guest programs with known pages for code, data and page tables, to find out which pages KVM itself touches.

The guest's memory is one memslot from gpa 0 on. The processor reaches it in guest_memfd, by nested paging or shadow
page tables; KVM itself reaches it through the slot's user address.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from itertools import pairwise

from pfncache.linux.include.uapi import PAGE_SIZE

PAGES = 32
ROLES = {"code": 1, "data": 3, "data2": 4, "clock": 5, "steal": 6, "pml4": 16, "pdpt": 17, "pd": 18, "pt": 19}
"""Guest frame number of each role."""
TABLES = ("pml4", "pdpt", "pd", "pt")
MMIO_PAGE = 100
"""Virtual page number that is mapped to MMIO_GPA."""
MMIO_GPA = 0x1000000
"""Guest physical address without memory."""
STORE_RAX, STORE_RDX = bytes.fromhex("488901"), bytes.fromhex("488911")
"""mov [rcx], rax and mov [rcx], rdx: code by which two pages of code differ."""


L2_TARGETS = {0xFFFF9000: b"target 0", 0xFFFFF000: b"target 1"}
"""Guest physical addresses of two pages of the machine's own, by their contents, which an L2 guest's entries map."""
L2_ENTRY_FLAGS = 0x67
"""Of an entry of a nested page table: present, writable, user, accessed and dirty."""


def l2_entry(target: int) -> bytes:
    """Return an entry of a nested page table that maps one of the two targets."""
    return (list(L2_TARGETS)[target] | L2_ENTRY_FLAGS).to_bytes(8, "little")


class CpuMode(enum.Enum):
    """Processor mode of a program; the ring modes are 64-bit, with page tables."""

    REAL = "real"
    RING0 = "ring0"
    RING3 = "ring3"


class GuestInstruction(enum.Enum):
    """A memory access of a program."""

    LOAD = "load"
    STORE = "store"


class ProgramEnd(enum.Enum):
    """End of a program; the value is the reason of the exit."""

    HLT = "HLT"
    MMIO = "MMIO"
    """By a store to MMIO_GPA."""
    SPIN = "INTR"
    """By an interrupt of KVM_RUN, in an endless loop."""


@dataclass(frozen=True)
class GuestProgram:
    """A guest program: accesses to pages by role, and its end."""

    mode: CpuMode
    steps: tuple[tuple[GuestInstruction, str], ...]
    """Accesses, each with the role of its page."""
    end: ProgramEnd

    def code(self) -> bytes:
        """Return the machine code."""
        code = b""
        for step, role in self.steps:
            address = ROLES[role] * PAGE_SIZE
            if self.mode is CpuMode.REAL:
                # mov word [address], 0x1234 / mov ax, [address]
                code += (b"\xc7\x06" if step is GuestInstruction.STORE else b"\xa1") + struct.pack("<H", address)
                code += b"\x34\x12" if step is GuestInstruction.STORE else b""
            else:
                # mov rbx, address; mov dword [rbx], 0x11223344 / mov eax, [rbx]
                code += b"\x48\xbb" + struct.pack("<Q", address)
                code += b"\xc7\x03\x44\x33\x22\x11" if step is GuestInstruction.STORE else b"\x8b\x03"
        if self.end is ProgramEnd.MMIO:
            # mov rcx, address; mov [rcx], eax
            code += b"\x48\xb9" + struct.pack("<Q", MMIO_PAGE * PAGE_SIZE) + b"\x89\x01"
        return code + (b"\xf4" if self.end is ProgramEnd.HLT else b"\xeb\xfe")

    def image(self) -> dict[int, bytes]:
        """Return the initial contents of memory, by gpa."""
        user_rw = 7
        image = {ROLES["code"] * PAGE_SIZE: self.code()}
        if self.mode is not CpuMode.REAL:
            for table, below in pairwise(TABLES):
                image[ROLES[table] * PAGE_SIZE] = struct.pack("<Q", ROLES[below] * PAGE_SIZE | user_rw)
            entries = [page * PAGE_SIZE | user_rw for page in range(PAGES)]
            image[ROLES["pt"] * PAGE_SIZE] = struct.pack(f"<{PAGES}Q", *entries)
            image[ROLES["pt"] * PAGE_SIZE + MMIO_PAGE * 8] = struct.pack("<Q", MMIO_GPA | user_rw)
        return image
