# SPDX-License-Identifier: GPL-2.0-only
"""Two memslots have a gfn in common."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class OverlappingSlotsProbe(Oracle):
    """Checks the state in which every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require that each gfn has at most one slot in the active set: a lookup would find either of two."""
        super().trace_quiescent(kvm)
        slots = kvm.memslots
        if kvm.users_count == 0 or slots is None:  # the slots of a VM without references are freed
            return
        for number in range(len(slots.entries)):
            slot = slots.entries[number].slot
            for before in range(number):
                other = slots.entries[before].slot
                if slot is not None and other is not None:
                    if slot.base_gfn < other.base_gfn + other.npages and other.base_gfn < slot.base_gfn + slot.npages:
                        report("overlapping-slots", f"{other} and {slot} have a gfn in common when all is done")


OVERLAPPING_SLOTS = Property(
    "overlapping-slots",
    "when every operation has ended, two memslots of the active set have a gfn in common",
    OverlappingSlotsProbe,
)
