# SPDX-License-Identifier: GPL-2.0-only
"""The same probes on this host's kernel."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pfncache.matrix import probes
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import predict
from pfncache.matrix.probes import run_all, run_one
from pfncache.selftests.identify import Host


@pytest.mark.parametrize("path", PATHS)
def test_ordinary_memory_is_reached(kvm_host: Host, path: str) -> None:
    seen = run_one(path, "anon/mapped")
    if seen.verdict is CellVerdict.UNSEEN:
        pytest.skip(seen.how)
    assert seen == Observation(CellVerdict.WORKS)


def test_memory_that_only_the_guest_has(kvm_host: Host) -> None:
    if run_one("TDP fault", "gmem/unmapped").verdict is CellVerdict.UNSEEN:
        pytest.skip("no guest_memfd that can be mapped")
    assert run_one("TDP fault", "gmem/unmapped") == Observation(CellVerdict.WORKS)
    assert run_one("page walk", "gmem/unmapped") == Observation(CellVerdict.FAILS, "#PF")
    assert run_one("emulator read", "gmem/other") == Observation(CellVerdict.ELSEWHERE)


def test_kernel_and_model_agree(kvm_host: Host) -> None:
    found = run_all()
    assert set(found) == {(path, kind) for path in PATHS for kind in KINDS}
    differs = []
    for (path, kind), seen in found.items():
        expected = predict(kvm_host.design, PATHS[path], KINDS[kind]).seen
        if seen.verdict is not CellVerdict.UNSEEN and seen.verdict is not expected.verdict:
            differs.append(f"{path} on {kind}: {seen}, expected {expected}")
    assert differs == []


def test_path_that_does_not_survive_is_told_of_in_each_of_its_cells(
    kvm_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = replace(PATHS["TDP fault"], name="dies", act=lambda setup: os._exit(3))
    monkeypatch.setattr(probes, "PATHS", {"dies": dies})
    monkeypatch.setattr(probes, "KINDS", {name: KINDS[name] for name in ("anon/mapped", "memfd/mapped")})
    exited = Observation(CellVerdict.BREAKS, "exited with 3")
    assert run_all() == {("dies", "anon/mapped"): exited, ("dies", "memfd/mapped"): exited}
