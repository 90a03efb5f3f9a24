# SPDX-License-Identifier: GPL-2.0-only
"""/proc/self/pagemap: this process's page-table entries."""

from __future__ import annotations

import os
import struct

from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.resource import Closing

PRESENT, UFFD_WP_BIT = 1 << 63, 1 << 57
"""Bits of an entry: Documentation/admin-guide/mm/pagemap.rst."""


class Pagemap(Closing):
    """The open /proc/self/pagemap."""

    def __init__(self) -> None:
        self.fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def entries(self, hva: int, length: int) -> list[int]:
        """Return an entry for each page of a range."""
        count = length // PAGE_SIZE
        return list(struct.unpack(f"<{count}Q", os.pread(self.fd, count * 8, hva // PAGE_SIZE * 8)))

    def close(self) -> None:
        """Close the file descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
