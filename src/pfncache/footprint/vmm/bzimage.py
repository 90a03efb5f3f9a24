# SPDX-License-Identifier: GPL-2.0-only
"""A bzImage and the boot parameters that it is given (Documentation/arch/x86/boot.rst, zero-page.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pfncache.linux.include.uapi import PAGE_SIZE

SECTOR = 512
HEADER, MAGIC = 0x1F1, 0x202
ENTRY64 = 0x200
"""The 64-bit entry point, from the start of the protected-mode kernel."""
_XLF_KERNEL_64 = 1
_OLDEST = 0x20C
"""The first protocol with xloadflags."""
_LOADER_UNDEFINED = 0xFF
_E820_COUNT, _E820_TABLE, _E820_MOST = 0x1E8, 0x2D0, 128
E820_RAM = 1


class BadImage(Exception):
    """Not a kernel that can be booted in 64-bit mode: why."""


@dataclass(frozen=True)
class BzImage:
    """What the setup header says, and the protected-mode kernel."""

    header: bytes
    """The setup header, which goes into the boot parameters."""
    kernel: bytes
    load: int
    """Where the kernel prefers to be loaded, in bytes from 0."""
    init_size: int
    """How much memory it needs there until it has found out what memory there is."""

    @classmethod
    def parse(cls, data: bytes) -> BzImage:
        """Read a bzImage. Raises BadImage."""
        if len(data) < 0x268 or data[MAGIC : MAGIC + 4] != b"HdrS":
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
        """The address of the 64-bit entry point."""
        return self.load + ENTRY64

    def zero_page(self, command_line: int, memory: Iterable[tuple[int, int]]) -> bytes:
        """The boot parameters: where the command line is, and the (start, size) of each piece of memory."""
        page = bytearray(PAGE_SIZE)
        page[HEADER : HEADER + len(self.header)] = self.header
        page[0x210] = _LOADER_UNDEFINED
        struct.pack_into("<I", page, 0x228, command_line)
        pieces = list(memory)[:_E820_MOST]
        page[_E820_COUNT] = len(pieces)
        for number, (start, size) in enumerate(pieces):
            struct.pack_into("<QQI", page, _E820_TABLE + 20 * number, start, size, E820_RAM)
        return bytes(page)
