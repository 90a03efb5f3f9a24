# SPDX-License-Identifier: GPL-2.0-only
"""Find the kernel that a user has named."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from pfncache.kernels import debian, variant
from pfncache.kernels.image import Image

_MAGIC_AT, _VERSION_AT, _SETUP = 0x202, 0x20E, 0x200


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
        return variant.load(name)
    images = debian.fetched()
    for image in images:
        if debian.matches(image.release, name) or debian.suite_of(image) == name:
            return image
    have = ", ".join([*(image.name for image in images), *variant.names()]) or "none yet"
    raise NoSuchKernel(f"no kernel {name!r} in the cache (it has {have}); get it with: pfncache kernel fetch {name}")


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
    data = path.read_bytes()
    if data[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        raise NoSuchKernel(f"{path} is no bzImage")
    start = struct.unpack_from("<H", data, _VERSION_AT)[0] + _SETUP
    version, end, _ = data[start:].partition(b"\0")
    release = version.split(b" ")[0].decode("ascii", "replace")
    if not end or not release or not release.isascii():
        raise NoSuchKernel(f"{path} is no bzImage: its header names no version")
    return release
