# SPDX-License-Identifier: GPL-2.0-only
"""Builds of a kernel of a few lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pfncache.kernels import variant
from pfncache.kernels.build import beyond_kvm, build
from pfncache.kernels.find import find
from pfncache.kernels.flavour import DEBUG, STOCK, Flavour
from pfncache.kernels.image import Image
from pfncache.kernels.make import BuildError
from pfncache.kernels.modules import load
from pfncache.kernels.patch_mail import PatchMail, SeriesError, read
from tests.kernels import sources
from tests.kernels.posted import BEFORE, diff, folder, mail

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "gcc", "strip"))), reason="no make, gcc or strip: install build-essential"
)


class Bench:
    """What a build begins with."""

    def __init__(self, tmp_path: Path) -> None:
        self._path = tmp_path
        self._count = 0
        self.source = sources.source()
        self.stock = sources.stock()
        self.tree = self.source.folder / "kvm"

    def series(self, after: str) -> list[PatchMail]:
        """A series of one patch."""
        self._count += 1
        return read(folder(self._path / f"series-{self._count}", mail("[PATCH] KVM: mine", diff(BEFORE, after))))

    def build(self, name: str, series: list[PatchMail], flavour: Flavour = STOCK) -> Image:
        return build(name, self.source, self.stock, series, flavour, lambda text: None)

    def lines(self, name: str) -> int:
        """How often the makefile has done something."""
        return len((self.tree / name).read_text().splitlines())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Bench(tmp_path)


def test_modules_take_the_place_of_debians(bench: Bench) -> None:
    image = bench.build("mine", [])
    assert image == find("mine")
    assert (image.release, image.vmlinuz, image.modules) == (
        sources.RELEASE, bench.stock.vmlinuz, bench.stock.modules,
    )  # fmt: skip
    assert image.replaced is not None
    assert sorted(p.name for p in image.replaced.iterdir()) == ["image.json", "kvm-amd.ko", "kvm-intel.ko", "kvm.ko"]
    (kvm,) = load(image, ("kvm",))
    assert kvm.data == (image.replaced / "kvm.ko").read_bytes()
    config = (bench.tree / ".config").read_text()
    assert "CONFIG_KVM_SW_PROTECTED_VM=y" in config and "CONFIG_RUST=n" not in config
    assert (bench.tree / "Module.symvers").read_text() == bench.source.symbols.read_text()


def test_only_what_a_series_changes_is_built_again(bench: Bench) -> None:
    stock = bench.build("stock", [])
    one = bench.build("one", bench.series(BEFORE.replace("= 7", "= 8")))
    assert (bench.lines("prepared"), bench.lines("built")) == (1, 2)
    again = bench.build("again", bench.series(BEFORE.replace("= 7", "= 8")))
    assert bench.lines("built") == 2
    back = bench.build("back", [])
    assert bench.lines("built") == 3
    data = [load(image, ("kvm",))[0].data for image in (stock, one, again, back)]
    assert data[0] == data[3] != data[1] == data[2]
    assert variant.names() == ["again", "back", "one", "stock"]


def test_what_does_not_compile(bench: Bench) -> None:
    with pytest.raises(BuildError) as error:
        bench.build("bad", bench.series(BEFORE.replace("valid = 0", "qqq = 0")))
    assert str(error.value) == (
        "virt/kvm/cache.c:5: 'qqq' undeclared (first use in this function); touched by patch 1 (KVM: mine)"
    )
    assert variant.names() == []
    bench.build("good", bench.series(BEFORE.replace("= 7", "= 8")))


def test_what_does_not_apply_changes_nothing(bench: Bench) -> None:
    bench.build("mine", [])
    with pytest.raises(SeriesError, match="hunk 1 of 1"):
        old = BEFORE.replace("cache + valid", "cache - valid")
        text = diff(old, old.replace("valid = 0", "valid = 2"))
        bench.build("mine", [PatchMail(1, "KVM: mine", 1, text.encode())])
    assert bench.lines("built") == 1 and find("mine").name == "mine"


def test_a_debug_kernel_is_whole(bench: Bench) -> None:
    image = bench.build("checked", [], DEBUG)
    assert (image.release, image.modules) == ("7.3.4-debug", None)
    assert image.vmlinuz == variant.folder() / "checked" / "vmlinuz"
    assert {"CONFIG_TINY=y", "CONFIG_KASAN=y", "CONFIG_KVM=m"} <= set(image.vmlinuz.read_text().splitlines())
    assert [m.name for m in load(image, ("irqbypass", "kvm_amd"))] == ["irqbypass", "kvm_amd"]


def test_an_option_that_a_kernel_has_not(bench: Bench) -> None:
    rule = "olddefconfig:\n\techo CONFIG_KVM=m > .config\nold:\n"
    path = bench.source.tree / "Makefile"
    path.write_text(path.read_text().replace("olddefconfig:\n", rule))
    with pytest.raises(BuildError) as error:
        bench.build("mine", [])
    assert str(error.value) == f"Linux {sources.RELEASE} cannot be configured with CONFIG_KVM_SW_PROTECTED_VM=y"


def test_files_beyond_kvm() -> None:
    names = ("virt/kvm/pfncache.c", "mm/gup.c", "include/linux/mm.h", "tools/testing/x.c", "arch/x86/mm/pat.c")
    series = [PatchMail(1, "all", 1, "".join(diff("a\n", "b\n", name) for name in names).encode())]
    assert beyond_kvm(series) == ["mm/gup.c", "arch/x86/mm/pat.c"]
