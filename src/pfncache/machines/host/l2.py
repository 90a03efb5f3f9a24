# SPDX-License-Identifier: GPL-2.0-only
"""The VMCB of an L2 guest in 64-bit mode, on the page tables that L1 uses, with nested paging.

Layout: AMD64 Architecture Programmer's Manual, volume 2, appendix B.
"""

from __future__ import annotations

import struct

from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.host import firmware
from pfncache.machines.host.structs import KvmSegment, KvmSregs

HSAVE = 0xC0010117
"""MSR_VM_HSAVE_PA, without which VMRUN is #GP."""
_INTERCEPT_HLT, _INTERCEPT_VMRUN = 1 << 24, 1
_NESTED_PAGING = 1
_EFER_SVME = 1 << 12
_DR6, _DR7, _PAT = 0xFFFF0FF0, 0x400, 0x0007040600070406
_RFLAGS = 2
_SAVE = 0x400
_SEGMENTS = {"es": 0x400, "cs": 0x410, "ss": 0x420, "ds": 0x430, "fs": 0x440, "gs": 0x450, "ldt": 0x470, "tr": 0x490}


def vmcb(sregs: KvmSregs, entry: int) -> bytes:
    """Return a page with the VMCB of an L2 guest in ring 0, whose special registers are L1's, before its program."""
    page = bytearray(PAGE_SIZE)

    def put(form: str, offset: int, *values: int) -> None:
        struct.pack_into(form, page, offset, *values)

    put("<II", 0x0C, _INTERCEPT_HLT, _INTERCEPT_VMRUN)
    put("<I", 0x58, 1)  # ASID
    put("<Q", 0x90, _NESTED_PAGING)
    put("<Q", 0xB0, firmware.GPA + firmware.NESTED_PML4)
    for name, offset in _SEGMENTS.items():
        segment = getattr(sregs, name)
        put("<HHIQ", offset, segment.selector, _attributes(segment), segment.limit, segment.base)
    put("<IQ", 0x464, sregs.gdt.limit, sregs.gdt.base)
    put("<Q", 0x4D0, sregs.efer | _EFER_SVME)
    put("<QQQ", 0x548, sregs.cr4, sregs.cr3, sregs.cr0)
    put("<QQQQ", 0x560, _DR7, _DR6, _RFLAGS, entry)
    put("<Q", 0x668, _PAT)
    return bytes(page)


def _attributes(segment: KvmSegment) -> int:
    """Return a segment's attributes as the VMCB has them."""
    low = segment.type | segment.s << 4 | segment.dpl << 5 | segment.present << 7
    return int(low | segment.avl << 8 | segment.l << 9 | segment.db << 10 | segment.g << 11)
