# SPDX-License-Identifier: GPL-2.0-only
"""Case 24: a VMM punches a guest_memfd, and only then makes the memory shared.

Known from: Cloud Hypervisor's pull request 8167 (2026-05), which punches when the guest makes memory shared; QEMU's
kvm_convert_memory() sets the attribute first and discards then. The other way round, a vCPU that still runs private
faults a new page in between, which stays allocated behind a shared gfn.
Right verdict: violated, leak: not a fault of KVM, but memory that the VMM believes released. The property is this
file's: a VMM may as well keep the pages of memory that is shared.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class SharedMemoryIsReleased(Patch, Vmlinux):
    """Property: guest_memfd has no page of a gfn that is shared when every operation has ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Look at each page of each slot."""
        super().trace_quiescent(kvm)
        for slot in kvm.slot_cache:
            file = slot.gmem_file
            if file is not None:
                for gfn in range(len(kvm.mem_attr_array)):
                    if not kvm.mem_attr_array[gfn].private:
                        page = file.f_mapping.i_pages[gfn - slot.base_gfn + slot.gmem_pgoff].page
                        if page is not None:
                            report("leak", f"{page} is allocated when all is done, although gfn {gfn} is shared")


@scenario(memory=MemoryKind.GMEM, caches=no_caches)
def punch_then_convert(w: World) -> None:
    """Memory is punched, then made shared, while the guest runs."""
    guest = w.call("run_guest_access", w.vcpu, 0, True)
    w.actor("guest", guest, guest)
    w.actor(
        "vmm",
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
    )


@scenario(memory=MemoryKind.GMEM, caches=no_caches)
def convert_then_punch(w: World) -> None:
    """Memory is made shared, then punched, while the guest runs."""
    guest = w.call("run_guest_access", w.vcpu, 0, True)
    w.actor("guest", guest, guest)
    w.actor(
        "vmm",
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


released = mainline_7_3 + [SharedMemoryIsReleased]
