# SPDX-License-Identifier: GPL-2.0-only
"""kernel/fork.c: processes that are copies of others."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.types import Errno


class Fork(Mm):
    """fork(), as far as the address space goes."""

    def kernel_clone(self, oldmm: MmStruct, mm: MmStruct) -> Errno:
        """Make the address space of a new process, and let it run: fork().

        Linux: kernel/fork.c kernel_clone(), copy_process(), copy_mm(), dup_mm(), v7.3.4.
        Locks: may sleep.
        Returns: 0 or -ENOMEM.
        Simplified: the address space is empty before, and lives on without mappings if there is no memory. The new
        process has no file descriptors: KVM refuses ioctls of a process that did not create the VM.
        """
        ret = self.dup_mmap(mm, oldmm)
        self.start_child(mm)
        return ret

    @part_of("kernel_clone")
    @atomic
    def start_child(self, mm: MmStruct) -> None:
        """Let the new process run.

        Linux: kernel/fork.c kernel_clone(), v7.3.4.
        """
        mm.forked = True

    @part_of("kernel_clone")
    @atomic
    def wait_for_fork(self, mm: MmStruct) -> None:
        """Begin to run as the new process, as soon as there is one.

        Linux: kernel/fork.c kernel_clone(), v7.3.4.
        """
        block_until(mm.forked)
