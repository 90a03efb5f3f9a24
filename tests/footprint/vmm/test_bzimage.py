# SPDX-License-Identifier: GPL-2.0-only
"""A hand-made bzImage."""

from __future__ import annotations

import struct

import pytest

from pfncache.footprint.vmm.bzimage import BadImage, BzImage

KERNEL = bytes(range(256)) * 4


def bzimage(
    kernel: bytes = KERNEL, sectors: int = 2, version: int = 0x20F, xloadflags: int = 1, init_size: int = 0x300000
) -> bytes:
    """A setup header of protocol 2.15, and a kernel."""
    setup = bytearray((sectors + 1) * 512)
    setup[0x1F1] = sectors
    struct.pack_into("<H", setup, 0x1FE, 0xAA55)
    setup[0x200:0x202] = b"\xeb\x6a"  # a jump over the header, which tells its length
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<H", setup, 0x20E, 0x400 - 0x200)
    setup[0x400:0x409] = b"9.9-test "
    struct.pack_into("<H", setup, 0x236, xloadflags)
    struct.pack_into("<QI", setup, 0x258, 0x1000000, init_size)
    return bytes(setup) + kernel


def test_parse() -> None:
    image = BzImage.parse(bzimage())
    assert image.kernel == KERNEL
    assert (image.load, image.init_size, image.entry) == (0x1000000, 0x300000, 0x1000200)
    assert len(image.header) == 0x202 + 0x6A - 0x1F1


def test_no_sectors_means_four() -> None:
    data = bytearray(bzimage(sectors=4))
    data[0x1F1] = 0
    assert BzImage.parse(bytes(data)).kernel == KERNEL


def test_zero_page() -> None:
    page = BzImage.parse(bzimage()).zero_page(0x20000, [(0, 0x9F000), (0x100000, 0xFF00000)])
    assert len(page) == 4096
    assert page[0x202:0x206] == b"HdrS"
    assert page[0x210] == 0xFF
    assert struct.unpack_from("<I", page, 0x228) == (0x20000,)
    assert page[0x1E8] == 2
    assert struct.unpack_from("<QQIQQI", page, 0x2D0) == (0, 0x9F000, 1, 0x100000, 0xFF00000, 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no setup header"),
        (b"\x7fELF" + bytes(4096), "no setup header"),
        (bzimage(version=0x20B), r"no 64-bit entry point \(boot protocol 2\.11\)"),
        (bzimage(xloadflags=0), "no 64-bit entry point"),
        (bzimage(kernel=b""), "cut short"),
    ],
)
def test_what_cannot_be_booted(data: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        BzImage.parse(data)
