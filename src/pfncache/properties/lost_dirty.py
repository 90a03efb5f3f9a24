# SPDX-License-Identifier: GPL-2.0-only
"""KVM writes to a page of a slot with dirty logging and does not mark it dirty."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class LostDirtyProbe(Oracle):
    """Checks each write to guest memory, once its writer has marked it dirty.

    Event channel and shared_info writes are exempt by KVM's ABI.
    """

    @atomic
    def trace_gpc_dirty(self, gpc: GfnToPfnCache, gpa: Gpa) -> None:
        """Require the dirty bit in the slot of the cache."""
        super().trace_gpc_dirty(gpc, gpa)
        slot = gpc.memslot
        if slot is not None:
            self.expect_dirty(slot, gpa)

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Require the dirty bit in the slot that was written."""
        super().trace_write_guest(slot, gpa)
        self.expect_dirty(slot, gpa)

    def expect_dirty(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Report a slot with dirty logging whose bit for gpa is clear."""
        if not slot.log_dirty:
            return
        bitmap = slot.dirty_bitmap
        if bitmap is None or not bitmap.bits[(gpa >> self.PAGE_SHIFT) - slot.base_gfn].dirty:
            report("lost-dirty", f"gpa {gpa:#x} of {slot} was written, but is not marked dirty")


LOST_DIRTY = Property(
    "lost-dirty", "KVM writes to a page of a slot with dirty logging, and the page is not marked dirty", LostDirtyProbe
)
