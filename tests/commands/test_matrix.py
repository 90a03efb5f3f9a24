# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache matrix`` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.machines.capabilities import Capabilities
from pfncache.matrix import measure
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.selftests.identify import Host, probe
from tests.conftest import Call


def test_json_is_one_document(pfncache_process: Call) -> None:
    run = pfncache_process("matrix", "--design", "rfc-v4", "--json")
    assert (run.code, run.err) == (0, "")
    (matrix,) = run.document["matrices"]
    assert (run.document["schema"], matrix["design"], matrix["kernel"]) == (2, "rfc-v4", None)
    assert len(matrix["cells"]) == 187


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--design", "rfc-v5"], "no design 'rfc-v5'"),
        (["--machine", "vm"], "--machine vm and --kernel go together"),
        (["--machine", "kvm", "--kernel", "7.3"], "--machine vm and --kernel go together"),
        (["--kernel", "1.0"], "no kernel '1.0' in the cache"),
        (["--machine", "xen"], "'xen' is not one of"),
    ],
)
def test_usage(pfncache: Call, args: list[str], error: str) -> None:
    result = pfncache("matrix", *args)
    assert result.code == 2
    assert error in result.err


def test_design_of_a_file(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from pfncache.designs.catalogue import mainline_7_2\nmine = mainline_7_2 + []\n")
    run = pfncache("matrix", "--design", str(path), "--json")
    assert run.code == 0
    assert run.document["matrices"][0]["design"] == "mine"


def no_kvm() -> Host:
    return Host(None, DESIGNS["mainline-7.3"], "open /dev/kvm: ENOENT")


def test_no_kvm_exits_4(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "probe", no_kvm)
    result = pfncache("matrix", "--machine", "kvm")
    assert (result.code, result.err) == (4, "no usable KVM of this host: open /dev/kvm: ENOENT\n")


def some_kvm() -> Host:
    return Host(Capabilities(), DESIGNS["mainline-7.3"], "as if")


def test_kernel_that_differs_exits_1(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {(path, kind): Observation(CellVerdict.LOST) for path in PATHS for kind in KINDS}
    monkeypatch.setattr(measure, "probe", some_kvm)
    monkeypatch.setattr(measure, "run_all", lambda: lost)
    result = pfncache("matrix", "--machine", "kvm")
    assert result.code == 1
    assert "differs ≠" in result.out


@pytest.mark.slow
def test_this_host(pfncache: Call) -> None:
    if probe().capabilities is None:
        pytest.skip(probe().reason)
    run = pfncache("matrix", "--machine", "kvm", "--json")
    assert run.code == 0
    marks = [cell["kernel"]["mark"] for cell in run.document["matrices"][0]["cells"]]
    assert "differs" not in marks
    assert marks.count("confirmed") >= len(PATHS)
