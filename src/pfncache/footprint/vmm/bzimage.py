# SPDX-License-Identifier: GPL-2.0-only
"""A bzImage and its boot parameters (Documentation/arch/x86/boot.rst, zero-page.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pfncache.linux.include.uapi import PAGE_SIZE

SECTOR = 512
HEADER, MAGIC = 0x1F1, 0x202
ENTRY64 = 0x200
"""Offset of the 64-bit entry point in the protected-mode kernel."""
_XLF_KERNEL_64 = 1
_HEADER_END = 0x268
"""Offset in the file behind the setup header, in bytes."""
_OLDEST = 0x20C
"""First version of the boot protocol with xloadflags."""
_LOADER_UNDEFINED = 0xFF
_E820_COUNT, _E820_TABLE, _E820_MOST = 0x1E8, 0x2D0, 128
E820_RAM = 1


class BadImage(Exception):
    """Not a kernel that can be booted in 64-bit mode."""


@dataclass(frozen=True)
class BzImage:
    """Setup header and protected-mode kernel of a bzImage."""

    header: bytes
    """The setup header, a part of the boot parameters."""
    kernel: bytes
    load: int
    """Preferred load address of the kernel."""
    init_size: int
    """Memory in bytes that the kernel requires there before it has parsed the memory map."""

    @classmethod
    def parse(cls, data: bytes) -> BzImage:
        """Parse a bzImage. Raises BadImage."""
        if len(data) < _HEADER_END or data[MAGIC : MAGIC + 4] != b"HdrS":
            raise BadImage("no bzImage: no setup header")
        version, xloadflags = struct.unpack_from("<H", data, 0x206)[0], struct.unpack_from("<H", data, 0x236)[0]
        if version < _OLDEST or not xloadflags & _XLF_KERNEL_64:
            raise BadImage(f"no 64-bit entry point (boot protocol {version >> 8}.{version & 0xFF:02})")
        sectors = data[HEADER] or 4
        load, init_size = struct.unpack_from("<QI", data, 0x258)
        kernel = data[(1 + sectors) * SECTOR :]
        if not kernel:
            raise BadImage("cut short: nothing behind the setup sectors")
        return cls(data[HEADER : MAGIC + data[0x201]], kernel, load, init_size)

    @property
    def entry(self) -> int:
        """Address of the 64-bit entry point."""
        return self.load + ENTRY64

    def zero_page(self, command_line: int, memory: Iterable[tuple[int, int]]) -> bytes:
        """Return the boot parameters, from the address of the command line and (start, size) of each memory range."""
        page = bytearray(PAGE_SIZE)
        page[HEADER : HEADER + len(self.header)] = self.header
        page[0x210] = _LOADER_UNDEFINED
        struct.pack_into("<I", page, 0x228, command_line)
        pieces = list(memory)[:_E820_MOST]
        page[_E820_COUNT] = len(pieces)
        for number, (start, size) in enumerate(pieces):
            struct.pack_into("<QQI", page, _E820_TABLE + 20 * number, start, size, E820_RAM)
        return bytes(page)
