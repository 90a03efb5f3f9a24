# SPDX-License-Identifier: GPL-2.0-only
"""Find the kernel that a user has named."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from pfncache.kernels import debian, variant
from pfncache.kernels.image import Image

_SETUP_SECTS, _SYSSIZE, _PAYLOAD = 0x1F1, 0x1F4, 0x248
_MAGIC_AT, _VERSION_AT, _SETUP = 0x202, 0x20E, 0x200
"""Offsets in the setup header (Documentation/arch/x86/boot.rst)."""
_HEADER_END = 0x250
_SECTOR, _PARAGRAPH = 512, 16
_COMPRESSED = (
    b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b"\x5d\0\0", b"\x89LZO", b"BZh", b"\x7fELF",
)  # fmt: skip
"""First bytes of a payload, by the ways to compress a kernel: gzip, xz, zstd, lz4, lzma, lzo, bzip2, none."""


class NoSuchKernel(Exception):
    """No kernel of that name; the message says how to get it."""


def find(name: str) -> Image:
    """Return a kernel by name: "host", a path of a bzImage, a variant's name, a suite, or the beginning of a release.

    A bzImage's modules are in lib/modules/RELEASE beside it, or else in /lib/modules/RELEASE.
    """
    if name == "host":
        return _host()
    if "/" in name or Path(name).is_file():
        return _bzimage(Path(name))
    if name in variant.names():
        try:
            return variant.load(name)
        except (OSError, ValueError, KeyError, TypeError):
            raise NoSuchKernel(f"{variant.folder() / name} is damaged; build it again, with --name {name}") from None
    images = debian.fetched()
    for image in images:
        if debian.matches(image.release, name) or debian.suite_of(image) == name:
            return image
    have = ", ".join([*(image.name for image in images), *variant.names()]) or "none yet"
    raise NoSuchKernel(f"no kernel {name!r} in the cache (it has {have}); get it with: pfncache kernel fetch {name}")


def bootable(name: str) -> Image:
    """Return a kernel by name whose bzImage is whole, as far as its header tells. Raises NoSuchKernel."""
    image = find(name)
    if why := damage(_read(image.vmlinuz)):
        raise NoSuchKernel(f"{image.vmlinuz} cannot boot: {why}")
    return image


def damage(data: bytes) -> str:
    """Return what is wrong with a bzImage, by its setup header; empty if nothing is."""
    if len(data) < _HEADER_END or data[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        return "it is no bzImage"
    start = ((data[_SETUP_SECTS] or 4) + 1) * _SECTOR
    size = start + struct.unpack_from("<I", data, _SYSSIZE)[0] * _PARAGRAPH
    if len(data) < size:
        return f"it is cut short: {len(data):,} bytes of {size:,}"
    offset, length = struct.unpack_from("<II", data, _PAYLOAD)
    if length and not data[start + offset : start + offset + length].startswith(_COMPRESSED):
        return "its payload is no compressed kernel"
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoSuchKernel(f"{path} cannot be read: {error.strerror}") from None


def _host() -> Image:
    release = os.uname().release
    places = (Path(f"/boot/vmlinuz-{release}"), Path(f"/lib/modules/{release}/vmlinuz"))
    vmlinuz = next((path for path in places if path.is_file()), None)
    if vmlinuz is None:
        raise NoSuchKernel(f"this host's kernel is in none of {', '.join(map(str, places))}")
    return Image("host", release, vmlinuz, Path(f"/lib/modules/{release}"))


def _bzimage(path: Path) -> Image:
    if not path.is_file():
        raise NoSuchKernel(f"no kernel {str(path)!r}: no such file")
    release = release_of(path)
    places = (path.parent / "lib" / "modules" / release, Path("/lib/modules") / release)
    return Image(release, release, path, next((place for place in places if place.is_dir()), None))


def release_of(path: Path) -> str:
    """Return the release of a bzImage, from its setup header (Documentation/arch/x86/boot.rst: kernel_version)."""
    data = _read(path)
    if len(data) < _VERSION_AT + 2 or data[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        raise NoSuchKernel(f"{path} is no bzImage")
    start = struct.unpack_from("<H", data, _VERSION_AT)[0] + _SETUP
    version, end, _ = data[start:].partition(b"\0")
    release = version.split(b" ")[0].decode("ascii", "replace")
    if not end or not release or not release.isascii():
        raise NoSuchKernel(f"{path} is no bzImage: its header names no version")
    return release
