# SPDX-License-Identifier: GPL-2.0-only
"""fs/inode.c: references on inodes, and their end."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.mm.slub import kfree


class Inode(Mm):
    """The functions of fs/inode.c."""

    @atomic
    def igrab(self, inode: AddressSpace) -> bool:
        """Take a reference on an inode, unless the last one has been dropped.

        Linux: fs/inode.c igrab(), v7.3.4.
        Locks: what keeps the inode from being freed, such as the folio lock of a page that it has.
        Returns: whether a reference was taken.
        """
        if inode.i_count == 0:
            return False
        inode.i_count += 1
        return True

    def iput(self, inode: AddressSpace) -> None:
        """Drop a reference on an inode; the last one evicts it.

        Linux: fs/inode.c iput(), iput_final(), v7.3.4.
        Locks: may sleep.
        """
        if self.i_count_dec_and_test(inode):
            self.evict(inode)

    @part_of("iput")
    @atomic
    def i_count_dec_and_test(self, inode: AddressSpace) -> bool:
        """Drop a reference; return whether it was the last one.

        Linux: fs/inode.c iput(), v7.3.4.
        """
        inode.i_count -= 1
        return inode.i_count == 0

    def evict(self, inode: AddressSpace) -> None:
        """Free the pages of an inode without references, and the inode. KVM is not notified: nothing is bound any more.

        Linux: fs/inode.c evict(), mm/truncate.c truncate_inode_pages_final(), v7.3.4.
        """
        self.truncate_inode_pages_range(inode, 0, len(inode.i_pages))
        self.destroy_inode(inode)

    def destroy_inode(self, inode: AddressSpace) -> None:
        """Free an inode by RCU.

        Linux: fs/inode.c destroy_inode(), i_callback(), virt/kvm/guest_memfd.c kvm_gmem_free_inode(), v7.3.4.
        Simplified: the task waits for the grace period, instead of a callback. No other task can tell.
        """
        self.rcu.wait_for_readers()
        kfree(inode)
