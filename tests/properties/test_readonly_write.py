# SPDX-License-Identifier: GPL-2.0-only
"""readonly-write: KVM writes through a read-only memslot."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.gfn_to_pfn import GfnToPfn
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.linux.conftest import Host, reported


class WritesToReadOnly(Patch, GfnToPfn):
    """Look up the address of a read-only slot for writing."""

    def gfn_to_hva_memslot(self, slot: KvmMemorySlot | None, gfn: Gfn) -> Hva:
        return self.gfn_to_hva_memslot_prot(slot, gfn)


@pytest.mark.parametrize(
    ("design", "properties"),
    [(mainline_7_3, ()), ((mainline_7_3 + [WritesToReadOnly]).named("writes-to-read-only", ""), ("readonly-write",))],
)
def test_a_cache_of_a_read_only_slot(design: Design, properties: tuple[str, ...]) -> None:
    assert run(Job(design, "slots/read-only", 200_000)).properties == properties


def test_a_write_through_a_user_address(host: Host) -> None:
    host.add_slot()
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_write_guest_page(host.kvm, 0, b"x", 0) == 0
        host.slot().readonly = True
        assert host.kernel.kvm_write_guest_page(host.kvm, 0, b"x", 0) == -EFAULT
        with reported("readonly-write"):
            host.kernel.note_write(host.slot(), 0)
