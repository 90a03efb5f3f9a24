# SPDX-License-Identifier: GPL-2.0-only
"""KVM writes to a page of a slot with dirty logging and does not mark it dirty."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_4K
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.sched import current
from pfncache.linux.mm.slub import is_live
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class LostDirtyProbe(Oracle):
    """Checks each write to guest memory, once its writer has marked it dirty, and at the end.

    Event channel and shared_info writes are exempt by KVM's ABI.
    """

    @atomic
    def trace_pv_begin(self, gpc: GfnToPfnCache) -> None:
        """Note the write, in case that its writer never marks it."""
        super().trace_pv_begin(gpc)
        self.await_mark(gpc)

    @atomic
    def trace_gpc_write(self, gpc: GfnToPfnCache) -> None:
        """Note the write, in case that its writer never marks it."""
        super().trace_gpc_write(gpc)
        self.await_mark(gpc)

    def await_mark(self, gpc: GfnToPfnCache) -> None:
        """Set the bit that says that the page of a cache was written, where the slot of the cache has a log."""
        slot = gpc.memslot
        if slot is not None:
            bitmap = slot.dirty_bitmap
            if bitmap is not None:
                bitmap.bits[(gpc.gpa >> self.PAGE_SHIFT) - slot.base_gfn].written = True

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that what was written is marked dirty when all is done."""
        super().trace_quiescent(kvm)
        for slot in kvm.slot_cache:
            if is_live(slot):
                self.expect_marked(slot)
        if self.max_huge_page_level > PG_LEVEL_4K and kvm.users_count != 0:
            self.expect_single_pages(kvm)

    def expect_single_pages(self, kvm: Kvm) -> None:
        """Report a huge SPTE of a slot with dirty logging: the guest's writes there are not seen page by page."""
        for gfn in range(len(kvm.sptes)):
            slot = self.oracle_slot(kvm, gfn)
            if slot is not None and slot.log_dirty and kvm.sptes[gfn].pfn >= 0 and kvm.sptes[gfn].huge:
                report("lost-dirty", f"{kvm.sptes[gfn]} is huge when all is done, but {slot} logs dirty pages")

    def expect_marked(self, slot: KvmMemorySlot) -> None:
        """Report a bit of the slot that is clear although its page was written."""
        bitmap = slot.dirty_bitmap
        if bitmap is not None and is_live(bitmap):
            for bit in bitmap.bits:
                if bit.written and not bit.dirty:
                    report("lost-dirty", f"{bit} is clear when all is done, but the page was written")

    @atomic
    def trace_gpc_dirty(self, gpc: GfnToPfnCache, gpa: Gpa) -> None:
        """Require the dirty bit in the slot of the cache."""
        super().trace_gpc_dirty(gpc, gpa)
        slot = gpc.memslot
        if slot is not None:
            self.expect_dirty(slot, gpa)

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Require the dirty bit in the slot that was written, if user space can still read its log.

        Walks of page tables and the emulator look the slot up a second time to mark it. If logging ended in between,
        the log that lacks the mark has ended too.
        """
        super().trace_write_guest(slot, gpa)
        vcpu = current().running_vcpu
        if not self.is_marked(slot, gpa) and (vcpu is None or self.has_log(vcpu, gpa)):
            report("lost-dirty", f"gpa {gpa:#x} of {slot} was written, but is not marked dirty")

    def expect_dirty(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Report a slot with dirty logging whose bit for gpa is clear."""
        if not self.is_marked(slot, gpa):
            report("lost-dirty", f"gpa {gpa:#x} of {slot} was written, but is not marked dirty")

    def is_marked(self, slot: KvmMemorySlot, gpa: Gpa) -> bool:
        """Return whether the slot has the bit of gpa set, or no dirty logging."""
        if not slot.log_dirty:
            return True
        bitmap = slot.dirty_bitmap
        return bitmap is not None and bitmap.bits[(gpa >> self.PAGE_SHIFT) - slot.base_gfn].dirty

    def has_log(self, vcpu: KvmVcpu, gpa: Gpa) -> bool:
        """Return whether the slot that gpa is in now has dirty logging."""
        kvm = vcpu.kvm
        assert kvm is not None
        slot = self.oracle_slot(kvm, gpa >> self.PAGE_SHIFT)
        return slot is not None and slot.log_dirty


LOST_DIRTY = Property(
    "lost-dirty", "KVM writes to a page of a slot with dirty logging, and the page is not marked dirty", LostDirtyProbe
)
