# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: marks, conclusions, JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import Predicted
from pfncache.matrix.table import Cell, Mark, Matrix, compute

WORKS, LOST = Observation(CellVerdict.WORKS), Observation(CellVerdict.LOST)
UNSEEN = Observation(CellVerdict.UNSEEN, "no such memory")
MMIO, SHUTDOWN = Observation(CellVerdict.FAILS, "MMIO"), Observation(CellVerdict.FAILS, "SHUTDOWN")


@pytest.fixture(scope="module")
def mainline() -> Matrix:
    return compute(DESIGNS["mainline-7.3"])


def cell(model: Observation, real: Observation | None) -> Cell:
    return Cell(PATHS["pfncache"], KINDS["anon/mapped"], Predicted(model, ()), real)


@pytest.mark.parametrize(
    ("model", "real", "mark"),
    [
        (WORKS, None, None),
        (WORKS, WORKS, Mark.CONFIRMED),
        (MMIO, MMIO, Mark.CONFIRMED),
        (MMIO, SHUTDOWN, Mark.OTHERWISE),
        (MMIO, LOST, Mark.DIFFERS),
        (WORKS, UNSEEN, Mark.UNSEEN),
        (UNSEEN, WORKS, Mark.UNSEEN),
    ],
)
def test_marks(model: Observation, real: Observation | None, mark: Mark | None) -> None:
    assert cell(model, real).mark is mark


def test_every_cell_is_there(mainline: Matrix) -> None:
    assert len(mainline.cells) == len(PATHS) * len(KINDS) == 187
    assert {cell.mark for cell in mainline.cells.values()} == {None}


def test_means_of_a_path(mainline: Matrix) -> None:
    assert mainline.means("kvm_vcpu_map") == ["user mapping", "direct map"]
    assert mainline.means("page walk") == ["user mapping"]
    assert mainline.means("TDP fault") == ["user mapping", "guest_memfd"]


def test_conclusion_of_mainline(mainline: Matrix) -> None:
    assert mainline.conclusion() == [
        "15 of 17 paths reach guest_memfd only where user space maps it (pfncache, pfncache by hva, "
        "kvm_read/write_guest, kvm_clear_guest, gfn_to_hva_cache, steal time, page walk, accessed bit, atomic read, "
        "emulator fetch, emulator read, emulator write, emulator cmpxchg, kvm_vcpu_map, mapping of L2): gmem and ndm "
        "memory that a guest may use for any of them must stay mapped at the slot's address",
        "without the direct map, pfncache, pfncache by hva, kvm_vcpu_map and mapping of L2 do not reach it even when "
        "it is mapped",
        "private memory is reached by VMSA and TDP fault alone",
    ]


def test_conclusion_of_the_series_names_what_breaks() -> None:
    sentences = compute(DESIGNS["rfc-v4"]).conclusion()
    assert sentences[0].startswith(
        "14 of 17 paths reach guest_memfd only where user space maps it (pfncache by hva, kvm_read/write_guest, "
    )
    assert sentences[1:] == [
        "without the direct map, pfncache by hva, kvm_vcpu_map and mapping of L2 do not reach it even when it is "
        "mapped",
        "private memory is reached by VMSA and TDP fault alone",
        "pfncache breaks wild-pointer on anon/mapped, gmem0/other",
        "pfncache breaks private-access on private/unmapped, private/other",
        "pfncache by hva breaks wild-pointer on anon/mapped, gmem/other, gmem0/other, private/other",
    ]


def test_conclusion_where_everything_works(mainline: Matrix) -> None:
    """It follows from the cells, and from nothing else."""
    works = {key: replace(c, predicted=Predicted(WORKS, ())) for key, c in mainline.cells.items()}
    sentences = Matrix(mainline.design, works).conclusion()
    assert sentences[:2] == [
        "every path reaches guest_memfd that user space does not map: nothing must stay mapped",
        "no path needs the direct map",
    ]


def test_conclusion_without_guest_memfd() -> None:
    assert compute(DESIGNS["mainline-6.12"]).conclusion() == [
        "mainline-6.12 has no guest_memfd that user space can map: a guest's memory is what is mapped"
    ]


def test_json(mainline: Matrix) -> None:
    document = compute(mainline.design, dict.fromkeys(mainline.cells, WORKS), "a kernel").as_json()
    assert (document["design"], document["kernel"]) == ("mainline-7.3", "a kernel")
    assert [path["name"] for path in document["paths"]] == list(PATHS)
    assert document["paths"][0]["means"] == ["user mapping", "direct map"]
    assert document["cells"][0] == {
        "path": "pfncache",
        "memory": "anon/mapped",
        "verdict": "works",
        "how": "",
        "means": ["user mapping", "direct map"],
        "kernel": {"verdict": "works", "how": "", "mark": "confirmed"},
    }
    assert "kernel" not in mainline.as_json()["cells"][0]
