# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of an L2 guest, for which KVM pins and maps a page of L1 from its entry to its exit."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _l2(w: World) -> World:
    """Add a vCPU that enters L2, runs it, and exits to L1."""
    return w.actor(
        "vcpu",
        w.call("run_nested_entry", w.vcpu, w.gpa),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )


@scenario
def dontneed(w: World) -> None:
    """The virtual-APIC page is zapped in user space, and touched again, while L2 runs."""
    _l2(w)
    w.actor(
        "madvise",
        w.call("madvise_dontneed", w.mm, w.hva),
        w.call("do_user_addr_fault", w.mm, w.hva),
    )


@scenario(memory=MemoryKind.GMEM_MMAP)
def punch(w: World) -> None:
    """The virtual-APIC page is punched out of guest_memfd while L2 runs."""
    _l2(w).actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(pages=4)
def migrate(w: World) -> None:
    """The virtual-APIC page is to be moved while L2 runs."""
    _l2(w)
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)


@scenario(slots=2)
def slot_delete(w: World) -> None:
    """The slot of the virtual-APIC page is deleted while L2 runs."""
    _l2(w).actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(slots=3)
def slot_move(w: World) -> None:
    """The slot of the virtual-APIC page moves while L2 runs."""
    _l2(w).actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva))


@scenario(pages=2)
def page_reuse(w: World) -> None:
    """L1's virtual-APIC page is pinned while it is zapped, and another process gets it."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    other = w.kernel.new_mm("other")
    w.do(w.call("vm_mmap_pgoff", other, w.hva, None, 0))
    w.actor("vcpu", w.call("run_nested_entry", w.vcpu, w.gpa), w.call("run_nested_exit", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("other", w.call("do_user_addr_fault", other, w.hva), mm=other)
