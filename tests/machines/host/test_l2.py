# SPDX-License-Identifier: GPL-2.0-only
"""The VMCB that a guest writes for its L2 guest."""

from __future__ import annotations

import struct

import pytest

from pfncache.machines.host import firmware, l2
from pfncache.machines.host.structs import KvmSregs


def word(page: bytes, offset: int) -> int:
    return int(struct.unpack_from("<Q", page, offset)[0])


@pytest.fixture
def page() -> bytes:
    return l2.vmcb(firmware.kernel_mode(KvmSregs()), 0xFFFF6100)


def test_vmcb_is_a_page_with_what_kvm_checks(page: bytes) -> None:
    assert len(page) == 4096
    assert struct.unpack_from("<II", page, 0xC) == (1 << 24, 1)  # HLT; VMRUN, which has to be intercepted
    assert struct.unpack_from("<I", page, 0x58) == (1,)  # an ASID other than 0
    assert (word(page, 0x90), word(page, 0xB0)) == (1, 0xFFFFA000)  # nested paging
    assert word(page, 0x4D0) & 1 << 12  # EFER.SVME


def test_l2_is_in_64_bit_mode_in_ring_0(page: bytes) -> None:
    selector, attributes, limit, base = struct.unpack_from("<HHIQ", page, 0x410)
    assert (selector, attributes, limit, base) == (0x8, 0xA9B, 0xFFFFFFFF, 0)
    assert struct.unpack_from("<HH", page, 0x430) == (0x10, 0xC93)
    assert (word(page, 0x550), word(page, 0x558)) == (0xFFFF0000, 0x80050033)
    assert (word(page, 0x570), word(page, 0x578)) == (2, 0xFFFF6100)
    assert struct.unpack_from("<IQ", page, 0x464) == (0x37, 0xFFFF4000)
