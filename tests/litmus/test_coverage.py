# SPDX-License-Identifier: GPL-2.0-only
"""Every barrier and mark of the files that our tests are about is in a test, or in a table of docs with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from pfncache.csource.lexer import without_comments
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.event import EventKind
from pfncache.litmus.fit import fit
from pfncache.litmus.primitives import ACCESS_MACROS
from pfncache.litmus.source import KernelSource, NoSuchFunction
from tests.csource.kvm.trees import source
from tools.console import ROOT

PAGE = ROOT / "docs" / "results" / "litmus.md"
BARRIER = re.compile(r"\b((?:smp|virt)_(?:(?:r|w)?mb(?:__\w+)?|store_mb))\(")
MARKS = (
    "READ_ONCE", "WRITE_ONCE", "smp_load_acquire", "smp_store_release", "rcu_dereference", "srcu_dereference",
    "srcu_dereference_check", "rcu_assign_pointer",
)  # fmt: skip
MARK = re.compile(rf"\b({'|'.join(MARKS)})\(\s*([^,;()]*)")
FILES = (
    "virt/kvm/pfncache.c",
    "virt/kvm/guest_memfd.c",
    "virt/kvm/kvm_main.c",
    "arch/x86/kvm/xen.c",
    "include/linux/kvm_host.h",
)


def rows_of_page() -> set[str]:
    """The rows of the table of barriers and marks that no test has: file, function, and what is there."""
    section = PAGE.read_text().split("## Barriers and marks without a test")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \| [^|]{4,} \|$", section, re.M)
    return {" ".join(row) for row in rows}


def member(place: str) -> str:
    """The last member that a place names."""
    words = re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^]]*\]", "", place))
    return words[-1] if words else ""


def untested(file: str) -> Iterator[str]:
    """The barriers and marks of a file that no test has."""
    tree = source("7.3.4")
    kernel = KernelSource(tree)
    steps = [step for test in LITMUS_TESTS.values() for thread in fit(test, kernel).threads for step in thread]
    fences = {step.event.place for step in steps if step.event.kind is EventKind.FENCE}
    marks = {step.event.place for step in steps if step.event.is_access}
    for number, line in enumerate(without_comments((tree / file).read_text()).splitlines(), 1):
        place = f"{file}:{number}"
        found = [name for name in BARRIER.findall(line) if place not in fences]
        if place not in marks:
            found += [f"{name}({member(what)})" for name, what in MARK.findall(line)]
        for one in found:
            try:
                yield f"{file} {kernel.function_at(file, number).name}() {one}"
            except NoSuchFunction:
                yield f"{file} - {one}"


@pytest.mark.parametrize("file", FILES)
def test_every_barrier_and_mark_has_a_test_or_a_row(file: str) -> None:
    assert set(untested(file)) == {row for row in rows_of_page() if row.startswith(f"{file} ")}


def test_marks_are_known_to_the_walk() -> None:
    assert set(MARKS) <= set(ACCESS_MACROS)
