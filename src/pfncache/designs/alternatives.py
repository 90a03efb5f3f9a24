# SPDX-License-Identifier: GPL-2.0-only
"""Alternatives to the series as posted: fixes of its races, a range filter, and kvm-clock without a pfncache."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import MMU_SEQUENCE
from pfncache.designs.rfc import InvalidateOnGmemEvents, MapThroughVmap, ResolvePfnsViaGmem
from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.reached import reached
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, GmemFile, Kvm, KvmMemorySlot, KvmMemslots, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, KVM_PFN_ERR_FAULT, Gfn, Gpa
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff, Sequence
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED, CACHE_USED, CLOCK_WRITTEN
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock_irq, spin_lock, write_lock_irq
from pfncache.linux.kernel.rcu.tree import rcu_read_lock
from pfncache.linux.virt.kvm.guest_memfd.page import GuestMemfdPage
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.pfncache import Pfncache


class BumpSequence(InvalidateOnGmemEvents):
    """KVM: guest_memfd: increment gpc_invalidate_seq at the end of an invalidation."""

    provides = (MMU_SEQUENCE,)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """Increment the sequence before the series lowers the count."""
        kvm = f.kvm
        assert kvm is not None
        with spin_lock(kvm.mn_invalidate_lock):
            self.bump_gpc_invalidate_seq(kvm)
        super()._kvm_gmem_invalidate_end(f, start, end)

    def end_attribute_invalidation(self, kvm: Kvm) -> None:
        """Increment the sequence before the series lowers the count."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.bump_gpc_invalidate_seq(kvm)
        super().end_attribute_invalidation(kvm)


class BoolInsteadOfCount(Patch, KvmMmuNotifier):
    """KVM: guest_memfd: a flag instead of a count of invalidations in progress.

    Invalidations that overlap share the flag: the first to end clears it for both.
    """

    def raise_mn_active_invalidate_count(self, kvm: Kvm) -> None:
        """Set the flag."""
        if kvm.mn_active_invalidate_count == 0:
            kvm.mn_active_invalidate_count = 1

    def lower_mn_active_invalidate_count(self, kvm: Kvm) -> bool:
        """Clear the flag."""
        kvm.mn_active_invalidate_count = 0
        return True


class MemslotsUnderLock(InvalidateOnGmemEvents):
    """KVM: look the memslots up under slots_lock when the attributes change."""

    def kvm_vm_set_mem_attributes(self, kvm: Kvm, start: Gfn, end: Gfn, private: bool) -> Errno:
        """Look the memslots up under slots_lock, which needs no SRCU read section."""
        with mutex(kvm.slots_lock):
            return self.update_attributes_locked(kvm, self._kvm_memslots(kvm), start, end, private)


class CompareIdentity(ResolvePfnsViaGmem):
    """KVM: pfncache: look a gmem-backed page up again after the memslots have changed."""

    def resolve_gpa(self, gpc: GfnToPfnCache, slots: KvmMemslots, gpa: Gpa) -> Errno:
        """Look a gmem-backed page up again: an equal user address does not mean an equal page of guest_memfd.

        A refresh for the same memslots keeps the pfn: two users that refresh at a time would else invalidate each
        other's lookup in a loop.
        """
        ret = super().resolve_gpa(gpc, slots, gpa)
        if gpc.memslot is not None and gpc.memslot.guest_memfd:
            gpc.valid = False
        return ret


class UseFolioMapping(MapThroughVmap):
    """KVM: pfncache: use folio_mapping() instead of folio->mapping."""

    @atomic
    def read_folio_mapping(self, pfn: Pfn) -> AddressSpace | None:
        """Return the address_space of the page; an anonymous page has none."""
        page = self.mem_map[pfn]
        if page.anon:
            return None
        return page.mapping


class MappingUnderRcu(MapThroughVmap):
    """KVM: pfncache: look at the mapping of a folio in an RCU read-side critical section.

    The reference on the file is put before: without the section, the inode may be freed between the two reads.
    """

    def page_lacks_direct_map(self, pfn: Pfn) -> bool:
        """Keep the inode, which is freed by RCU."""
        with rcu_read_lock(self.rcu):
            return super().page_lacks_direct_map(pfn)


class RefusePrivate(ResolvePfnsViaGmem, GuestMemfdPage):
    """KVM: pfncache: refuse private memory. The inode's flags are read with a reference on the file."""

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Refuse a page that is private by its attribute or by its inode. The attribute is read once."""
        kvm = gpc.kvm
        assert kvm is not None
        slot = gpc.memslot
        if slot is not None and slot.guest_memfd:
            gfn = self.gpa_to_gfn(gpc.gpa)
            if self.kvm_mem_is_private(kvm, gfn):
                return KVM_PFN_ERR_FAULT
            if slot.gmem_only:
                return KVM_PFN_ERR_FAULT if self.inode_is_private(slot) else self.kvm_gmem_get_pfn(kvm, slot, gfn)
        return self.hva_to_pfn(self.PAGE_ALIGN_DOWN(gpc.uhva))

    def inode_is_private(self, slot: KvmMemorySlot) -> bool:
        """Return whether the inode of a slot is private, or its file closed."""
        file = self.kvm_gmem_get_file(slot)
        if file is None:
            return True
        private = file.f_mapping.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0
        self.fput(file)
        return private


class RetryInRange(Patch, Pfncache, KvmMmuNotifier):
    """KVM: pfncache: repeat a lookup only if its own address is invalidated.

    An invalidation marks the caches in its range, whether or not they are valid. A lookup that begins in the range of
    an invalidation in progress marks its own cache. Other invalidations cause no retry; there is no sequence.
    """

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Widen the range that is being invalidated: one range encloses all invalidations in progress."""
        with spin_lock(kvm.mn_invalidate_lock):
            alone = kvm.mn_active_invalidate_count == 0
            if alone or start < kvm.mn_invalidate_range_start:
                kvm.mn_invalidate_range_start = start
            if alone or end > kvm.mn_invalidate_range_end:
                kvm.mn_invalidate_range_end = end
            self.raise_mn_active_invalidate_count(kvm)
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        self.handle_hva_range_start(kvm, start, end)

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Mark the caches in the range as well."""
        with spin_lock(kvm.gpc_lock):
            for gpc in kvm.gpcs:
                if kvm.gpc_list.reaches(gpc.list):
                    with read_lock_irq(gpc.lock):
                        hit = start <= gpc.uhva < end
                    if hit:
                        with write_lock_irq(gpc.lock):
                            if start <= gpc.uhva < end:
                                gpc.valid = False
                                gpc.outdated = True

    def bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """There is no sequence."""

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Set or clear the mark before the lookup: it is set if an invalidation of its address is in progress."""
        kvm = gpc.kvm
        assert kvm is not None
        with write_lock_irq(gpc.lock), spin_lock(kvm.mn_invalidate_lock):
            gpc.outdated = (
                kvm.mn_active_invalidate_count != 0
                and kvm.mn_invalidate_range_start <= gpc.uhva < kvm.mn_invalidate_range_end
            )
        return super().lookup_pfn(gpc, hva)

    def must_retry_lookup(self, gpc: GfnToPfnCache, sequence: Sequence) -> bool:
        """Return the mark of the cache."""
        return gpc.outdated


class ClockThroughUserspace(Patch, X86):
    """KVM: x86: update kvm-clock through its user address.

    Only its vCPU writes the clock, in a context that may fault. It needs no kernel mapping, and so no invalidation.
    """

    unreachable = dict.fromkeys(
        (CACHE_USED, CACHE_REFRESHED, "refresher: refresh_cache() succeeded"), "the clock has no cache"
    )

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """Store the address of the clock."""
        kvm = vcpu.kvm
        assert kvm is not None
        vcpu.clock_update = True
        if enable:
            self.kvm_gfn_to_hva_cache_init(kvm, vcpu.pv_time_hva, gpa, self.PVCLOCK_SIZE)
            # If there is no memslot yet, the next generation looks the new address up, not the old one.
            vcpu.pv_time_hva.gpa = gpa
        else:
            vcpu.pv_time_hva.gpa = INVALID_GPA
        return 0

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Write the clock in the three writes of the protocol, which make the version odd and then even.

        The clocks of a Xen guest have their caches.
        """
        super().kvm_guest_time_update(vcpu)
        kvm = vcpu.kvm
        assert kvm is not None
        if vcpu.pv_time_hva.gpa != INVALID_GPA:
            for _ in range(3):
                if self.kvm_write_guest_offset_cached(kvm, vcpu.pv_time_hva, b"\0", 0) != 0:
                    return
            self.host_user_pvclock(vcpu)
            reached(CLOCK_WRITTEN)

    @host_only
    def host_user_pvclock(self, vcpu: KvmVcpu) -> None:
        """Write the bytes of the clock, in direct execution."""
        hva = vcpu.pv_time_hva.hva
        data = bytearray(self.host_get(hva, self.PVCLOCK_SIZE))
        version = int.from_bytes(data[:4], "little")
        self.host_fill_pvclock(vcpu, memoryview(data), self.host_pvclock_flags(vcpu, vcpu.pv_time, data[29]))
        data[:4] = ((version + 3) // 2 * 2 & 0xFFFFFFFF).to_bytes(4, "little")
        self.host_put(hva, bytes(data))

    def kvm_set_guest_paused(self, vcpu: KvmVcpu) -> Errno:
        """Look for the address of the clock: no cache says whether there is one."""
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            if vcpu.pv_time_hva.gpa == INVALID_GPA:
                return -EINVAL
            self.host_set_guest_stopped(vcpu)
            vcpu.clock_update = True
        return 0

    def kvmclock_reset(self, vcpu: KvmVcpu) -> None:
        """Forget the address of the clock."""
        vcpu.pv_time_hva.gpa = INVALID_GPA
