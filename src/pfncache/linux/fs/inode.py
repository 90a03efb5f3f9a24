# SPDX-License-Identifier: GPL-2.0-only
"""fs/inode.c: the end of an inode."""

from __future__ import annotations

from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import AddressSpace


class Inode(Mm):
    """The functions of fs/inode.c."""

    def evict(self, inode: AddressSpace) -> None:
        """Free the pages of an inode without references. KVM is not notified: nothing is bound any more.

        Linux: fs/inode.c evict(), mm/truncate.c truncate_inode_pages_final(), v7.3.4.
        """
        self.truncate_inode_pages_range(inode, 0, len(inode.i_pages))
