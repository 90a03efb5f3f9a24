# SPDX-License-Identifier: GPL-2.0-only
"""Every memory barrier of the files that our tests are about is in a test, or is written down here with the reason."""

from __future__ import annotations

import re

import pytest

from pfncache.csource.lexer import without_comments
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.event import EventKind
from pfncache.litmus.fit import fit
from pfncache.litmus.source import KernelSource
from tests.csource.kvm.trees import source

BARRIER = re.compile(r"\bsmp_(?:(?:r|w)?mb(?:__\w+)?|store_mb)\(")
OUTSIDE = {
    "virt/kvm/pfncache.c": [],
    "virt/kvm/guest_memfd.c": [],
    "virt/kvm/kvm_main.c": [
        "smp_mb__after_srcu_read_lock();",  # kvm_get_bus_srcu(): it makes no code; the memory model has none
    ],
    "arch/x86/kvm/xen.c": [],
    "include/linux/kvm_host.h": [
        "smp_rmb();",  # mmu_invalidate_retry(): of PowerPC, whose faults do not hold mmu_lock
    ],
}


@pytest.mark.parametrize("file", OUTSIDE)
def test_every_barrier_has_a_test(file: str) -> None:
    tree = source("7.3.4")
    kernel = KernelSource(tree)
    steps = [step for test in LITMUS_TESTS.values() for thread in fit(test, kernel).threads for step in thread]
    tested = {step.event.place for step in steps if step.event.kind is EventKind.FENCE}
    lines = enumerate(without_comments((tree / file).read_text()).splitlines(), 1)
    left = [line.strip() for number, line in lines if BARRIER.search(line) and f"{file}:{number}" not in tested]
    assert left == OUTSIDE[file]
