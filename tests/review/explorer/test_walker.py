# SPDX-License-Identifier: GPL-2.0-only
"""Walks: the steps that are possible, and the search for a run."""

from __future__ import annotations

from dataclasses import replace
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
        (0, "activate_cache", "scenarios/users.py:21"), (1, "activate_cache", "scenarios/users.py:21"),
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


def test_a_cpu_runs_on_until_it_has_to_choose_and_then_to_its_end() -> None:
    schedule = walker().run_on(Schedule(steps=((0, 0),)), 0)
    steps, _ = walker().possible(schedule)
    assert [(step.cpu, step.function) for step in steps[:3]] == [(0, "do_anonymous_page")] * 3
    assert [step.note.rpartition(", ")[2] for step in steps[:3]] == [f"outcome {n} of 3" for n in (1, 2, 3)]
    done = walker().run_on(Schedule(steps=(*schedule.steps, (0, 2))), 0)
    assert {cpu for cpu, _ in done.steps} == {0}
    assert [step.cpu for step in walker().possible(done)[0]] == [1]


def test_a_cpu_runs_on_until_it_waits_and_not_behind_a_violation() -> None:
    """Line 396 is below gpc_lock, for which the other CPU waits."""
    locked = walker().find("pfncache.py:396").schedule
    failed = walker().find("list-corruption").schedule
    assert locked is not None and failed is not None
    holder = locked.steps[-1][0]
    waiting = walker().run_on(replace(locked, steps=locked.steps[:-1]), 1 - holder)
    assert [(step.cpu, step.note) for step in walker().possible(waiting)[0]] == [(holder, "virt/kvm/pfncache.py:396")]
    assert walker().run_on(waiting, 1 - holder) == waiting
    assert walker().run_on(failed, 0) == failed


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
