# SPDX-License-Identifier: GPL-2.0-only
"""The matrix as a table."""

from __future__ import annotations

import io

from pfncache.designs.catalogue import DESIGNS
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.table import Matrix, compute
from pfncache.matrix.view import LEGEND, explain, show, word


def shown(matrix: Matrix) -> str:
    out = io.StringIO()
    show(matrix, out)
    return out.getvalue()


def test_words() -> None:
    assert [
        word(seen)
        for seen in (
            Observation(CellVerdict.WORKS),
            Observation(CellVerdict.ELSEWHERE),
            Observation(CellVerdict.LOST),
            Observation(CellVerdict.FAILS, "INTERNAL_ERROR"),
            Observation(CellVerdict.FAILS, "#PF"),
            Observation(CellVerdict.BREAKS, "private-access"),
            Observation(CellVerdict.UNSEEN, "no guest_memfd"),
        )
    ] == ["works", "split", "lost", "internal", "#PF", "!private", "-"]


def test_table_of_the_model_has_a_line_for_each_path() -> None:
    text = shown(compute(DESIGNS["rfc-v4"]))
    lines = {line.strip().split("  ")[0]: line.split() for line in text.splitlines() if line.strip()}
    for path in PATHS:
        assert len(lines[path]) == len(path.split()) + len(KINDS)
    row = "!wild works works works works lost !wild works works !private !private"
    assert " ".join(lines["pfncache"]) == f"pfncache {row}"
    assert "=> pfncache breaks private-access on private/unmapped, private/other." in text
    assert "✓" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_kernel_is_set_beside_it() -> None:
    model = compute(DESIGNS["mainline-7.3"])
    real = {key: cell.seen for key, cell in model.cells.items()}
    real["pfncache", "anon/mapped"] = Observation(CellVerdict.LOST)
    real["page walk", "gmem/unmapped"] = Observation(CellVerdict.FAILS, "SHUTDOWN")
    real["TDP fault", "ndm/mapped"] = Observation(CellVerdict.UNSEEN, "no such memory")
    text = shown(compute(DESIGNS["mainline-7.3"], real, "some kernel"))
    assert "some kernel: 175 confirmed ✓, 1 ends otherwise ≈, 1 differs ≠, 10 cannot be shown here of 187 cells" in text
    assert "  pfncache on anon/mapped: lost, and works on the model" in text
    assert "  page walk on gmem/unmapped: fails: SHUTDOWN, and fails: #PF on the model" in text
    assert "  1 cells: no such memory" in text
    assert "works≠lost" in text
    assert "#PF≈" in text


def test_explanation_has_every_path_kind_and_word() -> None:
    out = io.StringIO()
    explain([compute(DESIGNS["mainline-7.3"])], out)
    words = out.getvalue()
    for name in (*PATHS, *KINDS, *(name for name, _ in LEGEND)):
        assert f" {name} " in words
    assert "by user mapping, direct map" in " ".join(words.split())
    assert words.count("with that patch on top") == 2
