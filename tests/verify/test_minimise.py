# SPDX-License-Identifier: GPL-2.0-only
"""Violations in the smallest world that shows them."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3, no_direct_map, rfc_v4_on_7_3
from pfncache.designs.design import Design
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.space.arrays import covering
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.verify.job import Job
from pfncache.verify.minimise import Minimiser
from pfncache.verify.minimised import Minimised
from pfncache.verify.runner import run
from tests.scenarios.space.test_faults import FAULTS, STATES


def minimised(design: Design, base: Design | None, name: str, kind: str) -> Minimised:
    scenario = SCENARIOS[name] if name in SCENARIOS else scenario_of(point_named(name))
    job = Job(design, scenario, STATES)
    violation = next(v for v in run(job).violations if v.property == kind)
    return Minimiser(job=job, violation=violation, base=base).run()


def test_what_is_not_needed_is_left_out() -> None:
    """The guest moves its clock to another memslot of the same user address; nothing has to run beside that."""
    name = "space/gmem-unmapped/clock+allocate/memslots=same-address,start=elsewhere,updates=2"
    found = minimised(rfc_v4_on_7_3, no_direct_map, name, "stale-translation")
    assert found.scenario == "space/gmem-unmapped/clock+allocate/memslots=same-address,start=elsewhere"
    assert found.needed == {
        "memory": "gmem-unmapped", "operation": "allocate", "memslots": "same-address", "start": "elsewhere",
    }  # fmt: skip
    assert found.left_out == ("allocate does nothing",)
    assert found.outcome.bounds == "user: set_msr_system_time clock_update; 3 pages"
    assert found.violation.trace is not None
    assert {row.actor for row in found.violation.trace.rows} == {"user"}
    assert found.note == (f"minimised, from {name}; {found.searches} smaller worlds searched; allocate does nothing")


def test_a_scenario_of_the_catalogue_has_shorter_ones() -> None:
    found = minimised(mainline_7_3, None, "xen/process-exit", "stale-translation")
    assert (found.scenario, found.needed) == ("xen/process-exit", {})
    assert found.left_out == ()


def test_what_waits_needs_who_would_wake_it() -> None:
    """Of a deadlock, no actor is left out: it might be the one that ends the wait."""
    found = minimised(mainline_7_3, None, "gmem/failure-and-punch", "deadlock")
    assert (found.left_out, found.searches) == ((), 0)
    assert found.note == "minimised, as it was found; 0 smaller worlds searched"


def test_a_violation_that_is_not_there_is_refused() -> None:
    found = minimised(mainline_7_3, None, "gmem/failure-and-punch", "deadlock")
    job = Job(mainline_7_3, "clock/anon/munmap", STATES)
    with pytest.raises(ValueError, match=r"mainline-7.3 does not violate deadlock in clock/anon/munmap"):
        Minimiser(job=job, violation=found.violation).run()


SMALLEST = {
    "the series takes another memslot of the same user address for the same page": "start=elsewhere",
    "the retry test comes too early": "space/anon/cache+munmap/start=page-gone",
    "the range is that of the first memslot": "memslots=same-address,position=second",
    "the range is that of the last memslot": "memslots=",
    "the offset of the memslot in its file is forgotten": "binding=offset",
}
"""How the name of the smallest world ends, or what it has."""


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "design", "base", "may_show", "kind"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_faults_are_located(fault: str, design: Design, base: Design, may_show: object, kind: str) -> None:
    """From the point of the array with the longest name that shows it."""
    assert callable(may_show)
    some = sorted((s for s in covering() if base.has(s.memory) and may_show(s)), key=lambda s: -len(s.name))
    name = next(s.name for s in some if kind in run(Job(design, s, STATES)).properties)
    found = minimised(design, base, name, kind)
    assert SMALLEST[fault] in found.scenario
    assert len(found.needed) < len(point_named(name).chosen)
    assert kind not in run(Job(base, scenario_of(point_named(found.scenario)), STATES)).properties
