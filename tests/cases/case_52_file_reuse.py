# SPDX-License-Identifier: GPL-2.0-only
"""Case 52: the memory of a struct file is reused for another file as soon as it is closed (SLAB_TYPESAFE_BY_RCU).

Known from: __get_file_rcu() in fs/file.c of v7.3.4, which reads the pointer again after it has taken a reference: the
reference may be another file's.
Right verdict: holds. Without the second look, a design that reads the inode's flags through the file: violated, use-
after-free, of the inode that went with the first file.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, rfc_v4_fixed
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import File, KvmMemorySlot
from pfncache.linux.include.linux.sched import current
from pfncache.linux.vmlinux import Vmlinux


class ReusedFile(File, extends=True):
    """struct file, with whether its memory is free."""

    released: bool


class FileReuse(Patch, Vmlinux):
    """fs: another process opens a file, whose struct is the one that was freed last."""

    structs = (ReusedFile,)

    def task_work_run(self, file: File) -> None:
        """Free the struct at the end of __fput()."""
        assert isinstance(file, ReusedFile)
        last = current().delayed_fput is file
        super().task_work_run(file)
        if last:
            file.released = True

    @atomic
    def open_in_freed_memory(self, file: ReusedFile) -> bool:
        """Open another file in this memory, if it is free: its first reference is there, its old members stay."""
        if not file.released:
            return False
        file.released = False
        file.f_count = 1
        return True


class NoSecondLook(Patch, Vmlinux):
    """fs: do not read the pointer again once the reference is taken."""

    def get_file_active(self, slot: KvmMemorySlot) -> File | None:
        """Take a reference on whatever file is there."""
        file = slot.gmem_file
        if file is None or not self.file_ref_get(file):
            return None
        return file


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def close_and_open(w: World) -> None:
    """A guest_memfd is closed while the clock is looked up there, and its struct file is reused."""
    w.actor("vcpu", w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("close", w.call("filp_close", w.gmem), w.call("open_in_freed_memory", w.gmem))


reuse = rfc_v4_fixed + [FileReuse]
no_second_look = rfc_v4_fixed + [FileReuse, NoSecondLook]
