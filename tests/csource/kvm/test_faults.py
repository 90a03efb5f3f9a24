# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of the kernel's C are found, where its source has been fetched; without them, the scenarios hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pfncache.csource.kvm.translation import FILES, translate
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.from_c import patch_of
from pfncache.kernels.apply import apply as apply_series
from pfncache.kernels.patch_mail import read
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run
from tests.csource.edits import Change, mail
from tests.csource.kvm import faults, faults_gmem, faults_main, faults_slots, faults_x86, faults_xen
from tests.csource.kvm.fault import PFNCACHE, Fault
from tests.csource.kvm.kinds import KINDS
from tests.csource.kvm.trees import copied, source

RELEASE = "7.3.4"
STATES = 200_000
ROOMS = (
    faults.FAULTS, faults_gmem.FAULTS, faults_main.FAULTS, faults_slots.FAULTS, faults_x86.FAULTS, faults_xen.FAULTS,
)  # fmt: skip
FAULTS = {name: fault for room in ROOMS for name, fault in room.items()}
HARMLESS = faults.HARMLESS | faults_gmem.HARMLESS | faults_main.HARMLESS
ALWAYS = (
    "invalidate-nothing", "page-leaks", "retry-never", "refresh-without-mutex", "punch-never-ends", "caches-stay-valid",
    "clock-stays-locked", "invalid-slot-leaks", "event-not-noted", "runstate-waits",
)  # fmt: skip
"""Faults of several kinds that each run of the tests looks for, in each of the large files."""


def searched(tree: Path, scenario: str, file: str) -> Outcome:
    """Search a scenario with the C of a tree: with pfncache.c alone for a fault there, else with all files."""
    translation = translate(tree, [file] if file == PFNCACHE else FILES, version=RELEASE)
    assert {name: str(why) for name, why in translation.refused.items()} == {}
    return run(Job((mainline_7_3 + [patch_of(translation)]).named("from-c", "from C"), scenario, STATES))


def patched(fault: Fault, folder: Path) -> Path:
    """Make a mail of a fault, and apply it to a copy of the source."""
    into = copied(RELEASE, folder / "into")
    path = mail(source(RELEASE), folder, [Change(fault.file, fault.function, fault.edit)], "fault")
    assert apply_series(read(path), source(RELEASE), into) == [fault.file]
    return into


@cache
def without(scenario: str, file: str) -> tuple[str, ...]:
    """The properties that the scenario breaks without a fault."""
    return searched(source(RELEASE), scenario, file).properties


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) == sum(map(len, ROOMS)) >= 60
    assert set(KINDS) == set(FAULTS)
    assert {f.file for f in FAULTS.values()} == {
        PFNCACHE, "virt/kvm/guest_memfd.c", "virt/kvm/kvm_main.c", "include/linux/kvm_host.h", "arch/x86/kvm/x86.c",
        "arch/x86/kvm/xen.c",
    }  # fmt: skip


@pytest.mark.parametrize("name", [
    name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS
])  # fmt: skip
def test_fault_is_found(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    outcome = searched(patched(fault, tmp_path), fault.scenario, fault.file)
    assert fault.property in (*outcome.properties, outcome.verdict), outcome.reason
    assert fault.property not in without(fault.scenario, fault.file if fault.file == PFNCACHE else "")


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_change_holds(name: str, tmp_path: Path) -> None:
    fault = HARMLESS[name]
    assert searched(patched(fault, tmp_path), fault.scenario, fault.file).verdict == "holds"
