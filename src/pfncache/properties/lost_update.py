# SPDX-License-Identifier: GPL-2.0-only
"""KVM updates a PV structure in a page that the guest does not have at that address."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Pfn
from pfncache.properties.oracle import Oracle, found
from pfncache.properties.property import Property


class LostUpdateProbe(Oracle):
    """Checks each completed update of a PV structure.

    Memory that the guest has made private is exempt: KVM must not access it, so that no update can reach it.
    So is a gfn whose slot is being replaced, or whose guest_memfd is being closed.
    """

    @atomic
    def trace_pv_update(self, kvm: Kvm, gpa: Gpa, pfn: Pfn) -> None:
        """Compare the page that was written with the page that the guest would access."""
        super().trace_pv_update(kvm, gpa, pfn)
        gfn = gpa >> self.PAGE_SHIFT
        slot = self.oracle_slot(kvm, gfn)
        closing = slot is not None and slot.guest_memfd and slot.gmem_file is None
        if slot is not None and not closing and not kvm.mem_attr_array[gfn].private:
            seen = self.oracle_guest_page(kvm, slot, gfn)
            if seen != pfn:
                report(
                    "lost-update",
                    f"the update of gpa {gpa:#x} went to pfn {pfn}, but the guest has {found(seen)} there",
                )


LOST_UPDATE = Property(
    "lost-update",
    "an update of a PV structure, such as the clock, is written to a page other than the guest's",
    LostUpdateProbe,
)
