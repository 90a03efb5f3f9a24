# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pfncache.kernels.image import Image
from pfncache.machines.vm import initramfs
from tests.kernels.trees import module
from tests.machines.vm.newc import unpack


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    module(folder / "modules", "virtio_console", "virtio")
    module(folder / "modules", "virtio")
    data = initramfs.build(Image("1.0", "1.0", folder / "vmlinuz", folder / "modules"))
    assert 20 << 20 < len(data) < 90 << 20
    root = folder / "root"
    root.mkdir()
    unpack(data, root)
    return root


def test_modules_are_in_order(unpacked: Path) -> None:
    assert sorted(os.listdir(unpacked / "modules")) == ["00-virtio.ko", "01-virtio_console.ko"]


def test_what_is_left_out(unpacked: Path) -> None:
    names = {path.name for path in unpacked.rglob("*")}
    assert not names & {"site-packages", "dist-packages", "test", "unittest", "tkinter", "numba", "click"}
    assert not [name for name in names if name.endswith(".opt-1.pyc")]


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot() takes root")
def test_agent_can_be_imported_in_it(unpacked: Path) -> None:
    """So can each module with functions that are called in a guest: nothing of them is outside of the archive."""
    called = ("selftests.inside", "selftests.identify", "matrix.probes", "footprint.run", "machines.vm.agent")
    code = f"import sys; sys.path.insert(0, '/package'); import {', '.join(f'pfncache.{name}' for name in called)}"
    python = str(Path(sys.executable).resolve())
    done = subprocess.run(
        ["chroot", str(unpacked), python, "-ISXutf8", "-c", code + "; print(len(sys.modules) > 100)"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert (unpacked / "init").read_text().startswith(f"#!{python} -ISXutf8\n")
