# SPDX-License-Identifier: GPL-2.0-only
"""Set-up under a design that breaks in it: there is a verdict, or an error of one line."""

from __future__ import annotations

import re

import pytest

from pfncache.check.compile.source import CompileError
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.properties import PROBES
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from pfncache.verify.systems import compile_error, make_system
from tests.verify.conftest import (
    Deadlock,
    DeadlockOnSlot,
    Follow,
    MissingName,
    Recurse,
    Spin,
    SpinAtOnce,
    SpinOnNothing,
    SplatOnSlot,
    Unlock,
)

SCENARIO = "clock/anon/munmap"


def test_a_sound_design_is_set_up() -> None:
    system = make_system(mainline_7_3, SCENARIO)
    assert [actor.name for actor in system.actors] == ["vcpu", "munmap"]
    assert type(system.kernel) is mainline_7_3.kernel(*PROBES)
    vcpu = system.actors[0].calls[0].args[0]
    assert vcpu.pv_time.valid


@pytest.mark.parametrize("patch", [Deadlock, Unlock, Follow, Spin])
def test_a_design_that_breaks_in_set_up_has_it_for_an_actor(patch: type[Patch]) -> None:
    system = make_system(mainline_7_3 + [patch], SCENARIO)
    (setup,) = system.actors
    assert (setup.name, [call.function.__name__ for call in setup.calls]) == (
        "setup",
        [
            "vm_mmap_pgoff", "set_memory_region", "set_msr_system_time", "run_clock_update",
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        (Deadlock, "deadlock"),
        (Unlock, "lock-imbalance"),
        (Follow, "null-dereference"),
        (Spin, "livelock"),
        (DeadlockOnSlot, "deadlock"),
        (SplatOnSlot, "lock-imbalance"),
    ],
)
def test_and_a_verdict(patch: type[Patch], kind: str) -> None:
    outcome = run(Job(mainline_7_3 + [patch], SCENARIO, 10_000))
    assert (outcome.verdict, outcome.property) == ("violated", kind)
    assert outcome.bounds == "setup: mmap_pgoff set_memory_region set_msr_system_time clock_update; 3 pages"
    assert outcome.trace is not None
    assert {row.actor for row in outcome.trace.rows} <= {"setup"}


@pytest.mark.parametrize("patch", [SpinOnNothing, SpinAtOnce])
def test_a_loop_that_touches_nothing_is_ended(patch: type[Patch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfncache.verify.systems.SETUP_SECONDS", 0.2)
    outcome = run(Job(mainline_7_3 + [patch], SCENARIO, 10_000))
    assert (outcome.verdict, outcome.property) == ("violated", "livelock")
    assert "setup loops forever" in outcome.reason


def test_recursion_is_refused_where_it_is_written() -> None:
    with pytest.raises(CompileError) as error:
        run(Job(mainline_7_3 + [Recurse], SCENARIO, 10_000))
    assert re.match(r"conftest\.py:\d+: .*recurs", compile_error(error.value))


def test_what_the_language_lacks_is_reported_in_a_line() -> None:
    with pytest.raises(CompileError) as error:
        run(Job(mainline_7_3 + [MissingName], SCENARIO, 10_000))
    assert re.match(r"conftest\.py:\d+: Kvm has no scalar 'no_such_member'; its scalars: ", compile_error(error.value))


def test_a_patch_of_pfncache_keeps_the_scenarios_memory() -> None:
    class Same(Patch, Pfncache):
        """Nothing."""

    system = make_system(mainline_7_3 + [Same], "clock/gmem-mmap/punch")
    assert [actor.name for actor in system.actors] == ["vcpu", "punch"]
