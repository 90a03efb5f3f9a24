# SPDX-License-Identifier: GPL-2.0-only
"""Designs side by side, as a picture."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.conftest import Call

SCENARIO = ("-s", "clock/gmem-ndm/punch")


def test_a_picture_names_designs_and_steps(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "compare.svg"
    run = pfncache("compare", "plan", "plan-restored", *SCENARIO, "--svg", str(path))
    assert run.code == 0, run.err
    svg = path.read_text()
    for text in ("plan", "plan-restored", "scenarios with a violation", "local maps", "fails", "ndm/mapped"):
        assert f">{text}</text>" in svg
    again = tmp_path / "again.svg"
    pfncache("compare", "plan", "plan-restored", *SCENARIO, "--svg", str(again))
    assert again.read_text() == svg


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_search(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache("compare", "plan", *SCENARIO, "--svg", str(tmp_path / "no" / "compare.svg"))
    assert run.code == 2
    assert f"there is no folder {tmp_path / 'no'}" in run.err


def test_a_picture_that_cannot_be_written_loses_nothing(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is found to be full when the picture is written, after the search."""

    def full(figure: object, path: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    run = pfncache("compare", "plan", *SCENARIO, "--svg", "full.svg")
    assert run.code == 2
    assert "What breaks, against mainline" in run.out
    assert "cannot write full.svg: No space left on device" in run.err
