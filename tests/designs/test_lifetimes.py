# SPDX-License-Identifier: GPL-2.0-only
"""rfc-v4-fixed without what keeps files and inodes alive uses them after they are freed."""

from __future__ import annotations

import pytest

from pfncache.designs import alternatives, rfc
from pfncache.designs.catalogue import rfc_v4_fixed
from pfncache.designs.design import Design
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.verify.job import Job
from pfncache.verify.runner import run


class WithoutRcu(rfc.MapThroughVmap):
    """Look at the mapping outside an RCU read-side critical section."""

    def page_lacks_direct_map(self, pfn: int) -> bool:
        mapping = self.read_folio_mapping(pfn)
        return mapping is not None and mapping.no_direct_map


class WithoutReference(alternatives.RefusePrivate):
    """Read the flags of the inode without a reference on the file."""

    def inode_is_private(self, slot: KvmMemorySlot) -> bool:
        file = slot.gmem_file
        return file is None or file.f_mapping.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (rfc_v4_fixed, None),
        ((rfc_v4_fixed + [WithoutRcu]).named("without-rcu", ""), "use-after-free"),
        ((rfc_v4_fixed + [WithoutReference]).named("without-reference", ""), "use-after-free"),
    ],
)
def test_what_keeps_an_inode(design: Design, expected: str | None) -> None:
    outcome = run(Job(design, "gmem/activate-and-close", 2_000_000))
    assert outcome.property == expected, outcome.reason
    assert outcome.verdict == ("holds" if expected is None else "violated")
