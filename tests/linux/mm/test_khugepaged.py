# SPDX-License-Identifier: GPL-2.0-only
"""mm/khugepaged.c: two neighbouring pages become a large folio."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

NUMBER = HVA >> 12


def touch(host: Host) -> None:
    for hva in (HVA, HVA + 0x1000):
        host.kernel.do_user_addr_fault(host.mm, hva)


def used(host: Host) -> int:
    return sum(not page.free for page in host.kernel.mem_map)


def test_both_pages_move_with_their_contents(host: Host) -> None:
    touch(host)
    old = [host.page(HVA), host.page(HVA + 0x1000)]
    for page, text in zip(old, (b"one", b"two"), strict=True):
        page.host_bytes[:3] = text
    assert host.kernel.collapse_huge_page(host.mm, HVA) == 0
    new = [host.page(HVA), host.page(HVA + 0x1000)]
    assert [bytes(page.host_bytes[:3]) for page in new] == [b"one", b"two"]
    assert [(p.anon, p.refcount, p.mapcount, p.lock.held) for p in new] == [(True, 1, 1, False)] * 2
    assert all(page.free for page in old)
    assert (host.kvm.gpc_invalidate_seq, host.kvm.mn_active_invalidate_count) == (1, 0)
    assert not host.mm.mmap_lock.writer
    assert not host.mm.anon_vma_rwsem.writer


def test_the_guest_loses_both_mappings(host: Host) -> None:
    host.add_slot()
    for gfn in range(3):
        assert host.kernel.run_guest_access(host.vcpu, gfn << 12, False) == 0
    assert host.kernel.collapse_huge_page(host.mm, HVA) == 0
    assert [spte.pfn >= 0 for spte in host.kvm.sptes[:3]] == [False, False, True]


@pytest.mark.parametrize("number", [0, 1])
def test_pinned_or_locked_page(host: Host, number: int) -> None:
    touch(host)
    old = [host.page(HVA), host.page(HVA + 0x1000)]
    host.kernel.get_page(old[number])
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EAGAIN
    host.kernel.put_page(old[number])
    old[number].lock.held = True
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EAGAIN
    assert [host.page(HVA), host.page(HVA + 0x1000)] == old
    assert [page.lock.held for page in old] == [number == 0, number == 1]
    assert used(host) == 2


@pytest.mark.parametrize("what", ["missing", "migrating", "inaccessible"])
def test_pages_that_are_not_there(host: Host, what: str) -> None:
    if what != "missing":
        touch(host)
    if what == "migrating":
        host.kernel.try_to_migrate(host.mm, host.page(HVA))
    elif what == "inaccessible":
        for hva in (HVA, HVA + 0x1000):
            host.kernel.do_mprotect_pkey(host.mm, hva, False, False)
    before = used(host)
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EAGAIN
    assert used(host) == before


@pytest.mark.parametrize("what", ["unmapped", "file", "device", "read-only"])
def test_other_memory_is_not_collapsed(host: Host, what: str) -> None:
    touch(host)
    neighbour = HVA + 0x1000
    if what == "unmapped":
        host.kernel.vm_munmap(host.mm, neighbour)
    elif what == "file":
        host.kernel.vm_mmap_pgoff(host.mm, neighbour, host.kernel.new_memfd("memfd", 1), 0)
    elif what == "device":
        host.map_device(neighbour, len(host.kernel.mem_map))
    else:
        host.kernel.do_mprotect_pkey(host.mm, neighbour, False)
    sequence = host.kvm.gpc_invalidate_seq
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EINVAL
    assert host.kvm.gpc_invalidate_seq == sequence


@pytest.mark.parametrize("left", [0, 1])
def test_no_memory(host: Host, left: int) -> None:
    touch(host)
    pages = []
    while (page := host.kernel.alloc_page()) is not None:
        pages.append(page)
    for page in pages[:left]:
        host.kernel.put_page(page)
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -ENOMEM
    assert sum(page.free for page in host.kernel.mem_map) == left


def test_copied_after_the_invalidation_and_without_a_page_table(make_host: MakeHost) -> None:
    seen: list[tuple[int, int, int, bool]] = []

    class Watching(Vmlinux):
        def host_copy(self, source: Pfn, target: Pfn) -> None:
            mm, kvm = host.mm, host.kvm
            seen.append(
                (kvm.mn_active_invalidate_count, mm.ptes[NUMBER].pfn, mm.ptes[NUMBER + 1].pfn, mm.mmap_lock.writer)
            )

    host = make_host(Watching)
    touch(host)
    assert host.kernel.collapse_huge_page(host.mm, HVA) == 0
    assert seen == [(0, -1, -1, True)] * 2
