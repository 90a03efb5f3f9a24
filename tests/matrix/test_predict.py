# SPDX-License-Identifier: GPL-2.0-only
"""Expected verdict of every cell of mainline and of the series."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import Predicted, needs_no_direct_map, predict
from pfncache.matrix.view import word

UACCESS = "works works works lost split lost works works lost lost split"
BY_HVA = "works works works EFAULT split EFAULT works EFAULT EFAULT EFAULT split"
BY_HVA_OF_THE_SERIES = "!wild works works EFAULT !wild EFAULT !wild EFAULT EFAULT EFAULT !wild"
WALK = "works works works #PF split #PF works works #PF #PF split"
OPERAND = "works works works MMIO split MMIO works works MMIO MMIO split"
MAINLINE = {
    "pfncache": "works works works lost split lost works lost lost lost split",
    "pfncache by hva": BY_HVA,
    "kvm_read/write_guest": UACCESS,
    "kvm_clear_guest": "works works works shutdown split shutdown works works shutdown shutdown split",
    "gfn_to_hva_cache": UACCESS,
    "steal time": UACCESS,
    "page walk": WALK,
    "accessed bit": WALK,
    "atomic read": WALK.replace("#PF", "#NPF"),
    "emulator fetch": "works works works shutdown split EFAULT works works shutdown shutdown split",
    "emulator read": "works works works MMIO split EFAULT works works MMIO MMIO split",
    "emulator write": OPERAND,
    "emulator cmpxchg": OPERAND,
    "kvm_vcpu_map": "works works works internal split internal works internal internal internal split",
    "mapping of L2": "works works works VMFAIL split VMFAIL works VMFAIL VMFAIL VMFAIL split",
    "VMSA": "- - - - - - - - - works works",
    "TDP fault": "works works works works works EFAULT works works works works works",
}
"""By path, for each kind of memory in the order of KINDS."""
CHANGED = {
    "rfc-v4": {
        "pfncache": "!wild works works works works lost !wild works works !private !private",
        "pfncache by hva": BY_HVA_OF_THE_SERIES,
    },
    "rfc-v4-fixed": {"pfncache": "works works works works works lost works works works lost lost"},
    "uaccess-clock": {"pfncache": UACCESS},
}
"""What a design changes of mainline."""


def cells(design: str, path: str) -> list[Predicted]:
    return [predict(DESIGNS[design], PATHS[path], kind) for kind in KINDS.values()]


def words(design: str, path: str) -> str:
    return " ".join(word(cell.seen) for cell in cells(design, path))


@pytest.mark.parametrize("path", PATHS)
def test_mainline(path: str) -> None:
    assert words("mainline-7.3", path) == MAINLINE[path]


@pytest.mark.parametrize("design", CHANGED)
def test_designs_that_change_pfncache_change_nothing_else(design: str) -> None:
    assert {path: words(design, path) for path in PATHS} == {**MAINLINE, **CHANGED[design]}


def test_old_kernel_has_no_guest_memfd_that_can_be_mapped() -> None:
    assert words("mainline-6.12", "pfncache") == "works works - - - - - - - lost split"


@pytest.mark.parametrize(
    ("path", "kind", "means"),
    [
        ("pfncache", "anon/mapped", ("user mapping", "direct map")),
        ("pfncache", "gmem/unmapped", ("user mapping",)),
        ("kvm_read/write_guest", "gmem/mapped", ("user mapping",)),
        ("page walk", "ndm/mapped", ("user mapping",)),
        ("kvm_vcpu_map", "memfd/mapped", ("user mapping", "direct map")),
        ("kvm_clear_guest", "gmem/mapped", ("user mapping",)),
        ("atomic read", "gmem/mapped", ("user mapping",)),
        ("mapping of L2", "memfd/mapped", ("user mapping",)),
        ("VMSA", "private/unmapped", ("guest_memfd",)),
        ("TDP fault", "anon/mapped", ("user mapping",)),
        ("TDP fault", "gmem/unmapped", ("guest_memfd",)),
    ],
)
def test_means_of_mainline(path: str, kind: str, means: tuple[str, ...]) -> None:
    assert predict(DESIGNS["mainline-7.3"], PATHS[path], KINDS[kind]).means == means


@pytest.mark.parametrize(
    ("kind", "means"),
    [("gmem/unmapped", ("guest_memfd", "direct map")), ("ndm/unmapped", ("guest_memfd", "kernel alias"))],
)
def test_means_of_the_series(kind: str, means: tuple[str, ...]) -> None:
    assert predict(DESIGNS["rfc-v4"], PATHS["pfncache"], KINDS[kind]).means == means


def test_violation_names_its_property() -> None:
    found = predict(DESIGNS["rfc-v4"], PATHS["pfncache"], KINDS["private/other"]).seen
    assert found == Observation(CellVerdict.BREAKS, "private-access")


def test_no_direct_map_is_put_on_top_of_designs_that_lack_it() -> None:
    names = [name for name in DESIGNS if needs_no_direct_map(DESIGNS[name], KINDS["ndm/mapped"])]
    assert "mainline-7.3" in names
    assert "rfc-v4" not in names
    assert "mainline-6.12" not in names
    assert not needs_no_direct_map(DESIGNS["mainline-7.3"], KINDS["gmem/mapped"])
