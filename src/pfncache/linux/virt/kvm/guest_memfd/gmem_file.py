# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, struct gmem_file: the file of one VM, and the memslots that are bound to it."""

from __future__ import annotations

from pfncache.lang.records import Record
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot


class GmemBinding(Record):
    """One entry of gmem_file->bindings."""

    slot: KvmMemorySlot | None


class GmemFile(Record, slab=True):
    """struct gmem_file: one VM's view of a guest_memfd inode; the private_data of its struct file.

    Locks: bindings by the inode's invalidate_lock.
    """

    kvm: Kvm | None
    bindings: tuple[GmemBinding, ...]
    """By page index."""
