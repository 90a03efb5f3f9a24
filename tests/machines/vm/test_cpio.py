# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from pfncache.machines.vm.cpio import Archive
from tests.machines.vm.newc import entries


def archive(tmp_path: Path) -> Archive:
    (tmp_path / "program").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "program").chmod(0o700)
    made = Archive()
    made.file("/init", b"hello", 0o755)
    made.link("bin/sh", "/init")
    made.copy(tmp_path / "program", "usr/bin/program")
    made.file("/init", b"once more", 0o755)
    return made


def test_layout() -> None:
    made = Archive()
    made.file("a/b", b"12345", 0o644, mtime=7)
    data = made.pack()
    assert len(data) % 4 == 0
    assert data[:6] == b"070701" and data[14:22] == b"000041ED"  # a folder, mode 755
    second = data.index(b"070701", 6)
    fields = [int(data[second + 6 + 8 * n : second + 14 + 8 * n], 16) for n in range(13)]
    assert fields == [2, 0o100644, 0, 0, 1, 7, 5, 0, 0, 0, 0, 4, 0]
    assert data[second + 110 : second + 114] == b"a/b\0"
    assert data[second + 116 : second + 124] == b"12345\0\0\0"  # both at multiples of four
    assert "a" in made and "/a/b" in made and "b" not in made


def test_contents(tmp_path: Path) -> None:
    found = entries(archive(tmp_path).pack())
    assert found == {
        "init": (0o100755, b"hello"),
        "bin": (0o040755, b""),
        "bin/sh": (0o120777, b"/init"),
        "usr": (0o040755, b""),
        "usr/bin": (0o040755, b""),
        "usr/bin/program": (0o100755, b"#!/bin/sh\n"),
    }
