# SPDX-License-Identifier: GPL-2.0-only
"""fs/ioctl.c: ioctls of files that are neither a VM's nor a vCPU's."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import ENOTTY


class Ioctl(Mm):
    """ioctl() of a file of guest_memfd."""

    def vfs_ioctl(self, filp: File, cmd: int, start: Pgoff, end: Pgoff) -> Errno:
        """Call the file's own ioctls, of which guest_memfd has none. A patch that adds one replaces this.

        Linux: fs/ioctl.c vfs_ioctl(), v7.3.4.
        Returns: -ENOTTY.
        Simplified: the argument is a range of pages.
        """
        return -ENOTTY
