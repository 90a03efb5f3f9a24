# SPDX-License-Identifier: GPL-2.0-only
"""KVM writes to guest memory through a read-only memslot."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Pfn
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class ReadonlyWriteProbe(Oracle):
    """Checks each write through a user address, and each mapping of a cache, whose users may write."""

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Require that the slot may be written."""
        super().trace_write_guest(slot, gpa)
        if slot.readonly:
            report("readonly-write", f"KVM writes to gpa {gpa:#x} of {slot}, which is read-only")

    @atomic
    def trace_gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """Require that the slot of the cache may be written."""
        super().trace_gpc_map(gpc, pfn)
        slot = gpc.memslot
        if slot is not None and slot.readonly:
            report("readonly-write", f"{gpc} makes a kernel mapping of {slot}, which is read-only, to write there")


READONLY_WRITE = Property(
    "readonly-write", "KVM writes to guest memory, or is about to, through a read-only memslot", ReadonlyWriteProbe
)
