# SPDX-License-Identifier: GPL-2.0-only
"""Case 10c: steal time is written through a cached pfn that holds a reference and follows the memslot generation alone.

Known from: 7e2175ebd695 ("KVM: x86: Fix recording of guest steal time / preempted status") in v5.16. Between v5.6 and
v5.15, after a migration, an munmap or a COW, the writes went to the old page.
Right verdict: violated, lost-update; here the author calls the tracepoint of an update by hand.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import is_error_noslot_pfn
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class CachedStealMapTraced(Patch, Vmlinux):
    """Revert "KVM: x86: Fix recording of guest steal time / preempted status".

    The old struct gfn_to_pfn_cache takes the place of the vCPU's pv_time, which the scenario does not use.
    """

    def record_steal_time(self, vcpu: KvmVcpu) -> None:
        """Write through a mapping that only the generation makes out of date."""
        kvm = vcpu.kvm
        assert kvm is not None
        slots = self.kvm_memslots(kvm)
        gfn = self.gpa_to_gfn(vcpu.st.cache.gpa)
        old = vcpu.pv_time
        if is_error_noslot_pfn(old.pfn) or old.generation != slots.generation:
            if not is_error_noslot_pfn(old.pfn):
                self.kvm_release_page_clean(old.pfn)
                old.pfn = -1
            slot = self._gfn_to_memslot(slots, gfn)
            hva = self.gfn_to_hva_memslot(slot, gfn)
            if self.kvm_is_error_hva(hva):
                return
            pfn = self.hva_to_pfn(hva)
            if is_error_noslot_pfn(pfn):
                return
            old.generation = slots.generation
            old.memslot = slot
            old.pfn = pfn
        self.steal_write(vcpu)
        self.mark_page_dirty_in_slot(kvm, old.memslot, gfn)

    @atomic
    def steal_write(self, vcpu: KvmVcpu) -> None:
        """Write, and report it to the properties."""
        kvm = vcpu.kvm
        assert kvm is not None
        pfn = self.kernel_access(self.PAGE_OFFSET + (vcpu.pv_time.pfn << self.PAGE_SHIFT), True)
        self.trace_pv_update(kvm, vcpu.st.cache.gpa, pfn)

    def kvm_release_steal_map(self, vcpu: KvmVcpu) -> None:
        """Drop the reference, when the vCPU is destroyed."""
        old = vcpu.pv_time
        if not is_error_noslot_pfn(old.pfn):
            self.kvm_release_page_clean(old.pfn)
            old.pfn = -1


@scenario(caches=no_caches, pages=4)
def steal(w: World) -> None:
    """Steal time is written twice while its page is replaced."""
    w.steal_time_on()
    run = w.call("run_steal_time_update", w.vcpu)
    w.actor("vcpu", run, run, w.call("kvm_release_steal_map", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva), w.call("do_user_addr_fault", w.mm, w.hva))


steal_map_traced = mainline_7_3 + [CachedStealMapTraced]
