# SPDX-License-Identifier: GPL-2.0-only
"""The same probes on this host's kernel."""

from __future__ import annotations

import pytest

from pfncache.machines.isolate import isolated
from pfncache.matrix.cell import Seen, Verdict
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import predict
from pfncache.matrix.probes import run_all, run_one
from pfncache.selftests.host import Host, probe


@pytest.fixture(scope="module")
def host() -> Host:
    found = probe()
    if found.capabilities is None:
        pytest.skip(found.reason)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_ordinary_memory_is_reached(host: Host, path: str) -> None:
    seen = run_one(path, "anon/mapped")
    if seen.verdict is Verdict.UNSEEN:
        pytest.skip(seen.how)
    assert seen == Seen(Verdict.WORKS)


def test_memory_that_only_the_guest_has(host: Host) -> None:
    if run_one("TDP fault", "gmem/unmapped").verdict is Verdict.UNSEEN:
        pytest.skip("no guest_memfd that can be mapped")
    assert run_one("TDP fault", "gmem/unmapped") == Seen(Verdict.WORKS)
    assert run_one("page walk", "gmem/unmapped") == Seen(Verdict.FAILS, "#PF")
    assert run_one("emulator read", "gmem/other") == Seen(Verdict.ELSEWHERE)


@pytest.mark.slow
def test_kernel_and_model_agree(host: Host) -> None:
    found = isolated(run_all, 120.0).value
    assert found is not None
    assert set(found) == {(path, kind) for path in PATHS for kind in KINDS}
    differs = []
    for (path, kind), seen in found.items():
        expected = predict(host.design, PATHS[path], KINDS[kind]).seen
        if seen.verdict is not Verdict.UNSEEN and seen.verdict is not expected.verdict:
            differs.append(f"{path} on {kind}: {seen}, expected {expected}")
    assert differs == []
