# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache doctor``: a line for each finding."""

from __future__ import annotations

import pytest

from pfncache.machines.host import devkvm as kvm_host
from tests.conftest import Call


def test_as_a_user_calls_it(pfncache_process: Call) -> None:
    run = pfncache_process("doctor")
    assert run.code == 0
    assert run.err == ""
    lines = run.out.splitlines()
    assert all(line.split()[0] in ("yes", "no") for line in lines if "can run here" not in line)
    assert lines[0].split()[1] == "KVM"


@pytest.mark.parametrize(("device", "remedy"), [("/nonexistent", "nested virtualisation"), ("/dev/null", "not usable")])
def test_no_kvm(pfncache: Call, monkeypatch: pytest.MonkeyPatch, device: str, remedy: str) -> None:
    monkeypatch.setattr(kvm_host, "DEVICE", device)
    run = pfncache("doctor")
    assert run.code == 0
    first = run.out.splitlines()[0]
    assert first.startswith("no   KVM")
    assert remedy in first
