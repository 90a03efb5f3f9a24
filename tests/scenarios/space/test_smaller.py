# SPDX-License-Identifier: GPL-2.0-only
"""Smaller points of the space, and shorter scenarios."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.shorter import operations_of, shorter
from pfncache.scenarios.space.names import point_named
from pfncache.scenarios.space.smaller import smaller
from pfncache.verify.systems import make_system


def below(name: str) -> list[str]:
    return [point.name.removeprefix("space/") for point in smaller(point_named(name))]


def test_below_what_is_usual_there_is_nothing() -> None:
    assert below("space/anon/clock+munmap") == []


def test_one_value_is_smaller_or_two_are_usual() -> None:
    assert below("space/anon/cache+munmap/pages=3,place=last-page,updates=2") == [
        "anon/cache+munmap/pages=2,place=last-page,updates=2",
        "anon/cache+munmap/pages=3,updates=2",
        "anon/cache+munmap/pages=3,place=last-page",
        "anon/clock+munmap/pages=3,place=last-page,updates=2",
        "anon/cache+munmap/updates=2",
        "anon/cache+munmap/pages=3",
        "anon/clock+munmap/pages=3,updates=2",
        "anon/clock+munmap/pages=3,place=last-page",
    ]


def test_what_the_constraints_forbid_is_no_smaller_point() -> None:
    """Of one page, two memslots cannot overlap, and guest_memfd is not unmapped by munmap() alone."""
    assert below("space/gmem-unmapped/clock+punch/memslots=overlapping,pages=2") == [
        "gmem-unmapped/clock+punch/pages=2",
        "gmem-unmapped/clock+punch/memslots=adjacent,pages=2",
        "gmem-unmapped/clock+punch/memslots=same-address,pages=2",
        "gmem-unmapped/clock+punch",
        "anon/clock+munmap/memslots=overlapping,pages=2",
    ]


def cut_systems(name: str) -> list[dict[str, int]]:
    whole = SCENARIOS[name]
    system = make_system(mainline_7_3, whole)
    found: list[dict[str, int]] = []
    for scenario, operations in shorter(whole, system, operations_of(system)):
        assert _made(operations) == _made(operations_of(make_system(mainline_7_3, scenario)))
        found.append(operations)
    return found


def _made(operations: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in operations.items() if count}


def test_an_actor_is_missing_or_ends_early() -> None:
    assert cut_systems("fork/clock-and-child") == [
        {"vcpu": 0, "vmm": 2, "child": 2},
        {"vcpu": 1, "vmm": 0, "child": 2},
        {"vcpu": 1, "vmm": 2, "child": 0},
        {"vcpu": 1, "vmm": 1, "child": 2},
        {"vcpu": 1, "vmm": 2, "child": 1},
    ]


def test_who_is_interrupted_stays() -> None:
    assert cut_systems("xen/irq-on-this-cpu") == [{"sender": 1, "timer": 0}]


def test_a_return_to_user_space_belongs_to_its_operation() -> None:
    whole = SCENARIOS["gmem/dying-file"]
    system: System = make_system(mainline_7_3, whole)
    assert any(call.function.__name__ == "task_work_run" for actor in system.actors for call in actor.calls)
    assert sum(operations_of(system).values()) == sum(
        call.function.__name__ != "task_work_run" for actor in system.actors for call in actor.calls
    )
