# SPDX-License-Identifier: GPL-2.0-only
"""SPIN finds the states and the transitions that we find, and the same verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.spin import BREADTH_FIRST, EXACT, PLAIN, Spin, missing
from pfncache.check.engine.bfs import Control
from pfncache.check.export.promela.model import to_promela
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.export import EXPORTED
from pfncache.verify.systems import make_system
from tests.check import toys
from tests.designs.test_catalogue import TABLE as CATALOGUE

needs_spin = pytest.mark.skipif(bool(missing()), reason=missing())

SCENARIOS = [
    ("mainline-7.3", "clock/anon/munmap"),
    ("mainline-7.3", "clock/anon/migrate"),
    ("no-direct-map", "clock/gmem-ndm/punch"),
    ("mainline-7.3", "gpc/refresh-twice"),
    ("mainline-7.3", "gpc/activate-deactivate"),
    ("mainline-7.3", "xen/irq-user"),
    ("mainline-7.3", "xen/expired-timer"),
    ("mainline-7.3", "slots/dirty-logging"),
    ("rfc-v4", "clock/gmem-mmap/allocate"),
    ("rfc-v4-fixed", "clock/gmem-unmapped/punch"),
    ("rfc-v4-fixed", "clock/gmem/make-shared"),
    ("uaccess-clock", "clock/anon/dontneed"),
    ("mainline-7.3", "livelock/clock-and-munmap"),
    ("range-filter", "livelock/unrelated-page"),
]


def test_text() -> None:
    """A place for each step, its guard before the arrow, registers that live on in l0, and nothing left behind."""
    search, _ = toys.whole(toys.system(toys.increment, toys.set_flag))
    assert to_promela(search, "two actors").replace("\t", "    ") == TEXT


TEXT = """\
/* two actors */
unsigned ended : 2;

active proctype a0() {
    unsigned box_count : 3 = 1;
    unsigned l0 : 3;
L0:    if /* increment(): shared.count += 1 */
    :: d_step { true ->
            l0 = box_count;
        }; goto L3
    fi;
L3:    if /* increment(): shared.count += 1 */
    :: d_step { true ->
            box_count = (l0 + 1);
            l0 = 0;
            ended = ended + 1;
        }; goto end_
    fi;
end_: false
}

active proctype a1() {
    bit box_flag;
L0:    if /* set_flag(): shared.flag = True */
    :: d_step { true ->
            box_flag = 1;
            ended = ended + 1;
        }; goto end_
    fi;
end_: false
}
"""


@needs_spin
@pytest.mark.parametrize(
    ("functions", "error"),
    [
        ((toys.increment, toys.increment), ""),
        ((toys.increment_locked, toys.increment_locked), ""),
        ((toys.roll,), ""),
        ((toys.arithmetic, toys.through_generator), ""),
        ((toys.first_then_other, toys.other_then_first), "invalid end state"),
        ((toys.allocate, toys.use, toys.free), "assertion violated 0"),
        ((toys.roll, toys.index_by_count), "assertion violated 0"),
    ],
)
def test_small_systems(functions: tuple[Callable[..., Any], ...], error: str, tmp_path: Path) -> None:
    search, result = toys.whole(toys.system(*functions))
    spin = Spin(to_promela(search, "toy"), tmp_path)
    found = spin.run(spin.build(*BREADTH_FIRST))
    assert found.error == error
    if not error:
        assert (found.states, result.verdict) == (result.states, "holds")


@needs_spin
def test_at_end(tmp_path: Path) -> None:
    """What is asked when all have ended is asked by SPIN too."""
    search, result = toys.whole(toys.system(toys.increment, toys.increment, at_end=toys.count_is_two))
    spin = Spin(to_promela(search, "toy"), tmp_path)
    assert (spin.run(spin.build(*PLAIN)).error, result.property) == ("assertion violated 0", "lost")


@needs_spin
def test_what_the_check_at_the_end_leaves_is_no_state(tmp_path: Path) -> None:
    """It increments the count that it looks at: SPIN stores the state behind it, which our search does not have."""
    search, result = toys.whole(toys.system(toys.increment, toys.increment, at_end=toys.increment))
    spin = Spin(to_promela(search, "toy"), tmp_path)
    found = spin.run(spin.build(*PLAIN))
    assert (found.errors, found.states, result.verdict) == (0, result.states, "holds")


def test_scratch_variables_are_shared(tmp_path: Path) -> None:
    """The results of the two choices are never needed at the same time: one variable is enough for SPIN's state."""
    search, result = toys.whole(toys.system(toys.increment, toys.set_flag, at_end=toys.choose_twice))
    model = to_promela(search, "toy")
    assert [line for line in model.splitlines() if line.startswith("short ")] == ["short t0;"]
    assert [line for line in model.splitlines() if line.startswith("unsigned s")] == [
        "unsigned s0 : 3;",
        "unsigned s1 : 3;",
    ]
    if not missing():
        spin = Spin(model, tmp_path)
        found = spin.run(spin.build(*PLAIN))
        assert (found.errors, found.states, result.verdict) == (0, result.states, "holds")


@needs_spin
def test_interrupt(tmp_path: Path) -> None:
    search, result = toys.whole(toys.system(toys.increment, toys.increment, interrupts=True))
    spin = Spin(to_promela(search, "toy"), tmp_path)
    assert spin.run(spin.build(*PLAIN)).states == result.states


@needs_spin
@pytest.mark.parametrize("functions", [(toys.increment, toys.blink), (toys.increment, toys.bump)])
def test_endless_actor(functions: tuple[Callable[..., Any], ...], tmp_path: Path) -> None:
    """Its process is a loop, and its sequence wraps where ours does."""
    search, result = toys.whole(toys.system(*functions, endless=(1,)))
    spin = Spin(to_promela(search, "toy"), tmp_path)
    found = spin.run(spin.build(*BREADTH_FIRST))
    assert (found.error, found.states, found.transitions) == ("", result.states, result.transitions + 1)


SMALL = 500
"""States of a scenario of the catalogue, as searched with reductions, that SPIN is asked about."""
REFUSED = {"fork/clock-left-out", "fork/dontfork"}
"""SPIN finds that the check at the end of them is too long."""
ASKED = [
    scenario
    for scenario, (verdict, _, states, *_) in json.loads(CATALOGUE.read_text())["mainline-7.3"].items()
    if verdict == "holds" and states <= SMALL and scenario not in REFUSED
]


def test_spin_is_asked_about_a_hundred_scenarios() -> None:
    assert len(ASKED) > 100


@needs_spin
@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.parametrize("scenario", ASKED)
def test_a_scenario_agrees(scenario: str, tmp_path: Path) -> None:
    """Every property in it: the check at the end is what is too long for a d_step."""
    search, result = toys.whole(make_system(DESIGNS["mainline-7.3"], scenario))
    spin = Spin(to_promela(search, scenario), tmp_path, *EXACT)
    found = spin.run(spin.build(*PLAIN))
    assert (result.verdict, found.errors, found.states) == ("holds", 0, result.states)


@needs_spin
@pytest.mark.slow
@pytest.mark.parametrize(("design", "scenario"), SCENARIOS)
def test_states_and_transitions_agree(design: str, scenario: str, tmp_path: Path) -> None:
    search, result = toys.whole(make_system(DESIGNS[design], scenario, EXPORTED))
    assert result.verdict == "holds"
    spin = Spin(to_promela(search, scenario), tmp_path)
    found = spin.run(spin.build(*BREADTH_FIRST))
    assert (found.errors, found.states) == (0, result.states)
    ends = int(search.control[Control.TERMINAL])
    # SPIN counts the initial state as a transition, and the question at each end is a step to itself.
    assert found.transitions == result.transitions + ends + 1
