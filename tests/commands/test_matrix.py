# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache matrix`` as a user calls it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from pfncache.commands import matrix as command
from pfncache.commands.main import main
from pfncache.designs.catalogue import DESIGNS
from pfncache.machines.capabilities import Capabilities
from pfncache.matrix.cell import Seen, Verdict
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.selftests.identify import Host, probe
from tests.conftest import Run

Command = Callable[..., Run]


def test_json_is_one_document(pfncache: Command) -> None:
    run = pfncache("matrix", "--design", "rfc-v4", "--json")
    assert (run.code, run.err) == (0, "")
    (matrix,) = run.document["matrices"]
    assert (run.document["schema"], matrix["design"], matrix["kernel"]) == (1, "rfc-v4", None)
    assert len(matrix["cells"]) == 143


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--design", "rfc-v5"], "no design 'rfc-v5'"),
        (["--machine", "vm"], "--machine vm and --kernel go together"),
        (["--machine", "kvm", "--kernel", "7.3"], "--machine vm and --kernel go together"),
        (["--kernel", "1.0"], "no kernel '1.0' here"),
        (["--machine", "xen"], "'xen' is not one of"),
    ],
)
def test_usage(args: list[str], error: str) -> None:
    result = CliRunner().invoke(main, ["matrix", *args])
    assert result.exit_code == 2
    assert error in result.stderr


def no_kvm() -> Host:
    return Host(None, DESIGNS["mainline-7.3"], "open /dev/kvm: ENOENT")


def test_no_kvm_exits_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "probe", no_kvm)
    result = CliRunner().invoke(main, ["matrix", "--machine", "kvm"])
    assert (result.exit_code, result.stderr) == (4, "no usable KVM of this host: open /dev/kvm: ENOENT\n")


def some_kvm() -> Host:
    return Host(Capabilities(), DESIGNS["mainline-7.3"], "as if")


def test_kernel_that_differs_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {(path, kind): Seen(Verdict.LOST) for path in PATHS for kind in KINDS}
    monkeypatch.setattr(command, "probe", some_kvm)
    monkeypatch.setattr(command, "run_all", lambda: lost)
    result = CliRunner().invoke(main, ["matrix", "--machine", "kvm"])
    assert result.exit_code == 1
    assert "differs ≠" in result.stdout


@pytest.mark.slow
def test_this_host(pfncache: Command) -> None:
    if probe().capabilities is None:
        pytest.skip(probe().reason)
    run = pfncache("matrix", "--machine", "kvm", "--json")
    assert run.code == 0
    marks = [cell["kernel"]["mark"] for cell in run.document["matrices"][0]["cells"]]
    assert "differs" not in marks
    assert marks.count("confirmed") >= len(PATHS)
