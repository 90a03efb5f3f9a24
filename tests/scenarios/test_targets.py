# SPDX-License-Identifier: GPL-2.0-only
"""What the scenarios have to reach: from their operations, and what they state."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS, mainline_7_3, no_direct_map
from pfncache.designs.design import Design
from pfncache.properties import PROBES
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run, run_jobs

KERNEL = mainline_7_3.kernel(*PROBES)
MAX_STATES = 20_000_000
PARTS = 4
QUICK = (
    "xen/halt", "gpc/refresh-twice", "slots/read-only", "gmem/no-memory", "gmem/toggle-flag", "gmem/split-brain",
    "gmem/recreate-then-close", "clock/anon/munmap", "clock/gmem-ndm/walk", "clock/gmem-unmapped/punch",
    "clock/gmem/punch", "clock/gmem-coco/munmap",
)  # fmt: skip
"""Scenarios of some hundred states that state targets, or cannot reach some."""


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        (
            "clock/anon/munmap",
            ("vcpu: run_clock_update() succeeded", "munmap: vm_munmap() succeeded", "the clock was written"),
        ),
        (
            "clock/anon/slot-replace",
            (
                "vcpu: run_clock_update() succeeded",
                "slot-replace: set_memory_region() succeeded",
                "slot-replace: set_memory_region() #2 succeeded",
                "the clock was written",
            ),
        ),
        (
            "gmem/guest-faults",
            (
                "guest: run_guest_access() succeeded",
                "punch: kvm_gmem_punch_hole() succeeded",
                "allocate: kvm_gmem_allocate() succeeded",
                "guest memory was mapped",
            ),
        ),
    ],
)
def test_targets_of_operations(name: str, targets: tuple[str, ...]) -> None:
    system = SCENARIOS[name].build(KERNEL)
    assert system.targets == targets
    assert system.unreachable == {}


def test_a_deferred_set_up_has_none() -> None:
    assert SCENARIOS["clock/anon/munmap"].build(KERNEL, defer_setup=True).targets == ()


@scenario
def stated(w: World) -> None:
    """A scenario with a target of its own, and a reason for one that it does not reach."""
    w.reaches("guest memory was mapped").cannot_reach("touch: do_user_addr_fault() succeeded", "it is a test")
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


def test_a_scenario_states_targets() -> None:
    system = stated.build(KERNEL)
    assert system.targets == ("touch: do_user_addr_fault() succeeded", "guest memory was mapped")
    assert system.unreachable == {"touch: do_user_addr_fault() succeeded": "it is a test"}
    outcome = run(Job(mainline_7_3, stated, MAX_STATES))
    assert (outcome.verdict, outcome.reason) == ("vacuous", "guest memory was never mapped")


@pytest.mark.parametrize("text", [3, "word", "two\nlines"])
def test_a_target_is_a_sentence(text: object) -> None:
    with pytest.raises(TypeError, match="a target is a sentence such as 'the clock was written', not"):
        World(KERNEL).reaches(text)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a target and its reason are sentences of one line, not"):
        World(KERNEL).cannot_reach("the clock was written", text)  # type: ignore[arg-type]


def mainline(name: str) -> Design:
    """Return mainline, with NO_DIRECT_MAP or a window where the scenario's memory needs it."""
    designs = (mainline_7_3, no_direct_map, DESIGNS["window"])
    return next(design for design in designs if design.has(SCENARIOS[name].memory))


def require_reach(outcome: Outcome) -> None:
    """Mainline reaches what a scenario is there to reach, and nothing that it is said not to reach."""
    assert outcome.verdict in (Verdict.HOLDS, Verdict.VIOLATED), (outcome.scenario, outcome.reason)
    marked = [r.target for r in outcome.targets if r.unreachable and r.required and r.reached]
    assert (outcome.scenario, marked) == (outcome.scenario, [])
    known = {result.target for result in outcome.targets}
    assert SCENARIOS[outcome.scenario].build(KERNEL).unreachable.keys() <= known


@pytest.mark.parametrize("name", QUICK)
def test_reach_on_mainline(name: str) -> None:
    require_reach(run(Job(mainline(name), name, MAX_STATES)))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_reach_of_the_whole_catalogue(part: int) -> None:
    jobs = [Job(mainline(name), name, MAX_STATES) for name in list(DEFAULT_SCENARIOS)[part::PARTS]]
    for _, outcome in run_jobs(jobs, 1):
        require_reach(outcome)
