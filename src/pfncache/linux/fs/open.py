# SPDX-License-Identifier: GPL-2.0-only
"""fs/open.c: checks of system calls on files, before the functions of memfd or guest_memfd; for direct execution."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFBIG, EINVAL, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE
from pfncache.linux.mm.shmem import Shmem
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile

FALLOC_FL_MODE_MASK = 0xFA
"""PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE, UNSHARE_RANGE, WRITE_ZEROES, of which one may be set."""
MAX_LFS_FILESIZE = (1 << 63) - 1
"""s_maxbytes of the file systems of memfd and guest_memfd."""


class Open(Shmem, GuestMemfdFile):
    """System calls on files."""

    def vfs_fallocate(self, file: File, mode: int, offset: int, length: int) -> Errno:
        """Check the arguments of fallocate(), then call the function of the file.

        Linux: fs/open.c vfs_fallocate(), v7.3.4.
        Returns: 0, -EINVAL, -EOPNOTSUPP, -EFBIG, or the result of the file's function.
        """
        if offset < 0 or length <= 0:
            return -EINVAL
        if mode & ~(FALLOC_FL_MODE_MASK | FALLOC_FL_KEEP_SIZE) != 0:
            return -EOPNOTSUPP
        operation = mode & FALLOC_FL_MODE_MASK
        if operation == FALLOC_FL_PUNCH_HOLE:
            if mode & FALLOC_FL_KEEP_SIZE == 0:
                return -EOPNOTSUPP
        elif operation & ~FALLOC_FL_ZERO_RANGE != 0:
            return -EOPNOTSUPP
        if offset + length > MAX_LFS_FILESIZE:
            return -EFBIG
        if file.f_mapping.gmem:
            return self.kvm_gmem_fallocate(file, mode, offset, length)
        return self.shmem_fallocate(file.f_mapping, mode, offset, length)

    def filp_close(self, file: File) -> None:
        """Drop the reference of a file descriptor, then return to user space.

        Linux: fs/open.c filp_close(), v7.3.4.
        """
        self.fput(file)
        self.task_work_run(file)

    def do_truncate(self, file: File) -> Errno:
        """Check ftruncate(): the size of a guest_memfd is fixed.

        Linux: fs/open.c do_truncate() with virt/kvm/guest_memfd.c kvm_gmem_setattr(), v7.3.4.
        Returns: 0 or -EINVAL.
        """
        return -EINVAL if file.f_mapping.gmem else 0

    def sys_close(self, file: File) -> None:
        """Drop the reference of a file descriptor.

        Linux: include/linux/syscalls.h sys_close(), defined in fs/open.c, v7.3.4.
        """
        self.fput(file)
        self.task_work_run(file)
