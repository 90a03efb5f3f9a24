# SPDX-License-Identifier: GPL-2.0-only
"""fs/file_table.c, include/linux/fs.h, file_ref.h: references on files, and the release of a file without any."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.sched import current


class FileTable(Mm):
    """References on struct file."""

    @atomic
    def get_file(self, file: File) -> None:
        """Take a reference on a file that the caller has open.

        Linux: include/linux/fs.h get_file(), v7.3.4.
        """
        file.f_count += 1

    @atomic
    def file_ref_get(self, file: File) -> bool:
        """Take a reference, unless the last one has been dropped.

        Linux: include/linux/file_ref.h file_ref_get(), v7.3.4.
        Returns: whether a reference was taken.
        """
        if file.f_count == 0:
            return False
        file.f_count += 1
        return True

    @atomic
    def file_ref_put(self, file: File) -> bool:
        """Drop a reference.

        Linux: include/linux/file_ref.h file_ref_put(), v7.3.4.
        Returns: whether it was the last one.
        """
        if file.f_count == 0:
            report("refcount-imbalance", f"{file} is put, but has no reference")
        file.f_count -= 1
        return file.f_count == 0

    def fput(self, file: File) -> None:
        """Drop a reference on a file; the last one defers the release to task work, before the return to user space.

        Linux: fs/file_table.c fput(), v7.3.4.
        Simplified: a task defers the release of one file at a time, and reports a second one. Linux has a list.
        """
        if self.file_ref_put(file):
            delayed = current().delayed_fput
            if delayed is not None and delayed is not file:
                report("leak", f"{delayed} is not released: the task drops {file} before it returns to user space")
            current().delayed_fput = file

    def task_work_run(self, file: File) -> None:
        """Release the file, before the return to user space, if this task has dropped its last reference.

        Linux: kernel/task_work.c task_work_run(), fs/file_table.c __fput(), v7.3.4.
        """
        if current().delayed_fput is file:
            current().delayed_fput = None
            self.kvm_gmem_release(file)
            self.iput(file.f_mapping)
