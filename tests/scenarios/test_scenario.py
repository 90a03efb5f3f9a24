# SPDX-License-Identifier: GPL-2.0-only
"""The decorator: names, hazards, and the world that a function gets."""

from __future__ import annotations

import pytest

from pfncache.check.system import Call
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios.scenario import describe, scenario
from pfncache.scenarios.world import MemoryKind, World

KERNEL = mainline_7_3.kernel()


@scenario
def plain_name(w: World) -> None:
    """What could go wrong.

    And more about it.
    """
    w.clock_on()
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario("given", "a hazard", memory=MemoryKind.GMEM_UNMAPPED, pages=5, slots=2, files=2)
def other(w: World) -> None:
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.files[1], 0, 1))


def no_operation(nothing: tuple[()]) -> None:
    """Do nothing."""


@scenario()
def silent(w: World) -> None:
    w.actor("user", w.call(no_operation, ()))


def test_names_and_hazards() -> None:
    assert (plain_name.name, plain_name.hazard) == ("test-scenario/plain-name", "What could go wrong.")
    assert (other.name, other.hazard) == ("test-scenario/given", "a hazard")
    assert (silent.name, silent.hazard) == ("test-scenario/silent",) * 2
    assert [s.memory for s in (plain_name, other, silent)] == ["anon", "gmem-unmapped", "anon"]


def test_the_world_has_the_options() -> None:
    system = other.build(KERNEL)
    assert describe(system) == "punch: punch_hole; 5 pages"
    assert len(system.kernel.gmem_files) >= 2


def test_the_set_up_is_run_or_deferred() -> None:
    ran, deferred = plain_name.build(KERNEL), plain_name.build(KERNEL, defer_setup=True)
    assert [actor.name for actor in ran.actors] == ["touch"]
    assert [actor.name for actor in deferred.actors] == ["setup"]
    assert len(deferred.actors[0].calls) == 4


def test_a_function_that_is_not_the_kernels() -> None:
    assert silent.build(KERNEL).actors[0].calls == (Call(no_operation, ((),), "user: no_operation() succeeded"),)


def test_mistakes_name_the_nearest() -> None:
    with pytest.raises(TypeError, match="a world has no option 'slot'; nearest: slots"):
        scenario(slot=2)  # type: ignore[call-overload]
    world = World(KERNEL)
    with pytest.raises(AttributeError, match="the kernel has no function 'sys_mumap'; nearest: vm_munmap"):
        world.call("sys_mumap")
