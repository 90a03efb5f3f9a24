# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of fixes of pfncache and of MMU notifiers: each one reintroduces a race of older kernels."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import MMU_SEQUENCE
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, Gpa
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn, Sequence
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.pfncache import Pfncache


class RevertDedicatedSequence(Patch, Pfncache, KvmMmuNotifier):
    """Revert "KVM: pfncache: use a dedicated sequence" (da260bcb56fe, 7.3.2).

    mmu_invalidate_seq is incremented only by an invalidation that meets a memslot.
    """

    provides = (MMU_SEQUENCE,)

    def read_gpc_seq(self, kvm: Kvm) -> Sequence:
        """Return the sequence of invalidations of guest mappings."""
        return kvm.mmu_invalidate_seq

    def bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """There is no dedicated sequence."""


class RevertActiveInvalidateCount(RevertDedicatedSequence):
    """Revert the in-progress test of "KVM: Fix multiple races in gfn=>pfn cache refresh" (58cd407ca4c6, 6.0).

    mmu_invalidate_in_progress is raised only after the caches were invalidated.
    """

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Test the counters of invalidations of guest mappings."""
        if kvm.mmu_invalidate_in_progress != 0:
            return True
        return kvm.mmu_invalidate_seq != sequence


class RevertValidAfterLookup(Patch, Pfncache):
    """Revert the publication order of "KVM: Fix multiple races in gfn=>pfn cache refresh" (58cd407ca4c6, 6.0).

    valid is set before the lookup, for an invalidation in between to clear it; but users of the cache see it too.
    """

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Set valid during the lookup."""
        with write_lock_irq(gpc.lock):
            gpc.valid = True
        pfn = super().lookup_pfn(gpc, hva)
        with write_lock_irq(gpc.lock):
            gpc.valid = False
        return pfn


class RevertRefreshLock(Patch, Pfncache):
    """Revert "KVM: Fully serialize gfn=>pfn cache refresh via mutex" (93984f19e7bc, 6.0)."""

    def assert_refresh_lock(self, gpc: GfnToPfnCache) -> None:
        """Assert nothing, as there is no refresh_lock."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Refresh, possibly concurrently with other tasks."""
        if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
            return -EINVAL
        uhva = gpc.uhva if self.kvm_is_error_gpa(gpc.gpa) else self.KVM_HVA_ERR_BAD
        return self._kvm_gpc_refresh(gpc, gpc.gpa, uhva)


class RevertListBeforeActive(Patch, Pfncache):
    """Make a cache active before it is on gpc_list."""

    def list_and_activate(self, gpc: GfnToPfnCache) -> None:
        """Make the cache active without adding it to the list."""
        kvm = gpc.kvm
        assert kvm is not None
        with write_lock_irq(gpc.lock):
            gpc.active = True

    def _kvm_gpc_refresh(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva) -> Errno:
        """Add the cache to the list after the mapping was published."""
        ret = super()._kvm_gpc_refresh(gpc, gpa, uhva)
        kvm = gpc.kvm
        assert kvm is not None
        if not gpc.list.listed:
            with spin_lock(kvm.gpc_lock):
                kvm.gpc_list.list_add(gpc.list)
        return ret


class RevertRefuseInactive(Patch, Pfncache):
    """Revert "KVM: Reject attempts to refresh an inactive cache" (ecbcf030b456, 6.1)."""

    def may_refresh(self, gpc: GfnToPfnCache) -> bool:
        """Allow the refresh of an inactive cache."""
        return True

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Return whether the cache is valid, without testing whether it is active."""
        kvm = gpc.kvm
        assert kvm is not None
        slots = self.kvm_memslots(kvm)
        if not self.kvm_is_error_gpa(gpc.gpa) and gpc.generation != slots.generation:
            return False
        if self.kvm_is_error_hva(gpc.uhva):
            return False
        return gpc.valid


class RevertListUnderRefreshLock(Patch, Pfncache):
    """Revert "KVM: pfncache: simplify locking and make more self-contained" (6addfcf27139, 6.9).

    The list is changed under gpc_lock alone, so that activation and deactivation can overlap.
    """

    def _kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva, length: int) -> Errno:
        """Activate the cache outside refresh_lock, then refresh it."""
        if not self.kvm_gpc_is_valid_len(gpa, uhva, length):
            return -EINVAL
        if not gpc.active:
            self.list_and_activate(gpc)
        with mutex(gpc.refresh_lock):
            return self._kvm_gpc_refresh(gpc, gpa, uhva)

    def kvm_gpc_deactivate(self, gpc: GfnToPfnCache) -> None:
        """Deactivate the cache outside refresh_lock, then drop its mapping."""
        kvm = gpc.kvm
        assert kvm is not None
        if not gpc.active:
            return
        with write_lock_irq(gpc.lock):
            gpc.active = False
            gpc.valid = False
        with spin_lock(kvm.gpc_lock):
            kvm.gpc_list.list_del(gpc.list)
        with mutex(gpc.refresh_lock):
            with write_lock_irq(gpc.lock):
                old_khva = self.PAGE_ALIGN_DOWN(gpc.khva)
                old_pfn = gpc.pfn
                gpc.khva = 0
                gpc.pfn = KVM_PFN_ERR_FAULT
            self.gpc_unmap(old_pfn, old_khva)


class RevertKhvaMove(Patch, Pfncache):
    """Revert "KVM: Update gfn_to_pfn_cache khva when it moves within the same page" (8332f0ed4f18, 6.1)."""

    def move_khva(self, gpc: GfnToPfnCache, old_khva: Kva) -> None:
        """Keep the old address with its offset."""


class RevertPutReusedPage(Patch, Pfncache):
    """Revert "KVM: Put the extra pfn reference when reusing a pfn in the gpc cache" (3dddf65b4f4c, 6.0)."""

    def publish_pfn(self, gpc: GfnToPfnCache, pfn: Pfn, khva: Kva) -> None:
        """Leak the reference of the lookup if it returned the old page."""
        if pfn == gpc.pfn and self.pfn_valid(pfn):
            self.get_page(self.mem_map[pfn])
        super().publish_pfn(gpc, pfn, khva)


class RevertCallersMarkDirty(Patch, Pfncache):
    """Revert "KVM: Remove dirty handling from gfn_to_pfn_cache completely" (cf1d88b36ba7, 5.18).

    The cache marks the page dirty when its mapping is dropped, not when the page is written.
    """

    def kvm_gpc_mark_dirty_in_slot(self, gpc: GfnToPfnCache) -> None:
        """Do nothing: the callers of gpc_unmap() mark the page."""


class RevertSrcuInHasInterrupt(Patch, Xen):
    """Revert "KVM: x86/xen: hold SRCU in __kvm_xen_has_interrupt()" (aa8ad943f242, 7.3.2)."""

    def _kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info without a read section."""
        return self.upcall_is_pending(vcpu)


class HoldSrcuInHasInterrupt(Patch, Xen):
    """KVM: x86/xen: hold SRCU in __kvm_xen_has_interrupt() (aa8ad943f242), as in 6.12.117."""

    def _kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info in an SRCU section."""
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            return self.upcall_is_pending(vcpu)


class RevertTrylock(Patch, Xen):
    """Revert "KVM: x86/xen: Fix potential deadlock in kvm_xen_update_runstate_guest()" (bbe17c625d68, 6.2)."""

    def runstate_read_lock(self, gpc: GfnToPfnCache, in_atomic: bool) -> bool:
        """Wait for the lock with the runqueue's lock held, which the holder may need to wake the vCPU."""
        gpc.lock.read_lock()
        return True


class RevertEvtchnWithoutLock(Patch, Xen):
    """Revert "KVM: x86/xen: fix recursive deadlock in timer injection" (7a36d680658b, 6.9)."""

    def set_evtchn_slow(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Take xen_lock, which KVM_XEN_VCPU_GET_ATTR holds already."""
        with mutex(kvm.xen.xen_lock):
            return super().set_evtchn_slow(kvm, vcpu)


class RevertInitOnce(Patch, Pfncache):
    """Revert "KVM: Initialize gfn_to_pfn_cache locks in dedicated helper" (52491a38b2c2, 6.1)."""

    def list_and_activate(self, gpc: GfnToPfnCache) -> None:
        """Call rwlock_init() at each activation, although the lock may be held."""
        gpc.lock.writer = False
        gpc.lock.readers = 0
        super().list_and_activate(gpc)


class RevertVcpuInfoAlignment(Patch, Xen):
    """Revert "KVM: x86/xen: require 4-byte alignment of vcpu_info" (eacdb76c5f04, 7.3.2)."""

    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Accept any alignment."""
        return True


class RequireVcpuInfoAlignment(Patch, Xen):
    """KVM: x86/xen: require 4-byte alignment of vcpu_info (eacdb76c5f04), as in 6.12.117."""

    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Return whether the bits of vcpu_info can be set atomically."""
        return gpa % self.VCPU_INFO_ALIGN == 0


class CheckWithoutSrcu(Patch, X86, Memslots):
    """Use a cache and mark its page dirty outside an SRCU section, without lockdep's report."""

    def check_slots_protected(self, kvm: Kvm) -> None:
        """Omit lockdep's check."""

    def run_clock_update(self, vcpu: KvmVcpu) -> None:
        """Update the clock without a read section."""
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            vcpu.clock_update = False
            self.kvm_guest_time_update(vcpu)


class CountBeforeSequence(Patch, KvmMmuNotifier):
    """End an invalidation in the wrong order: lower the count before incrementing the sequence."""

    def end_cache_invalidation(self, kvm: Kvm) -> None:
        """Omit the effect of smp_wmb() at the end of an invalidation."""
        with spin_lock(kvm.mn_invalidate_lock):
            wake = self.lower_mn_active_invalidate_count(kvm)
            self.bump_gpc_invalidate_seq(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.rcuwait_wake_up()


class SequenceBeforeCount(Patch, Pfncache):
    """Test for a retry in the wrong order: read the sequence before the count."""

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Omit the effect of smp_rmb() in the retry test."""
        changed = self.read_gpc_seq(kvm) != sequence
        return kvm.mn_active_invalidate_count != 0 or changed


class InvalidateAtEnd(Patch, KvmMmuNotifier):
    """Invalidate caches after the PTEs have changed, instead of before."""

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Leave the caches to the end of the invalidation."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        self.handle_hva_range_start(kvm, start, end)

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate the caches as well."""
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        super().kvm_mmu_notifier_invalidate_range_end(kvm, start, end)


class RevertLengthFirst(Patch, Pfncache):
    """Revert "KVM: Check validity of offset+length of gfn_to_pfn_cache prior to activation" (5c9ca4ed8908, 6.9).

    A cache whose address is refused is active, but has no address.
    """

    def _kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva, length: int) -> Errno:
        """Activate the cache, then check its length."""
        with mutex(gpc.refresh_lock):
            if not gpc.active:
                self.list_and_activate(gpc)
            if not self.kvm_gpc_is_valid_len(gpa, uhva, length):
                return -EINVAL
            return self._kvm_gpc_refresh(gpc, gpa, uhva)


class TestActiveFirst(Patch, Pfncache):
    """KVM: pfncache: test for an active cache before its addresses (posted, not in 7.3.4)."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Return -EINVAL for an inactive cache, without the warning about its addresses."""
        with mutex(gpc.refresh_lock):
            if not gpc.active:
                return -EINVAL
            if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
                return -EINVAL
            uhva = gpc.uhva if self.kvm_is_error_gpa(gpc.gpa) else self.KVM_HVA_ERR_BAD
            return self._kvm_gpc_refresh(gpc, gpc.gpa, uhva)
