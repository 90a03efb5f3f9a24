# SPDX-License-Identifier: GPL-2.0-only
"""The selftests on this host's kernel: it agrees with the design that is taken for it."""

from __future__ import annotations

import pytest

from pfncache.machines.kvm import machine
from pfncache.selftests import SELFTESTS
from pfncache.selftests.host import Host, probe
from pfncache.selftests.runner import run


@pytest.fixture(scope="module")
def host() -> Host:
    found = probe()
    if found.capabilities is None:
        pytest.skip(found.reason)
    return found


def test_without_kvm_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DEVICE", "/nonexistent")
    found = probe()
    assert (found.capabilities, found.design.name, found.reason) == (None, "mainline-7.3", "open /nonexistent: ENOENT")


def test_probe_is_repeatable(host: Host) -> None:
    again = probe()
    assert (again.design.name, again.reason) == (host.design.name, host.reason)


@pytest.mark.parametrize("group", ["series", "memslots", "gmem", "clock"])
def test_kernel_agrees_with_its_model(host: Host, group: str) -> None:
    tests = [test for test in SELFTESTS.values() if test.group == group]
    unexpected = {r.test.name: r.line.notes for r in run(tests, "kvm", host.design) if r.verdict == "failed"}
    assert unexpected == {}


@pytest.mark.slow
def test_kernel_agrees_with_its_model_in_the_rest(host: Host) -> None:
    tests = [test for test in SELFTESTS.values() if test.group not in ("series", "memslots", "gmem", "clock")]
    unexpected = {r.test.name: r.line.notes for r in run(tests, "kvm", host.design) if r.verdict == "failed"}
    assert unexpected == {}
