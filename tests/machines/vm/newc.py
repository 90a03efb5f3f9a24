# SPDX-License-Identifier: GPL-2.0-only
"""A reader of cpio archives, independent of the writer."""

from __future__ import annotations

from pathlib import Path


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and contents, by name."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        mode, size, length = (int(data[at + n : at + n + 8], 16) for n in (14, 54, 94))
        name = data[at + 110 : at + 110 + length - 1].decode()
        if name == "TRAILER!!!":
            return found
        start = (at + 110 + length + 3) // 4 * 4
        found[name] = mode, data[start : start + size]
        at = (start + size + 3) // 4 * 4


def unpack(data: bytes, into: Path) -> None:
    """Write folders and regular files."""
    for name, (mode, content) in entries(data).items():
        path = into / name
        if mode >> 12 == 4:
            path.mkdir()
        elif mode >> 12 == 8:
            path.write_bytes(content)
            path.chmod(mode & 0o777)
