# SPDX-License-Identifier: GPL-2.0-only
"""Case 55: a TLB keeps the translation of an SPTE until it is flushed.

Known from: kvm_handle_hva_range() in virt/kvm/kvm_main.c of v7.3.4, which flushes the TLBs before it drops mmu_lock,
and so before the page is freed.
Right verdict: holds. If the flush comes with the end of the invalidation, when the page is free already: violated,
stale-tlb.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class FlushAtEnd(Patch, Vmlinux):
    """KVM: flush the TLBs once, at the end of the invalidation."""

    def tdp_mmu_zap_leafs(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool, shared: bool) -> bool:
        """Return that no flush is needed."""
        super().tdp_mmu_zap_leafs(kvm, start, end, private, shared)
        return False

    def handle_hva_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Flush, then let faults in."""
        self.kvm_flush_remote_tlbs(kvm)
        super().handle_hva_range_end(kvm, start, end)


@scenario(caches=no_caches, tlbs=True)
def zap(w: World) -> None:
    """The guest accesses its page twice while it is zapped."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", access, access)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


tlb_flushed_at_end = mainline_7_3 + [FlushAtEnd]
