# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of the kernel's C are found, where its source has been fetched; without them, the scenarios hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.from_c import patch_of
from pfncache.kernels.apply import apply as apply_series
from pfncache.kernels.patch_mail import read
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import Job, run
from tests.csource.edits import Change, mail
from tests.csource.kvm.faults import FAULTS, HARMLESS, Fault
from tests.csource.kvm.trees import copied, source

RELEASE, FILE = "7.3.4", "virt/kvm/pfncache.c"
STATES = 200_000
ALWAYS = ("invalidate-nothing", "page-leaks", "retry-never", "refresh-without-mutex")
"""Faults of four kinds that each run of the tests looks for."""


def searched(tree: Path, scenario: str) -> Outcome:
    """Search a scenario with pfncache.c of a tree."""
    translation = translate(tree, [FILE], version=RELEASE)
    assert {name: str(why) for name, why in translation.refused.items()} == {}
    return run(Job((mainline_7_3 + [patch_of(translation)]).named("from-c", "from C"), scenario, STATES))


def patched(fault: Fault, folder: Path) -> Path:
    """Make a mail of a fault, and apply it to a copy of the source."""
    into = copied(RELEASE, folder / "into")
    path = mail(source(RELEASE), folder, [Change(FILE, fault.function, fault.edit)], "fault")
    assert apply_series(read(path), source(RELEASE), into) == [FILE]
    return into


@cache
def without(scenario: str) -> tuple[str, ...]:
    """The properties that the scenario breaks without a fault."""
    return searched(source(RELEASE), scenario).properties


@pytest.mark.parametrize("name", [
    name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in FAULTS
])  # fmt: skip
def test_fault_is_found(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    outcome = searched(patched(fault, tmp_path), fault.scenario)
    assert fault.property in outcome.properties, outcome.reason
    assert fault.property not in without(fault.scenario)


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_change_holds(name: str, tmp_path: Path) -> None:
    fault = HARMLESS[name]
    assert searched(patched(fault, tmp_path), fault.scenario).verdict == "holds"
