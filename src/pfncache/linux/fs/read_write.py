# SPDX-License-Identifier: GPL-2.0-only
"""fs/read_write.c: read and write by position; for direct execution."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import ESPIPE


class ReadWrite(Mm):
    """The functions of fs/read_write.c."""

    def ksys_pread64(self, file: File) -> Errno:
        """Check pread(), pwrite() or lseek(): a guest_memfd has no position.

        Linux: fs/read_write.c ksys_pread64(), ksys_pwrite64(), ksys_lseek(), v7.3.4.
        Returns: 0 for a memfd, or -ESPIPE.
        """
        return -ESPIPE if file.f_mapping.gmem else 0
