# SPDX-License-Identifier: GPL-2.0-only
"""Case 33: guest pages are mapped in the address space of the VM's process alone ("mm-local").

Known from: a review of the series' v1 (2025-12), which proposed it instead of a global vmap(). A Xen timer's hard
interrupt runs in whatever process is on the CPU.
Right verdict: violated, unmapped-access, for users in interrupts; kvm-clock, which vCPU threads alone write, holds.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.virt.kvm.pfncache import Pfncache


class MmLocal(Patch, Pfncache):
    """KVM: pfncache: map pages in the VM's own address space."""

    @atomic
    def access_khva(self, gpc: GfnToPfnCache, write: bool) -> Pfn:
        """Require the address space that has the mapping."""
        kvm = gpc.kvm
        assert kvm is not None
        if current().mm is not kvm.mm:
            report("unmapped-access", f"{gpc} is used where its mapping is not: it is mm-local")
        return super().access_khva(gpc, write)


mm_local = mainline_7_3 + [MmLocal]
