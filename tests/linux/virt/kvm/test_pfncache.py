# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

DEVICE_PFN = 100


class Counting(Vmlinux):
    """Counts lookups, and lets a test do something in the middle of the first one."""

    lookups = 0
    meanwhile = staticmethod(lambda: None)

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        pfn = super().lookup_pfn(gpc, hva)
        self.lookups += 1
        if self.lookups == 1:
            self.meanwhile()
        return pfn


def activate(host: Host, gpa: int, length: int = 32) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_gpc_activate(host.gpc, gpa, length)


def activate_hva(host: Host, hva: int, length: int = 32) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_gpc_activate_hva(host.gpc, hva, length)


def refresh(host: Host, length: int = 32) -> int:
    with srcu_read_lock(host.kvm.srcu):
        return host.kernel.kvm_gpc_refresh(host.gpc, length)


def check(host: Host, length: int = 32) -> bool:
    with srcu_read_lock(host.kvm.srcu), read_lock_irq(host.gpc.lock):
        return host.kernel.kvm_gpc_check(host.gpc, length)


def state(gpc: GfnToPfnCache) -> tuple[bool, bool, bool]:
    return gpc.active, gpc.list.listed, gpc.valid


def test_init_leaves_the_cache_inactive(host: Host) -> None:
    gpc = host.gpc
    assert (gpc.gpa, gpc.uhva, gpc.pfn, gpc.khva) == (INVALID_GPA, host.kernel.KVM_HVA_ERR_BAD, KVM_PFN_ERR_FAULT, 0)
    assert state(gpc) == (False, False, False)


def test_activate_publishes_without_a_reference(host: Host) -> None:
    host.add_slot(base_gfn=1)
    assert activate(host, 0x2010) == 0
    gpc, page = host.gpc, host.page(HVA + 0x1000)
    assert state(gpc) == (True, True, True)
    assert (gpc.gpa, gpc.uhva, gpc.generation, gpc.memslot) == (0x2010, HVA + 0x1010, 1, host.slot())
    assert (gpc.pfn, gpc.khva) == (page.pfn, host.kernel.PAGE_OFFSET + (page.pfn << 12) + 0x10)
    assert gpc.tag == page.incarnation == 1
    assert page.refcount == 1  # the PTE's
    assert check(host)


@pytest.mark.parametrize(("offset", "length", "fits"), [(0xFE0, 32, True), (0xFE1, 32, False), (0, 0x1001, False)])
def test_length_has_to_fit_in_the_page(host: Host, offset: int, length: int, fits: bool) -> None:
    host.add_slot()
    assert activate(host, offset, length) == (0 if fits else -EINVAL)
    assert state(host.gpc) == (fits, fits, fits)


def test_longer_use_than_activation_is_refused(host: Host) -> None:
    host.add_slot()
    activate(host, 0xFE0, 32)
    assert not check(host, 33)
    assert refresh(host, 33) == -EINVAL
    assert check(host, 32)  # nothing changed


def test_activation_without_slot_leaves_an_active_invalid_cache(host: Host) -> None:
    assert activate(host, 0x10) == -EFAULT
    assert state(host.gpc) == (True, True, False)
    assert not check(host)
    host.add_slot()
    assert refresh(host) == 0
    assert check(host)


def test_readonly_slot_is_refused(host: Host) -> None:
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True) == 0
    assert activate(host, 0) == -EFAULT


def test_generation_ends_a_gpa_cache_and_refresh_keeps_the_page(make_host: MakeHost) -> None:
    host = make_host(Counting)
    assert isinstance(host.kernel, Counting)
    host.add_slot()
    activate(host, 0)
    pfn = host.gpc.pfn
    host.add_slot(base_gfn=6, npages=1, slot_id=1)
    assert not check(host)
    assert host.gpc.valid
    assert refresh(host) == 0
    assert check(host)
    assert (host.gpc.generation, host.gpc.pfn, host.kernel.lookups) == (2, pfn, 1)


def test_slot_deletion_leaves_valid_set(host: Host) -> None:
    host.add_slot()
    activate(host, 0)
    host.delete_slot()
    assert host.gpc.valid
    assert not check(host)
    assert refresh(host) == -EFAULT
    assert (host.gpc.valid, host.gpc.pfn, host.gpc.khva, host.gpc.active) == (False, KVM_PFN_ERR_FAULT, 0, True)


def test_same_page_other_offset_moves_khva_only(make_host: MakeHost) -> None:
    host = make_host(Counting)
    assert isinstance(host.kernel, Counting)
    host.add_slot()
    activate(host, 0x10)
    base = host.gpc.khva - 0x10
    assert activate(host, 0x20) == 0
    assert (host.gpc.khva, host.gpc.uhva, host.kernel.lookups) == (base + 0x20, HVA + 0x20, 1)


def test_hva_cache_does_not_care_about_memslots(host: Host) -> None:
    assert activate_hva(host, HVA + 0x18) == 0
    assert (host.gpc.gpa, host.gpc.memslot, host.gpc.uhva) == (INVALID_GPA, None, HVA + 0x18)
    host.add_slot()
    assert check(host)
    assert activate_hva(host, host.kernel.PAGE_OFFSET) == -EINVAL


def test_invalidation_keeps_the_mapping_until_refresh(host: Host) -> None:
    host.add_slot()
    activate(host, 0x1000)
    old = host.gpc.pfn
    host.kernel.madvise_dontneed(host.mm, HVA)  # another page
    assert check(host)
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert not check(host)
    assert (host.gpc.valid, host.gpc.pfn) == (False, old)
    assert refresh(host) == -EFAULT
    assert (host.gpc.pfn, host.gpc.khva) == (KVM_PFN_ERR_FAULT, 0)


@pytest.mark.parametrize(("start", "end", "hit"), [(0x1000, 0x2000, True), (0, 0x1000, False), (0x2000, 0x3000, False)])
def test_invalidation_goes_by_uhva(host: Host, start: int, end: int, hit: bool) -> None:
    host.add_slot()
    activate(host, 0x1FE0)
    host.kernel.gfn_to_pfn_cache_invalidate_start(host.kvm, HVA + start, HVA + end)
    assert host.gpc.valid is not hit


def test_invalidation_during_the_lookup_repeats_it(make_host: MakeHost) -> None:
    host = make_host(Counting)
    assert isinstance(host.kernel, Counting)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)

    def move_away() -> None:
        host.kernel.madvise_dontneed(host.mm, HVA)
        assert (host.gpc.valid, old.refcount) == (False, 1)  # the lookup's

    host.kernel.meanwhile = move_away
    assert activate_hva(host, HVA) == 0  # no memslot: only gpc_invalidate_seq tells
    page = host.page(HVA)
    assert (host.kernel.lookups, host.gpc.pfn) == (2, page.pfn)
    assert (page.refcount, old.refcount if old is not page else 0) == (1, 0)


def test_invalidation_in_progress_repeats_the_lookup(make_host: MakeHost) -> None:
    host = make_host(Counting)
    assert isinstance(host.kernel, Counting)
    kernel = host.kernel
    kernel.meanwhile = lambda: kernel.kvm_mmu_notifier_invalidate_range_start(host.kvm, HVA + 0x3000, HVA + 0x4000)
    retry = kernel.mmu_notifier_retry_cache

    def end_it(kvm: object, sequence: int) -> bool:
        answer = retry(host.kvm, sequence)
        if kernel.lookups == 3:
            kernel.kvm_mmu_notifier_invalidate_range_end(host.kvm, HVA + 0x3000, HVA + 0x4000)
        return answer

    kernel.mmu_notifier_retry_cache = end_it  # type: ignore[method-assign]
    assert activate_hva(host, HVA) == 0  # an invalidation elsewhere counts, too
    assert kernel.lookups == 4
    assert (host.kvm.mn_active_invalidate_count, host.kvm.gpc_invalidate_seq) == (0, 1)


def test_deactivate_forgets_the_page_but_not_the_address(host: Host) -> None:
    host.add_slot()
    activate(host, 0x10)
    host.kernel.kvm_gpc_deactivate(host.gpc)
    assert state(host.gpc) == (False, False, False)
    assert (host.gpc.pfn, host.gpc.khva, host.gpc.gpa, host.gpc.uhva) == (KVM_PFN_ERR_FAULT, 0, 0x10, HVA + 0x10)
    host.kernel.kvm_gpc_deactivate(host.gpc)  # once more does nothing
    assert refresh(host) == -EINVAL
    assert activate(host, 0x10) == 0
    assert check(host)


def test_refresh_of_a_cache_that_was_never_activated_warns(host: Host) -> None:
    with pytest.raises(PropertyViolated) as splat:
        refresh(host)
    assert splat.value.kind == "warn-on"


def test_check_outside_srcu_is_reported(host: Host) -> None:
    host.add_slot()
    activate(host, 0)
    with pytest.raises(PropertyViolated) as splat, read_lock_irq(host.gpc.lock):
        host.kernel.kvm_gpc_check(host.gpc, 32)
    assert splat.value.kind == "srcu-unprotected"


def test_device_memory_is_mapped_and_unmapped_once(host: Host) -> None:
    host.mm.vmas[HVA >> 12].pfnmap = True
    host.mm.ptes[HVA >> 12].pfn = DEVICE_PFN
    host.mm.ptes[HVA >> 12].writable = True
    assert activate_hva(host, HVA + 8) == 0
    area = host.kernel.vmap_areas[0]
    assert (area.busy, area.pfn, host.gpc.khva) == (True, DEVICE_PFN, host.kernel.VMALLOC_START + 8)
    host.kernel.gfn_to_pfn_cache_invalidate_start(host.kvm, HVA, HVA + 0x1000)
    assert refresh(host) == 0  # the same pfn: the mapping is used again
    assert [a.busy for a in host.kernel.vmap_areas].count(True) == 1
    host.kernel.kvm_gpc_deactivate(host.gpc)
    assert not area.busy


def test_access_through_the_cache_and_dirty_mark(host: Host) -> None:
    host.add_slot(base_gfn=2, log_dirty=True)
    activate(host, 0x3000)
    with srcu_read_lock(host.kvm.srcu), read_lock_irq(host.gpc.lock):
        assert host.kernel.kvm_gpc_check(host.gpc, 4)
        assert host.kernel.access_khva(host.gpc, True) == host.gpc.pfn
        host.kernel.kvm_gpc_mark_dirty_in_slot(host.gpc)
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]


def test_use_after_free_is_reported(host: Host) -> None:
    host.add_slot()
    activate(host, 0)
    page = host.kernel.clear_pte(host.mm, HVA >> 12)  # a page table changes without a notification
    assert page is not None
    host.kernel.put_page(page)
    with pytest.raises(PropertyViolated) as splat:
        host.kernel.access_khva(host.gpc, False)
    assert splat.value.kind == "use-after-free"


def test_refresh_asserts_its_mutex_even_if_it_keeps_the_page(host: Host) -> None:
    host.add_slot()
    activate(host, 0)
    with reported("lock-assertion"), srcu_read_lock(host.kvm.srcu):
        host.kernel._kvm_gpc_refresh(host.gpc, 0, host.kernel.KVM_HVA_ERR_BAD)


def test_address_is_read_once_for_every_lookup(make_host: MakeHost) -> None:
    """Before gpc.lock is dropped; without refresh_lock, another refresh could change it meanwhile."""
    seen: list[Hva] = []

    class Changing(Vmlinux):
        def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
            seen.append(hva)
            if len(seen) == 1:
                gpc.uhva = HVA + 0x1010
                self.madvise_dontneed(host.mm, HVA)
            return super().lookup_pfn(gpc, hva)

    host = make_host(Changing)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000)
    assert activate_hva(host, HVA + 0x10) == 0
    assert seen == [HVA + 0x10] * 2
