# SPDX-License-Identifier: GPL-2.0-only
"""Small guest programs, and where their code, data and page tables are: to see which pages KVM itself touches.

A guest of this kind has its memory in one memslot from gpa 0 on. What the processor reaches by itself, nested paging
finds in guest_memfd; what KVM reaches, it finds through the slot's user address.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from pfncache.linux.include.uapi import PAGE_SIZE

PAGES = 32
ROLES = {"code": 1, "data": 3, "data2": 4, "clock": 5, "steal": 6, "pml4": 16, "pdpt": 17, "pd": 18, "pt": 19}
"""Page numbers."""
TABLES = ("pml4", "pdpt", "pd", "pt")
MMIO_PAGE = 100
"""The virtual page that is mapped to MMIO_GPA, where there is no memory."""
MMIO_GPA = 0x1000000
STORE_RAX, STORE_RDX = bytes.fromhex("488901"), bytes.fromhex("488911")
"""mov [rcx], rax and mov [rcx], rdx: what is to be run to tell one page of code from another."""


@dataclass(frozen=True)
class Program:
    """What a guest does: accesses to pages by role, then how it ends."""

    mode: str
    """real, ring0 or ring3; the latter two are 64-bit and have page tables."""
    steps: tuple[tuple[str, str], ...]
    """("load" | "store", role)."""
    end: str
    """hlt, mmio (a store where there is no memory) or spin (until KVM_RUN is interrupted)."""

    def code(self) -> bytes:
        """The machine code."""
        code = b""
        for step, role in self.steps:
            address = ROLES[role] * PAGE_SIZE
            if self.mode == "real":
                # mov word [address], 0x1234 / mov ax, [address]
                code += (b"\xc7\x06" if step == "store" else b"\xa1") + struct.pack("<H", address)
                code += b"\x34\x12" if step == "store" else b""
            else:
                # mov rbx, address; mov dword [rbx], 0x11223344 / mov eax, [rbx]
                code += b"\x48\xbb" + struct.pack("<Q", address)
                code += b"\xc7\x03\x44\x33\x22\x11" if step == "store" else b"\x8b\x03"
        if self.end == "mmio":
            # mov rcx, address; mov [rcx], eax
            code += b"\x48\xb9" + struct.pack("<Q", MMIO_PAGE * PAGE_SIZE) + b"\x89\x01"
        return code + (b"\xf4" if self.end == "hlt" else b"\xeb\xfe")

    def image(self) -> dict[int, bytes]:
        """What has to be in memory, by gpa."""
        user_rw = 7
        image = {ROLES["code"] * PAGE_SIZE: self.code()}
        if self.mode != "real":
            for table, below in pairwise(TABLES):
                image[ROLES[table] * PAGE_SIZE] = struct.pack("<Q", ROLES[below] * PAGE_SIZE | user_rw)
            entries = [page * PAGE_SIZE | user_rw for page in range(PAGES)]
            image[ROLES["pt"] * PAGE_SIZE] = struct.pack(f"<{PAGES}Q", *entries)
            image[ROLES["pt"] * PAGE_SIZE + MMIO_PAGE * 8] = struct.pack("<Q", MMIO_GPA | user_rw)
        return image
