# SPDX-License-Identifier: GPL-2.0-only
"""Properties that the kernel's primitives watch, and those of the search."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pfncache.csource.runtime import read_unset
from pfncache.designs.catalogue import mainline_7_3, rfc_v4, rfc_v4_fixed
from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import spin_lock, write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.mm.slub import kfree
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.linux.conftest import HVA, Host, MakeHost, reported
from tests.properties.conftest import clock_on, some_page, watched


def test_use_after_free(host: Host) -> None:
    host.add_slot()
    slot = host.slot()
    assert slot.npages == 4
    kfree(slot)
    with reported("use-after-free"):
        assert slot.npages
    with reported("use-after-free"):
        kfree(slot)


def test_unmapped_access(host: Host) -> None:
    page = some_page(host)
    khva = host.kernel.kmap(page)
    host.kernel.set_direct_map_invalid_noflush(page)
    with reported("unmapped-access"):
        host.kernel.kernel_access(khva, False)
    host.kernel.set_direct_map_default_noflush(page)
    assert host.kernel.kernel_access(khva, False) == page.pfn


def test_null_dereference(host: Host) -> None:
    with reported("null-dereference"):
        host.kernel.access_khva(host.gpc, False)
    host.add_slot()
    clock_on(host)
    assert host.kernel.access_khva(host.gpc, False) == host.page(HVA).pfn


def test_uninitialised_read() -> None:
    with reported("uninitialised-read"):
        read_unset()


def test_wild_pointer(make_host: MakeHost) -> None:
    """page->mapping of an anonymous page; folio_mapping() knows better."""
    host = watched(make_host, rfc_v4)
    host.add_slot()
    with reported("wild-pointer"):
        clock_on(host)
    fixed = watched(make_host, rfc_v4_fixed)
    fixed.add_slot()
    clock_on(fixed)
    assert fixed.gpc.valid


def test_list_corruption(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.gpc.active = False  # not removed
    host.gpc.valid = False
    with reported("list-corruption"):
        clock_on(host)


def test_bad_page(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    host.kernel.get_page(page)
    host.kernel.put_page(page)
    with reported("bad-page"):
        host.kernel.put_page(page)


def test_lock_imbalance(host: Host) -> None:
    with mutex(host.vcpu.mutex):
        assert host.vcpu.mutex.held
    with reported("lock-imbalance"):
        host.vcpu.mutex.unlock()


def test_lock_assertion(host: Host) -> None:
    with write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_mmu_invalidate_start(host.kvm)
    with reported("lock-assertion"):
        host.kernel.kvm_mmu_invalidate_start(host.kvm)


def test_warn_on(host: Host) -> None:
    host.kernel.raise_mn_active_invalidate_count(host.kvm)
    assert host.kernel.lower_mn_active_invalidate_count(host.kvm)
    with reported("warn-on"):
        host.kernel.lower_mn_active_invalidate_count(host.kvm)


def test_sleeping_in_atomic(host: Host) -> None:
    host.add_slot()
    with reported("sleeping-in-atomic"), spin_lock(host.kvm.gpc_lock):
        clock_on(host)


def test_srcu_unprotected(host: Host) -> None:
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_memslots(host.kvm) is host.kvm.sets[0]
    with reported("srcu-unprotected"):
        host.kernel.kvm_memslots(host.kvm)


# Properties of the search. Each patch does something when one invalidation has been; the set-up is before it.


class LockTwice(Patch, X86):
    """Take a mutex that is held."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """After an invalidation."""
        kvm = vcpu.kvm
        assert kvm is not None
        if kvm.gpc_invalidate_seq == 1:
            vcpu.mutex.lock()


class LockOnce(Patch, X86):
    """Take a mutex that is not."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """After an invalidation."""
        kvm = vcpu.kvm
        assert kvm is not None
        if kvm.gpc_invalidate_seq == 1:
            with mutex(kvm.xen.xen_lock):
                pass


class OneOrder(Patch, X86):
    """xen_lock, then slots_arch_lock."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Nobody is in the way: vcpu.mutex is held."""
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(kvm.xen.xen_lock), mutex(kvm.slots_arch_lock):
            pass


class OtherOrder(OneOrder):
    """And the other way round."""

    def record_steal_time(self, vcpu: KvmVcpu) -> None:
        """Nobody is in the way here either."""
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(kvm.slots_arch_lock), mutex(kvm.xen.xen_lock):
            pass


class SpinForEver(Patch, X86):
    """Wait for what will not be."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """The sequence never goes back."""
        kvm = vcpu.kvm
        assert kvm is not None
        while kvm.gpc_invalidate_seq == 1:
            pass


class SpinForAWhile(Patch, X86):
    """Wait for what will be."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Every invalidation ends."""
        kvm = vcpu.kvm
        assert kvm is not None
        while kvm.mn_active_invalidate_count != 0:
            pass


class IndexBySequence(Patch, X86):
    """Take a sequence for an index."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """There is one gfn."""
        kvm = vcpu.kvm
        assert kvm is not None
        if kvm.sptes[kvm.gpc_invalidate_seq].private:
            return


class IndexInBounds(Patch, X86):
    """Look before that."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """There is one gfn."""
        kvm = vcpu.kvm
        assert kvm is not None
        index = kvm.gpc_invalidate_seq
        if index < len(kvm.sptes) and kvm.sptes[index].private:
            return


def found(patches: Sequence[type[Patch]], scenario: str = "clock/anon/dontneed") -> str | None:
    """The property that the search finds violated."""
    return run(Job(mainline_7_3 + patches, scenario, 100_000)).property


@pytest.mark.parametrize(
    ("patch", "fine", "scenario", "kind"),
    [
        (LockTwice, LockOnce, "clock/anon/dontneed", "deadlock"),
        (OtherOrder, OneOrder, "clock/anon/steal-time", "lock-order"),
        (SpinForEver, SpinForAWhile, "clock/anon/dontneed", "livelock"),
        (IndexBySequence, IndexInBounds, "clock/anon/dontneed", "out-of-bounds"),
    ],
)
def test_found_by_the_search(patch: type[Patch], fine: type[Patch], scenario: str, kind: str) -> None:
    assert found([patch], scenario) == kind
    assert found([fine], scenario) is None
