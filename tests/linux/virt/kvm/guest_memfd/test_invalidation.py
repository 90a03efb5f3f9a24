# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_HWPOISON, Gfn
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, cached, get_pfn, gmem_slot


def test_punch_hole_removes_the_page_from_the_guest_from_user_space_and_from_caches(host: Host) -> None:
    file = gmem_slot(host)
    kernel, kvm = host.kernel, host.kvm
    kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_gpc_activate(host.gpc, 0x1000, 8) == 0
    page = host.page(HVA)
    assert kvm.sptes[1].pfn == host.gpc.pfn == page.pfn
    before = kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq
    assert kernel.kvm_gmem_punch_hole(file, 1, 2) == 0
    assert (kvm.sptes[1].pfn, host.mm.ptes[HVA >> 12].pfn, host.gpc.valid) == (-1, -1, False)
    assert (page.free, page.mapcount, cached(file)) == (True, 0, [None] * 4)
    # guest_memfd's own invalidation has no part in pfncache's counters: the one that counts is the PTE's
    assert (kvm.mn_active_invalidate_count, kvm.mmu_invalidate_in_progress) == (0, 0)
    assert (kvm.gpc_invalidate_seq, kvm.mmu_invalidate_seq) == (before[0] + 1, before[1] + 2)


def test_punch_hole_where_nothing_is_bound_invalidates_nothing(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.kvm_gmem_punch_hole(file, 0, 1)
    assert (host.kvm.mmu_invalidate_seq, host.kvm.gpc_invalidate_seq) == (0, 0)


def test_invalidation_range_is_in_gfns(host: Host) -> None:
    file = gmem_slot(host, base_gfn=4)
    host.kernel.kvm_gmem_invalidate_start(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_range_start, host.kvm.mmu_invalidate_range_end) == (4, 6)
    assert host.kvm.mmu_invalidate_in_progress == 1
    host.kernel.kvm_gmem_invalidate_end(file.f_mapping, 0, 3)
    assert (host.kvm.mmu_invalidate_in_progress, host.kvm.mmu_invalidate_seq) == (0, 1)


def test_memory_error(host: Host) -> None:
    file = gmem_slot(host)
    kernel = host.kernel
    assert kernel.run_guest_access(host.vcpu, 0x1000, False) == 0
    kernel.memory_failure(host.mm, HVA, file.f_mapping, 1)
    assert host.kvm.sptes[1].pfn == -1
    assert cached(file)[1] is not None  # it stays in the cache
    assert get_pfn(host, 1) == KVM_PFN_ERR_HWPOISON
    assert (host.kvm.mmu_invalidate_in_progress, file.f_mapping.invalidate_lock.readers) == (0, 0)


def test_range_is_added_as_a_whole_and_mmu_lock_dropped_within_it(make_host: MakeHost) -> None:
    events: list[str] = []

    class Watching(Vmlinux):
        def kvm_mmu_invalidate_range_add(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
            events.append(f"add {start}-{end}")
            super().kvm_mmu_invalidate_range_add(kvm, start, end)

        def zap_spte(self, kvm: Kvm, gfn: Gfn, private: bool, shared: bool) -> bool:
            events.append(f"zap {gfn}")
            return gfn == 2

        def kvm_arch_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
            events.append(f"hook {start}-{end}")

        def flush_if(self, kvm: Kvm, flush: bool) -> None:
            events.append("flush" if flush else "no flush")

    host = make_host(Watching)
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 4, MAPPABLE)
    for slot_id in range(2):  # the two halves of the file, the second first
        gfn, pgoff = (2, 2) if slot_id == 0 else (4, 0)
        assert host.kernel.set_memory_region(host.kvm, slot_id, gfn, 2, HVA, gmem=file, gmem_pgoff=pgoff) == 0
    lock = host.kvm.mmu_lock
    unlock = lock.write_unlock

    def noted_unlock() -> None:
        events.append("unlock")
        unlock()

    lock.__dict__["write_unlock"] = noted_unlock
    host.kernel.kvm_gmem_invalidate_start(file.f_mapping, 0, 3)
    assert events == [
        "add 4-6", "zap 4", "no flush", "unlock", "zap 5", "hook 4-6",
        "add 2-3", "zap 2", "hook 2-3", "flush", "unlock",
    ]  # fmt: skip
    assert not lock.writer
