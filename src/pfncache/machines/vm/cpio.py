# SPDX-License-Identifier: GPL-2.0-only
"""cpio archives in the format newc, which the kernel unpacks into its initramfs.

Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


class Archive:
    """Files, folders and links in the order in which they were added, each with the folders above it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._names: set[str] = set()

    def file(self, name: str, data: bytes, mode: int = 0o644, mtime: int = 0) -> None:
        """Add a regular file."""
        self._add(name, stat.S_IFREG | mode, data, mtime)

    def folder(self, name: str) -> None:
        """Add a folder, unless it is there."""
        self._add(name, stat.S_IFDIR | 0o755, b"", 0)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode(), 0)

    def copy(self, path: Path, name: str = "") -> None:
        """Add a file of this host, with its mode and time, by default under its absolute name; links are followed."""
        status = path.stat()
        executable = os.access(path, os.X_OK)
        self.file(name or str(path), path.read_bytes(), 0o755 if executable else 0o644, int(status.st_mtime))

    def _add(self, name: str, mode: int, data: bytes, mtime: int) -> None:
        path = PurePosixPath(name.lstrip("/"))
        if str(path) in self._names:
            return
        if len(path.parts) > 1:
            self.folder(str(path.parent))
        self._names.add(str(path))
        self._parts.append(_entry(str(path), len(self._names), mode, data, mtime))

    def __contains__(self, name: str) -> bool:
        return name.lstrip("/") in self._names

    def pack(self) -> bytes:
        """Return the archive."""
        return b"".join([*self._parts, _entry(_TRAILER, 0, 0, b"", 0)])


def _entry(name: str, inode: int, mode: int, data: bytes, mtime: int) -> bytes:
    """Return a header, the name and the data, each padded to a multiple of four bytes."""
    raw = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, four device numbers, length of the name, checksum
    fields = (inode, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(raw), 0)
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
