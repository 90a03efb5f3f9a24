# SPDX-License-Identifier: GPL-2.0-only
"""KVM writes guest memory whose slot logs dirty pages, and does not mark it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import GfnToPfnCache, Gpa
from pfncache.properties.oracle import Ghost
from pfncache.properties.property import Property


class LostDirtyProbe(Ghost):
    """Looks where a writer says that it is done marking.

    Event channel and shared_info writes are exempt by KVM's ABI.
    """

    @atomic
    def trace_gpc_dirty(self, gpc: GfnToPfnCache, gpa: Gpa) -> None:
        """The slot of the cache has the bit."""
        super().trace_gpc_dirty(gpc, gpa)
        slot = gpc.memslot
        if slot is not None:
            self.expect_dirty(slot, gpa)

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """The slot that was written has the bit."""
        super().trace_write_guest(slot, gpa)
        self.expect_dirty(slot, gpa)

    def expect_dirty(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Report a slot that logs and has no bit for gpa."""
        if slot.log_dirty and not slot.dirty_bitmap[(gpa >> self.PAGE_SHIFT) - slot.base_gfn].dirty:
            report("lost-dirty", f"gpa {gpa:#x} of {slot} was written, but is not marked dirty")


LOST_DIRTY = Property(
    "lost-dirty", "KVM writes to a page of a slot that logs dirty pages, and the page is not marked", LostDirtyProbe
)
