# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.image import Image
from pfncache.kernels.modules import ModuleError, closure, load
from tests.kernels.trees import module


def tree(folder: Path) -> Image:
    module(folder / "kernel/arch/x86/kvm", "kvm", "irqbypass")
    module(folder / "kernel/arch/x86/kvm", "kvm-amd", "kvm,ccp")
    module(folder / "kernel/virt/lib", "irqbypass", suffix=".ko")
    module(folder / "kernel/drivers/crypto/ccp", "ccp")
    module(folder / "kernel/drivers/net", "e1000")
    return Image("1.0", "1.0", folder / "vmlinuz", folder)


def test_order_is_that_of_need(tmp_path: Path) -> None:
    image = tree(tmp_path)
    assert [m.name for m in load(image, ("kvm_amd", "unknown"))] == ["irqbypass", "kvm", "ccp", "kvm_amd"]
    assert [path.name for path in closure(tmp_path, ("kvm",))] == ["irqbypass.ko", "kvm.ko.xz"]


def test_replaced_modules_come_first(tmp_path: Path) -> None:
    image = tree(tmp_path / "stock")
    module(tmp_path / "mine", "kvm", suffix=".ko")
    mine = Image("1.0+mine", "1.0", image.vmlinuz, image.modules, tmp_path / "mine")
    assert [m.name for m in load(mine, ("kvm-amd",))] == ["kvm", "ccp", "kvm_amd"]


@pytest.mark.parametrize(
    ("suffix", "why"),
    [
        (".ko.zst", "compressed with zstd, which is not supported: unpack it first"),
        (".ko.gz", "Not a gzipped file (b'\\x7fE')"),
        (".ko.odd", "no module, whose suffix is one of .ko, .ko.xz, .ko.gz, .ko.zst"),
    ],
)
def test_unreadable(tmp_path: Path, suffix: str, why: str) -> None:
    path = module(tmp_path, "kvm", suffix=suffix)
    with pytest.raises(ModuleError) as error:
        load(Image("1.0", "1.0", tmp_path / "vmlinuz", tmp_path), ("kvm",))
    assert str(error.value) == f"{path}: {why}"
