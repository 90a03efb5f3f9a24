# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: pages move to other page frames."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from tests.linux.conftest import HVA, Host

NUMBER = HVA >> 12


def notifications(host: Host) -> int:
    assert host.kvm.mn_active_invalidate_count == 0
    return host.kvm.gpc_invalidate_seq


def test_migration_moves_contents_to_another_page(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    old.host_bytes[:5] = b"hello"
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    new = host.page(HVA)
    assert (old.free, new.free, bytes(new.host_bytes[:5])) == (True, False, b"hello")
    assert (new.anon, new.refcount, new.mapcount, host.mm.ptes[NUMBER].writable) == (True, 1, 1, True)
    assert notifications(host) == 1


def test_migration_of_a_page_that_somebody_holds(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    host.kernel.get_page(old)
    assert host.kernel.migrate_pages(host.mm, HVA) == -EAGAIN
    assert (host.page(HVA), old.mapcount, old.refcount) == (old, 1, 2)
    assert [page.pfn for page in host.kernel.mem_map if not page.free] == [old.pfn]


def test_migration_of_what_cannot_be(host: Host) -> None:
    assert host.kernel.migrate_pages(host.mm, HVA) == -EFAULT
    host.kernel.do_user_addr_fault(host.mm, HVA)
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.migrate_pages(host.mm, HVA) == -ENOMEM
