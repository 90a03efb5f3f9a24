# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios on the C of 7.3.4, and on patches of it."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import read
from pfncache.litmus.generated.result import GeneratedVerdict, ScenarioResult
from pfncache.litmus.generated.session import GeneratedSession, KernelC
from pfncache.litmus.source import KernelSource
from pfncache.scenarios import SCENARIOS
from pfncache.series.step import BaseKernel
from pfncache.series.trees import tree_at, with_series
from tests.csource.edits import Change, Edit, drop, mail, place, substitute
from tests.csource.kvm.trees import source
from tests.litmus.trees import model

ORDERED, NEEDS_BARRIER = GeneratedVerdict.ORDERED, GeneratedVerdict.NEEDS_BARRIER


@cache
def base() -> BaseKernel:
    """The C of 7.3.4, translated."""
    return BaseKernel(tree_at(source("7.3.4"), "7.3.4"))


def asked(name: str, tmp_path: Path, *changes: Change) -> ScenarioResult:
    """What is said of a scenario on a kernel with changes."""
    tree = source("7.3.4")
    patches = read(mail(tree, tmp_path, list(changes))) if changes else []
    started = base()
    changed = with_series(started.tree, patches) if changes else started.tree
    design = started.step(changed, "patched", "").design if changes else started.design
    with KernelSource(tree, patches) as text:
        kernel = KernelC(words="", design=design, tree=changed.path, source=text)
        session = GeneratedSession.plan([SCENARIOS[name]], kernel, model())
        session.run()
    return session.results[0]


def verdicts(result: ScenarioResult) -> dict[str, int]:
    return dict(Counter(str(cycle.verdict) for cycle in result.cycles))


def races(result: ScenarioResult) -> list[str]:
    """The data races: member and lines."""
    found = []
    for race in result.races:
        if race.verdict is GeneratedVerdict.DATA_RACE:
            one, other = sorted(race.places, key=lambda p: p.kind)
            member = one.variable.rpartition(".")[2]
            found.append(f"{member}: {one.frame.function}() {other.frame.function}()")
    return sorted(set(found))


def test_memslots_are_ordered_and_their_generation_races(tmp_path: Path) -> None:
    result = asked("slots/move", tmp_path)
    assert (result.error, result.left_out) == ("", 0)
    assert verdicts(result) == {"ordered": 7}
    assert races(result) == [
        "generation: __kvm_gpc_refresh() kvm_swap_active_memslots()",
        "generation: kvm_gpc_check() kvm_swap_active_memslots()",
    ]
    assert result.verdict is GeneratedVerdict.DATA_RACE


@pytest.mark.slow
def test_a_set_of_memslots_that_is_not_released_needs_a_barrier(tmp_path: Path) -> None:
    edit = substitute(
        r"rcu_assign_pointer\((kvm->memslots\[as_id\]), slots\);", "WRITE_ONCE(kvm->memslots[as_id], slots);"
    )
    result = asked("slots/move", tmp_path, Change("virt/kvm/kvm_main.c", "kvm_swap_active_memslots", edit))
    needed = {barrier for cycle in result.cycles for barrier in cycle.barriers}
    assert result.verdict is NEEDS_BARRIER
    assert any(
        one.startswith("smp_wmb() in kvm_swap_active_memslots() between virt/kvm/kvm_main.c:16") for one in needed
    )
    assert not any("rmb" in one or "smp_mb" in one for one in needed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "function", "needed"),
    [
        (drop(place("smp_rmb")), "mmu_notifier_retry_cache", "smp_rmb() in mmu_notifier_retry_cache()"),
        (drop(place("smp_rmb")), "hva_to_pfn_retry", ""),
    ],
)
def test_the_count_and_the_sequence(tmp_path: Path, edit: Edit, function: str, needed: str) -> None:
    result = asked("clock/anon/dontneed", tmp_path, Change("virt/kvm/pfncache.c", function, edit))
    found = {barrier for cycle in result.cycles for barrier in cycle.barriers}
    assert any(one.startswith(needed) for one in found) if needed else not found
