# SPDX-License-Identifier: GPL-2.0-only
"""Identification of this host's kernel, and the selftests on it: it agrees with the model of its design."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pfncache.linux.include.uapi import PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING
from pfncache.machines.host import devkvm as host_module
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine
from pfncache.selftests import SELFTESTS
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.outcome import SelftestStatus, run_on
from pfncache.selftests.runner import SelftestVerdict, run
from pfncache.selftests.selftest import Selftest, userfaultfd
from pfncache.selftests.suites.testbed import anon
from pfncache.selftests.targets import this_host


def test_without_kvm_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "DEVICE", "/nonexistent")
    found = probe()
    assert (found.capabilities, found.design.name, found.reason) == (None, "mainline-7.3", "open /nonexistent: ENOENT")


def test_probe_is_repeatable(kvm_host: Host) -> None:
    again = probe()
    assert (again.design.name, again.reason) == (kvm_host.design.name, kvm_host.reason)


@pytest.mark.usefixtures("kvm_host")
def test_hang_inside_the_kernel_is_ended_and_the_next_test_runs() -> None:
    """A fault that is never resolved keeps the child's thread in the kernel, with a VM and a userfaultfd open."""

    def hangs(machine: Machine) -> None:
        """Wait for a fault that is never resolved."""
        bed = anon(machine)
        machine.userfaultfd(bed.page, PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING)
        bed.enable_clock()

    before = set(os.listdir("/proc/self/fd"))
    test = Selftest(
        "group/hangs",
        "hangs",
        "nothing",
        hangs,
        (userfaultfd(UFFDIO_REGISTER_MODE_MISSING, "missing-page"),),
        seconds=1.0,
    )
    assert run_on(KvmMachine, test, test.seconds).status in (SelftestStatus.HANG, SelftestStatus.SKIP)
    assert run_on(KvmMachine, SELFTESTS["clock/first-run"], 10).status is SelftestStatus.PASS
    assert set(os.listdir("/proc/self/fd")) == before
    assert Path("/proc/self/task", str(os.getpid()), "children").read_text() == ""


@pytest.mark.parametrize("group", ["series", "memslots", "gmem", "clock"])
def test_kernel_agrees_with_its_model(kvm_host: Host, group: str) -> None:
    tests = [test for test in SELFTESTS.values() if test.group == group]
    unexpected = {
        r.test.name: r.line.notes for r in run(tests, this_host, kvm_host.design) if r.verdict is SelftestVerdict.FAILED
    }
    assert unexpected == {}


@pytest.mark.slow
def test_kernel_agrees_with_its_model_in_the_rest(kvm_host: Host) -> None:
    tests = [test for test in SELFTESTS.values() if test.group not in ("series", "memslots", "gmem", "clock")]
    unexpected = {
        r.test.name: r.line.notes for r in run(tests, this_host, kvm_host.design) if r.verdict is SelftestVerdict.FAILED
    }
    assert unexpected == {}
