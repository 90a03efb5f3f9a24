# SPDX-License-Identifier: GPL-2.0-only
"""Case 38: an error path of KVM_SET_USER_MEMORY_REGION2 does not free the new memslot.

Known from: the class of c87661f855c3 ("KVM: Free new dirty bitmap if creating a new memslot fails") in v5.18; here
when the slot's part of a guest_memfd is bound already (EEXIST).
Right verdict: violated, leak, as kmemleak reports it.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.virt.kvm.kvm_main.memory_region import MemoryRegion
from pfncache.scenarios.world import no_caches


class LeakSlot(Patch, MemoryRegion):
    """KVM: forget to free a memslot that could not be bound."""

    def install_memslot(
        self,
        kvm: Kvm,
        old: KvmMemorySlot | None,
        new: KvmMemorySlot,
        change: int,
        gmem: File | None,
        gmem_pgoff: Pgoff,
    ) -> Errno:
        """Return an error without kfree()."""
        ret: Errno = 0
        if gmem is not None:
            ret = self.kvm_gmem_prepare_memory_region(kvm, new, gmem, gmem_pgoff)
            if ret != 0:
                return ret
        ret = self.kvm_set_memslot(kvm, old, new, change)
        if gmem is not None:
            self.fput(gmem)
        return ret


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, slot_ids=2, gfns=2, file_pages=2, caches=no_caches)
def bind_twice(w: World) -> None:
    """A part of a guest_memfd is bound to a second memslot, which fails."""
    w.cannot_reach("vmm: set_memory_region() succeeded", "the part is bound already")
    w.actor("vmm", w.call("set_memory_region", w.kvm, 1, 3, 1, w.hva, False, False, w.gmem, 0))


leak_slot = mainline_7_3 + [LeakSlot]
