# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of memslots and pages that lie beside a range: what KVM does to the range must end there."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World

BOTH = SlotLayout(regions=(Region(), Region(slot=1, base_gfn=1, user_page=2, pgoff=1)))
"""Two memslots of one page each, side by side in guest memory, in user space and in the file."""
SECOND = SlotLayout(regions=(Region(base_gfn=1, user_page=2, pgoff=1),))
"""The second of them alone."""


def _access(w: World, gfn: int, private: bool = False) -> Call:
    """Return an access of the guest."""
    return w.call("run_guest_access", w.vcpu, gfn << w.kernel.PAGE_SHIFT, private)


# Pages of one guest_memfd in several memslots


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=2, slot_ids=2, gfns=2, file_pages=2, layout=SECOND)
def bind(w: World) -> None:
    """A memslot gets the page of a file before one that another memslot has, where the guest faults."""
    w.actor("guest", _access(w, 1))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 1, 0, 1, w.hva, False, False, w.gmem, 0))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, slot_ids=2, gfns=2, file_pages=2, layout=BOTH)
def unbind(w: World) -> None:
    """A memslot goes whose file has a page behind it that another memslot has; that page is punched then."""
    w.do(_access(w, 1))
    w.actor("guest", _access(w, 1))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva), w.call("kvm_gmem_punch_hole", w.gmem, 1, 2))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, layout=SECOND)
def punch(w: World) -> None:
    """A page of a file is punched that no memslot has, before one that the guest faults in."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("guest", _access(w, 1))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


# Conversions


@scenario(memory=MemoryKind.GMEM, gfns=3, file_pages=2, layout=SECOND)
def convert_around(w: World) -> None:
    """The gfns before and behind a memslot are made shared, while the guest faults in the memslot."""
    w.actor("guest", _access(w, 1, True))
    w.actor("vmm", *(w.call("set_memory_attributes", w.kvm, gfn, gfn + 1, False) for gfn in (0, 2)))


@scenario(memory=MemoryKind.GMEM, gfns=2, file_pages=2)
def convert_first(w: World) -> None:
    """The first page of a memslot is made shared while the guest faults in the second."""
    w.actor("guest", _access(w, 1, True))
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, 0, 1, False))


@scenario(memory=MemoryKind.GMEM, slots=2, slot_ids=2, gfns=2, file_pages=2, layout=BOTH)
def convert_both(w: World) -> None:
    """One call makes two memslots shared while the guest faults in the second."""
    w.actor("guest", _access(w, 1, True))
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, 0, 2, False))


# Deletion


@scenario(slots=3, slot_ids=2, gfns=2, user_pages=5, layout=BOTH)
def delete(w: World) -> None:
    """The second of two memslots is deleted, which the guest has mapped and accesses."""
    w.do(_access(w, 1))
    w.actor("guest", _access(w, 1), _access(w, 0))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 1, 0, 0, w.other_hva))


@scenario(gfns=3, layout=SECOND)
def zap_around(w: World) -> None:
    """Before and behind a memslot, then in it, gfns are zapped, as the APIC page is, while the guest faults there."""
    w.actor("guest", _access(w, 1))
    w.actor("vcpu", *(w.call("kvm_zap_gfn_range", w.kvm, start, end) for start, end in ((0, 1), (2, 3), (1, 3))))
