# SPDX-License-Identifier: GPL-2.0-only
"""Observes what a scenario reaches. It reports no violation: a search that reaches nothing says nothing."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.reached import reached
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Sequence
from pfncache.linux.include.trace.events.kvm import (
    CACHE_INVALIDATED,
    CACHE_REFRESHED,
    CACHE_USED,
    CLOCK_WRITTEN,
    CONVERTED,
    GUEST_ENTERED,
    GUEST_MAPPED,
    GUEST_WRITTEN,
    HUGE_MAPPED,
    L2_RUN,
    LOOKUP_REPEATED,
)
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.pfncache import Pfncache

OBSERVED = (
    CACHE_USED, CACHE_REFRESHED, CACHE_INVALIDATED, LOOKUP_REPEATED, CLOCK_WRITTEN, GUEST_MAPPED, GUEST_WRITTEN,
    CONVERTED,
)  # fmt: skip
"""The targets that are observed in every scenario."""
INFORMATIVE = frozenset({CACHE_INVALIDATED, LOOKUP_REPEATED})
"""Targets that a design may do without: it may not need to repeat a lookup where its base has to."""


class TargetProbe(Pfncache, MemAttributes):
    """Marks targets at the tracepoints, and where pfncache publishes a lookup, repeats one, or invalidates a cache.

    But for the attributes, it reads nothing that the step does not read anyway, so that it makes no step depend on
    another.
    """

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """Mark a use: kvm_gpc_check() has succeeded, and memory is accessed."""
        super().trace_gpc_access(gpc)
        reached(CACHE_USED)

    @atomic
    def trace_pv_update(self, kvm: Kvm, gpa: Gpa, pfn: Pfn) -> None:
        """Mark a completed update of the clock."""
        super().trace_pv_update(kvm, gpa, pfn)
        reached(CLOCK_WRITTEN)

    @atomic
    def trace_write_guest(self, slot: KvmMemorySlot, gpa: Gpa) -> None:
        """Mark a write through a user address."""
        super().trace_write_guest(slot, gpa)
        reached(GUEST_WRITTEN)

    @atomic
    def trace_set_spte(self, kvm: Kvm, gfn: Gfn, pfn: Pfn, private: bool) -> None:
        """Mark a page that is mapped for the guest."""
        super().trace_set_spte(kvm, gfn, pfn, private)
        reached(GUEST_MAPPED)

    @atomic
    def trace_set_huge_spte(self, kvm: Kvm, gfn: Gfn) -> None:
        """Mark a huge page that is mapped for the guest."""
        super().trace_set_huge_spte(kvm, gfn)
        reached(HUGE_MAPPED)

    @atomic
    def trace_vmrun(self, vcpu: KvmVcpu) -> None:
        """Mark a run of an SNP guest."""
        super().trace_vmrun(vcpu)
        reached(GUEST_ENTERED)

    @atomic
    def trace_l2_write(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> None:
        """Mark a run of an L2 guest."""
        super().trace_l2_write(kvm, gfn, pfn)
        reached(L2_RUN)

    @atomic
    @part_of_caller
    def tag_khva(self, gpc: GfnToPfnCache) -> None:
        """Mark a refresh that publishes the page of a lookup."""
        super().tag_khva(gpc)
        reached(CACHE_REFRESHED)

    @part_of("hva_to_pfn_retry")
    def must_retry_lookup(self, gpc: GfnToPfnCache, sequence: Sequence) -> bool:
        """Mark a lookup that an invalidation made out of date while it was in flight."""
        retry = super().must_retry_lookup(gpc, sequence)
        reached(LOOKUP_REPEATED, retry)
        return retry

    @part_of("gfn_to_pfn_cache_invalidate_start")
    def cache_in_range(self, gpc: GfnToPfnCache, start: Hva, end: Hva) -> bool:
        """Mark a valid cache in the range of an invalidation."""
        hit = super().cache_in_range(gpc, start, end)
        reached(CACHE_INVALIDATED, hit)
        return hit

    @part_of("kvm_vm_ioctl_set_mem_attributes")
    def set_memory_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Mark an update of the attributes that has had its effect."""
        ret = super().set_memory_attributes(kvm, start, end, private)
        if ret == 0:
            reached(CONVERTED, kvm.mem_attr_array[start].private == private)
        return ret
