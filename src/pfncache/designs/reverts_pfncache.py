# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of fixes of pfncache and of the notifiers: each brings a race back that Linux once had."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.designs.requirement import MMU_SEQUENCE
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemslots, KvmVcpu
from pfncache.linux.include.linux.lockdep import lockdep_assert_held_write
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, Errno, Gpa, Hva, Kva, Pfn, Sequence
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock_irq
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMain
from pfncache.linux.virt.kvm.pfncache import Pfncache


class RevertDedicatedSequence(Patch, Pfncache, KvmMain):
    """Revert "KVM: pfncache: use a dedicated sequence" (da260bcb56fe, 7.3.2).

    mmu_invalidate_seq moves only for an invalidation that meets a memslot.
    """

    provides = (MMU_SEQUENCE,)

    def gpc_invalidate_seq(self, kvm: Kvm) -> Sequence:
        """The sequence of the guest's mappings."""
        return kvm.mmu_invalidate_seq

    def kvm_bump_gpc_invalidate_seq(self, kvm: Kvm) -> None:
        """There is no sequence of pfncache's own."""


class RevertActiveInvalidateCount(RevertDedicatedSequence):
    """Revert the in-progress test of "KVM: Fix multiple races in gfn=>pfn cache refresh" (58cd407ca4c6, 6.0).

    mmu_invalidate_in_progress goes up only after the caches were invalidated.
    """

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Ask about the guest's mappings."""
        if kvm.mmu_invalidate_in_progress != 0:
            return True
        return kvm.mmu_invalidate_seq != sequence


class RevertValidAfterLookup(Patch, Pfncache):
    """Revert the publication order of "KVM: Fix multiple races in gfn=>pfn cache refresh" (58cd407ca4c6, 6.0).

    valid is set before the lookup, so that an invalidation that comes in between clears it; readers see it too.
    """

    def gpc_to_pfn(self, gpc: GfnToPfnCache) -> Pfn:
        """Speculate."""
        with write_lock_irq(gpc.lock):
            gpc.valid = True
        pfn = super().gpc_to_pfn(gpc)
        with write_lock_irq(gpc.lock):
            gpc.valid = False
        return pfn


class RevertRefreshLock(Patch, Pfncache):
    """Revert "KVM: Fully serialize gfn=>pfn cache refresh via mutex" (93984f19e7bc, 6.0)."""

    def gpc_assert_locked(self, gpc: GfnToPfnCache) -> None:
        """There is no refresh_lock to assert."""
        lockdep_assert_held_write(gpc.lock)

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Refresh, beside whoever else does."""
        if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
            return -EINVAL
        uhva = gpc.uhva if self.is_error_gpa(gpc.gpa) else self.KVM_HVA_ERR_BAD
        return self._kvm_gpc_refresh(gpc, gpc.gpa, uhva)


class RevertListBeforeActive(Patch, Pfncache):
    """Make a cache active before it is on gpc_list."""

    def gpc_publish(self, gpc: GfnToPfnCache) -> None:
        """The wrong way round, with the lookup of whoever sees it active in between."""
        kvm = gpc.kvm
        assert kvm is not None
        with write_lock_irq(gpc.lock):
            gpc.active = True

    def _kvm_gpc_refresh(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva) -> Errno:
        """List it after the mapping was published."""
        ret = super()._kvm_gpc_refresh(gpc, gpa, uhva)
        kvm = gpc.kvm
        assert kvm is not None
        if not gpc.list.listed:
            with spin_lock(kvm.gpc_lock):
                kvm.gpc_list.list_add(gpc.list)
        return ret


class RevertRefuseInactive(Patch, Pfncache):
    """Revert "KVM: Reject attempts to refresh an inactive cache" (ecbcf030b456, 6.1)."""

    def gpc_may_refresh(self, gpc: GfnToPfnCache) -> bool:
        """Refresh whatever comes."""
        return True

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """As it was: a cache is usable when it is valid."""
        kvm = gpc.kvm
        assert kvm is not None
        slots = self.kvm_memslots(kvm)
        if not self.is_error_gpa(gpc.gpa) and gpc.generation != slots.generation:
            return False
        if self.is_error_hva(gpc.uhva):
            return False
        return gpc.valid


class RevertListUnderRefreshLock(Patch, Pfncache):
    """Revert "KVM: pfncache: simplify locking and make more self-contained" (6addfcf27139, 6.9).

    The list is changed under gpc_lock alone: activation and deactivation cross.
    """

    def _kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva, length: int) -> Errno:
        """Activate, then refresh."""
        if not self.kvm_gpc_is_valid_len(gpa, uhva, length):
            return -EINVAL
        if not gpc.active:
            self.gpc_publish(gpc)
        with mutex(gpc.refresh_lock):
            return self._kvm_gpc_refresh(gpc, gpa, uhva)

    def kvm_gpc_deactivate(self, gpc: GfnToPfnCache) -> None:
        """Deactivate, then let go of the mapping."""
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
                old_khva = self.page_align_down(gpc.khva)
                old_pfn = gpc.pfn
                gpc.khva = 0
                gpc.pfn = KVM_PFN_ERR_FAULT
            self.gpc_unmap(old_pfn, old_khva)


class RevertKhvaMove(Patch, Pfncache):
    """Revert "KVM: Update gfn_to_pfn_cache khva when it moves within the same page" (8332f0ed4f18, 6.1)."""

    def gpc_move_khva(self, gpc: GfnToPfnCache, old_khva: Kva) -> None:
        """Keep the old address, offset and all."""


class RevertPutReusedPage(Patch, Pfncache):
    """Revert "KVM: Put the extra pfn reference when reusing a pfn in the gpc cache" (3dddf65b4f4c, 6.0)."""

    def gpc_set_pfn(self, gpc: GfnToPfnCache, pfn: Pfn, khva: Kva) -> None:
        """Forget the new reference when the page is the old one."""
        if pfn == gpc.pfn and self.pfn_valid(pfn):
            self.get_page(self.mem_map[pfn])
        super().gpc_set_pfn(gpc, pfn, khva)


class RevertCallersMarkDirty(Patch, Pfncache):
    """Revert "KVM: Remove dirty handling from gfn_to_pfn_cache completely" (cf1d88b36ba7, 5.18).

    The cache marks the page dirty when its mapping goes, not when it was written.
    """

    def kvm_gpc_mark_dirty_in_slot(self, gpc: GfnToPfnCache) -> None:
        """Leave it to gpc_unmap()'s callers."""


class RevertSrcuInHasInterrupt(Patch, Xen):
    """Revert "KVM: x86/xen: hold SRCU in __kvm_xen_has_interrupt()" (aa8ad943f242, 7.3.2)."""

    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Without a read section."""
        return self._kvm_xen_has_interrupt(vcpu)


class RevertTrylock(Patch, Xen):
    """Revert "KVM: x86/xen: Fix potential deadlock in kvm_xen_update_runstate_guest()" (bbe17c625d68, 6.2)."""

    def runstate_read_lock(self, gpc: GfnToPfnCache, in_atomic: bool) -> bool:
        """Wait for the lock under the runqueue's lock, which whoever holds it may need to wake the vCPU."""
        gpc.lock.read_lock()
        return True


class RevertTimerFast(Patch, Xen):
    """Revert "KVM: x86/xen: fix recursive deadlock in timer injection" (7a36d680658b, 6.9)."""

    def kvm_xen_start_timer(self, kvm: Kvm, vcpu: KvmVcpu) -> None:
        """Deliver a timer whose time has come the slow way, which takes xen_lock. It is held."""
        vcpu.xen.timer_pending = True
        self.kvm_xen_inject_timer_irqs(kvm, vcpu)


class RevertInitOnce(Patch, Pfncache):
    """Revert "KVM: Initialize gfn_to_pfn_cache locks in dedicated helper" (52491a38b2c2, 6.1)."""

    def gpc_publish(self, gpc: GfnToPfnCache) -> None:
        """rwlock_init() at each activation, whoever may hold the lock."""
        gpc.lock.writer = False
        gpc.lock.readers = 0
        super().gpc_publish(gpc)


class RevertVcpuInfoAlignment(Patch, Xen):
    """Revert "KVM: x86/xen: require 4-byte alignment of vcpu_info" (eacdb76c5f04, 7.3.2)."""

    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Anywhere."""
        return True


class RequireVcpuInfoAlignment(Patch, Xen):
    """KVM: x86/xen: require 4-byte alignment of vcpu_info (eacdb76c5f04), as in 6.12.117."""

    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Whether its bits can be set atomically."""
        return gpa % self.VCPU_INFO_ALIGN == 0


class CheckWithoutSrcu(Patch, X86, Memslots):
    """Use a cache and mark its page dirty outside an SRCU section, with nobody to complain about it."""

    def kvm_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Without lockdep."""
        return self.kvm_memslots_locked(kvm)

    def run_clock_update(self, vcpu: KvmVcpu) -> None:
        """Without a read section."""
        with mutex(vcpu.mutex):
            vcpu.clock_update = False
            self.kvm_guest_time_update(vcpu)


class CountBeforeSequence(Patch, KvmMain):
    """End an invalidation in the wrong order: the count goes down before the sequence goes up."""

    def kvm_gpc_invalidate_end(self, kvm: Kvm) -> None:
        """The wmb() of the end, missing."""
        with spin_lock(kvm.mn_invalidate_lock):
            wake = self.lower_mn_active_invalidate_count(kvm)
            self.kvm_bump_gpc_invalidate_seq(kvm)
        if wake:
            kvm.mn_memslots_update_rcuwait.wake_up()


class SequenceBeforeCount(Patch, Pfncache):
    """Test for a retry in the wrong order: the sequence is read before the count."""

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """The rmb() of the test, missing."""
        changed = self.gpc_invalidate_seq(kvm) != sequence
        return kvm.mn_active_invalidate_count != 0 or changed


class InvalidateAtEnd(Patch, KvmMain):
    """Invalidate caches when the PTEs have changed, instead of before."""

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Without the caches."""
        with spin_lock(kvm.mn_invalidate_lock):
            self.raise_mn_active_invalidate_count(kvm)
        self.kvm_handle_hva_range_start(kvm, start, end)

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """With the caches."""
        self.gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        super().kvm_mmu_notifier_invalidate_range_end(kvm, start, end)


class TestActiveFirst(Patch, Pfncache):
    """KVM: pfncache: test for an active cache before its addresses (posted, not in 7.3.4)."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """A cache that was never activated has no address to refresh, and that is no bug."""
        with mutex(gpc.refresh_lock):
            if not gpc.active:
                return -EINVAL
            if not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length):
                return -EINVAL
            uhva = gpc.uhva if self.is_error_gpa(gpc.gpa) else self.KVM_HVA_ERR_BAD
            return self._kvm_gpc_refresh(gpc, gpc.gpa, uhva)
