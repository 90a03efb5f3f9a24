# SPDX-License-Identifier: GPL-2.0-only
"""Fake kernels: small files in the place of a package's large ones."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path


def module(folder: Path, name: str, depends: str = "", suffix: str = ".ko.xz") -> Path:
    """A kernel module, as far as its .modinfo."""
    data = b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=" + name.encode() + b"\0"
    path = folder / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(data) if suffix == ".ko.xz" else data)
    return path


def bzimage(path: Path, release: str) -> Path:
    """A bzImage of five sectors, as far as its setup header."""
    data = bytearray(2560)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x300)
    text = f"{release} (somebody@somewhere) #1 SMP\0".encode()
    data[0x500 : 0x500 + len(text)] = text
    path.write_bytes(data)
    return path
