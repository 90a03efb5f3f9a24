# SPDX-License-Identifier: GPL-2.0-only
"""Walks: the steps that are possible, and the search for a run."""

from __future__ import annotations

from functools import cache

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.review.explorer.walker import NO_VIOLATION, Walker, WalkError
from pfncache.scenarios import SCENARIOS
from pfncache.verify.trace import Schedule


@cache
def walker() -> Walker:
    return Walker(DESIGNS["list-outside-refresh-lock"], SCENARIOS["gpc/activate-twice"])


def walked(steps: int, cpu: int) -> Schedule:
    return Schedule(steps=((cpu, 0),) * steps)


def test_at_the_start_each_cpu_can_go_on() -> None:
    steps, ended = walker().possible(Schedule(steps=()))
    assert [(step.cpu, step.function, step.note) for step in steps] == [
        (0, "activate_cache", "scenarios/users.py:17"), (1, "activate_cache", "scenarios/users.py:17"),
    ]  # fmt: skip
    assert ended == ""


def test_a_cpu_that_is_done_or_waits_cannot_go_on() -> None:
    schedule = Schedule(steps=())
    cpus = []
    while steps := walker().possible(schedule)[0]:
        cpus.append([step.cpu for step in steps])
        schedule = Schedule(steps=(*schedule.steps, (steps[0].cpu, steps[0].outcome)))
    assert cpus[0] == [0, 1] and cpus[-1] == [1]
    assert walker().possible(schedule) == ([], "Every CPU is done.")
    assert walker().run(schedule).message == NO_VIOLATION


def test_the_run_to_a_property_is_a_violation_behind_which_is_nothing() -> None:
    found = walker().find("list-corruption")
    assert found.finding is not None and found.schedule is not None
    assert found.finding.message == "vcpu.pv_time.list is added twice to kvm.gpc_list"
    assert found.note == "a shortest run that violates list-corruption"
    assert walker().possible(found.schedule) == ([], "The run ends here: its last step violates a property.")
    with pytest.raises(WalkError, match=r"^step \d+ is not possible: CPU1 cannot go on there$"):
        walker().run(Schedule(steps=(*found.schedule.steps, (1, 0))))


def test_the_run_to_a_line_ends_there() -> None:
    found = walker().find("pfncache.py:396")
    assert found.finding is not None and found.finding.recording is not None
    last = found.finding.recording.steps[-1]
    assert (last.call.file, last.call.line) == ("virt/kvm/pfncache.py", 396)
    assert all(step.call.line != 396 for step in found.finding.recording.steps[:-1])


def test_that_there_is_no_run_is_said_with_what_was_searched() -> None:
    found = walker().find("deadlock")
    assert found.finding is None
    assert found.note.startswith("no run violates deadlock: every interleaving was searched, ")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("use-after-fre", "no property 'use-after-fre'; nearest: use-after-free, "),
        ("", "no property ''"),
        (
            "nofile.py:3",
            "no step of gpc/activate-twice is in a file 'nofile.py'; a line is FILE:LINE, as pfncache.py:85",
        ),
        ("pfncache.py:1", "no step is at pfncache.py:1; the nearest lines with one: "),
    ],
)
def test_what_is_neither_property_nor_line_is_one_clear_line(what: str, message: str) -> None:
    with pytest.raises(WalkError) as raised:
        walker().find(what)
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Schedule(steps=((7, 0),)), "there is no CPU7; the last is CPU1"),
        (Schedule(steps=((0, 9),)), "step 1 is not possible: CPU0 cannot go on there"),
        (walked(6_000, 0), "a walk has at most 5,000 preemption points, not 6,000"),
    ],
)
def test_a_schedule_that_is_none_is_one_clear_line(schedule: Schedule, message: str) -> None:
    with pytest.raises(WalkError) as raised:
        walker().possible(schedule)
    assert str(raised.value) == message
