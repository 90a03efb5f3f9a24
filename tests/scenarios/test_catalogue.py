# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios by name: each builds, has a hazard, and states its bounds."""

from __future__ import annotations

import re

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.properties import PROBES
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.catalogue import catalogue
from pfncache.scenarios.generated import absent, pairs, singles
from pfncache.scenarios.scenario import describe
from pfncache.scenarios.space.arrays import covering
from pfncache.scenarios.window import WINDOW_MEMORY
from pfncache.scenarios.world import MemoryKind

KERNEL = mainline_7_3.kernel(*PROBES)


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in (*catalogue(), *singles(), *absent(), *pairs(), *covering())]
    assert len(names) == len(set(names)) == len(SCENARIOS)
    assert list(SCENARIOS)[: len(DEFAULT_SCENARIOS)] == list(DEFAULT_SCENARIOS)


@pytest.mark.parametrize("name", DEFAULT_SCENARIOS)
def test_builds_on_mainline(name: str) -> None:
    scenario = SCENARIOS[name]
    system = scenario.build(KERNEL)
    names = [actor.name for actor in system.actors]
    assert 1 <= len(names) == len(set(names)) <= 3
    assert all(actor.calls for actor in system.actors)
    assert type(system.kernel) is KERNEL
    assert system.at_end is not None
    assert str(system.at_end) == "trace_quiescent(kvm)"


def test_pairs_build_on_mainline() -> None:
    for scenario in pairs():
        assert len(scenario.build(KERNEL).actors) == 3, scenario.name


def test_each_has_a_hazard() -> None:
    for name, scenario in SCENARIOS.items():
        assert re.fullmatch(r"[a-z]+(/[a-z+-]+)+(/[a-z0-9=,-]+)?", name)
        assert re.fullmatch(r"[^\n]+", scenario.hazard), name
        assert scenario.memory in ("", WINDOW_MEMORY, *MemoryKind), name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clock/anon/munmap", "vcpu: clock_update x2 | munmap; 3 pages"),
        ("clock/gmem/close", "vcpu: clock_update x2 | close; 3 pages"),
        (
            "clock/gmem-mmap/slot-replace",
            "vcpu: clock_update x2 | slot-replace: set_memory_region mmap_pgoff set_memory_region; 3 pages",
        ),
        (
            "pairs/anon/touch+touch",
            "vcpu: clock_update | touch: do_user_addr_fault | touch': do_user_addr_fault; 3 pages",
        ),
        ("xen/timer-on-vcpu", "vcpu: timer_injection | timer: timer_irq | madvise: madvise_dontneed; 3 pages"),
        ("gmem/recreate-then-close", "vcpu: clock_update x2 | vmm: set_memory_region x2 close; 4 pages"),
    ],
)
def test_bounds_in_a_line(name: str, text: str) -> None:
    assert describe(SCENARIOS[name].build(KERNEL)) == text


def test_a_closed_file_is_released_where_its_last_reference_is_dropped() -> None:
    vcpu, close = SCENARIOS["clock/gmem/close"].build(KERNEL).actors
    assert [str(call) for call in close.calls] == ["filp_close(gmem0)", "task_work_run(gmem0)"]
    assert [call.function.__name__ for call in vcpu.calls] == ["run_clock_update", "task_work_run"] * 2


def test_an_interrupt_borrows_a_cpu() -> None:
    _, timer, _ = SCENARIOS["xen/timer-on-vcpu"].build(KERNEL).actors
    assert timer.interrupts == "vcpu"
    assert timer.task.__dict__["mm"] is None
