# SPDX-License-Identifier: GPL-2.0-only
"""Functions by which KVM x86 reaches guest memory through the user mapping, to be probed.

Found by reading virt/kvm/kvm_main.c, virt/kvm/pfncache.c, arch/x86/kvm/x86.c and arch/x86/kvm/mmu/paging_tmpl.h of 6.18
and 7.3. A probed function has the page as an argument; its caller determines the purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Watched:
    """A probed function, at whose entry KVM is about to access a page."""

    function: str
    page: str
    """The page as a kprobe argument: gfn=..., or gpa=... for an address."""
    write: bool
    path: str | None = ""
    """Purpose of the access. Empty if it depends on the caller; None if only the callers below count."""
    callers: Mapping[str, str] = field(default_factory=dict)
    """Purposes by caller; an asterisk for emulation, whose reason is an argument of x86_emulate_instruction().

    Empty if the caller is probed itself, so that the access is not counted twice."""
    when: str = ""
    """A tracefs filter."""


WATCHED = (
    Watched(
        "gfn_to_hva_memslot_prot", "gfn=gfn", False, None,
        dict.fromkeys(("paging64_walk_addr_generic", "paging32_walk_addr_generic"), "*page walk"),
    ),
    Watched("kvm_vcpu_gfn_to_hva", "gfn=gfn", True, "*compare and exchange"),
    Watched(
        "kvm_vcpu_read_guest_page", "gfn=gfn", False, "",
        {"kvm_fetch_guest_virt": "*fetch", "kvm_read_guest_virt_helper": "*load", "kvm_vcpu_read_guest": ""},
    ),
    Watched("kvm_vcpu_read_guest", "gpa=gpa", False, "*load"),
    Watched("kvm_vcpu_read_guest_atomic", "gpa=gpa", False),
    Watched("kvm_vcpu_write_guest_page", "gfn=gfn", True, "", {"kvm_vcpu_write_guest": ""}),
    Watched("kvm_vcpu_write_guest", "gpa=gpa", True, "*store"),
    Watched("kvm_read_guest_page", "gfn=gfn", False, "", {"kvm_read_guest": ""}),
    Watched("kvm_read_guest", "gpa=gpa", False),
    Watched("kvm_write_guest_page", "gfn=gfn", True, "", {"kvm_write_guest": ""}),
    Watched("kvm_write_guest", "gpa=gpa", True),
    Watched("kvm_read_guest_cached", "gpa=ghc->gpa", False),
    Watched("kvm_write_guest_offset_cached", "gpa=ghc->gpa", True),
    Watched("record_steal_time", "gpa=vcpu->arch.st.msr_val", True, "steal time", when="gpa & 1"),
    Watched("__kvm_gpc_refresh", "gpa=gpa", False, "pfncache refresh"),
    Watched("hva_to_pfn", "gfn=kfp->gfn", False, "", {"__kvm_gpc_refresh": "pfncache lookup"}),
    Watched("kvm_setup_guest_pvclock", "gpa=gpc->gpa", True, "kvm-clock"),
    Watched("__kvm_vcpu_map", "gfn=gfn", True, "kvm_vcpu_map()"),
)  # fmt: skip

CALLERS = {
    "apf_put_user_ready": "async page fault", "apf_pageready_slot_free": "async page fault",
    "kvm_arch_async_page_present": "async page fault", "kvm_arch_can_dequeue_async_page_present": "async page fault",
    "kvm_arch_async_page_not_present": "async page fault",
    "pv_eoi_put_user": "PV EOI", "pv_eoi_get_user": "PV EOI", "apic_sync_pv_eoi_to_guest": "PV EOI",
    "apic_sync_pv_eoi_from_guest": "PV EOI", "kvm_lapic_sync_to_vapic": "PV EOI", "kvm_lapic_sync_from_vapic": "PV EOI",
    "kvm_write_wall_clock": "wall clock",
}  # fmt: skip
"""Purposes of further callers."""

EMULATE, TYPE = "x86_emulate_instruction", "emulation_type"
"""Function and argument with the reason of an emulation: EMULTYPE_* of arch/x86/include/asm/kvm_host.h."""
_SKIP, _PAGE_FAULT = 1 << 2, 1 << 6


def emulation(kind: int) -> str:
    """Return the reason of an emulation."""
    if kind & _SKIP:
        return "skip"
    return "MMIO" if kind & _PAGE_FAULT else "emulation"


INSTRUCTION = "kvm/kvm_emulate_insn"
"""Tracepoint: the emulated instruction."""
DEVICES = "kvm/kvm_mmio"
"""Tracepoint: an access of the guest to a device."""
TABLES = ("kvmmmu/kvm_mmu_set_accessed_bit", "kvmmmu/kvm_mmu_set_dirty_bit")
"""Tracepoints: the walker writes a page-table entry."""


def path(watched: Watched, caller: str, emulating: str) -> str:
    """Return the purpose of an access by a probed function and its caller; empty if it does not count."""
    plain = caller.split(".", maxsplit=1)[0]  # without .constprop.0 and the like
    text = watched.callers.get(plain)
    if text is None:
        if watched.path is None:
            return ""
        text = CALLERS.get(plain) or watched.path or f"{watched.function} from {caller}"
    return f"{emulating}: {text[1:]}" if text.startswith("*") else text
