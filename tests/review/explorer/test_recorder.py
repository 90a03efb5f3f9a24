# SPDX-License-Identifier: GPL-2.0-only
"""Recordings: every step of an interleaving that a search has found, with the state."""

from __future__ import annotations

from functools import cache

import pytest

from pfncache.check.replay import Divergence
from pfncache.designs.catalogue import DESIGNS
from pfncache.review.explorer.recorder import RecordedRun, record, searchable
from pfncache.review.explorer.recording import Recording
from pfncache.verify.job import Job
from pfncache.verify.outcome import Violation
from pfncache.verify.runner import run
from pfncache.verify.trace import Schedule

DESIGN, SCENARIO = DESIGNS["rfc-v4-on-7.3"], "gmem/unmapped-punch"


@cache
def violation(design: str = DESIGN.name, scenario: str = SCENARIO) -> Violation:
    return run(Job(DESIGNS[design], scenario, 100_000)).violations[0]


@cache
def recorded(design: str = DESIGN.name, scenario: str = SCENARIO) -> RecordedRun:
    found = violation(design, scenario)
    assert found.trace is not None and found.trace.schedule is not None
    return record(searchable(DESIGNS[design], scenario), found.trace.schedule, found.property)


def texts(recording: Recording, matters: bool) -> list[str]:
    return [
        f"CPU{step.cpu} {recording.objects[c.object].name}.{c.member}: {c.old} -> {c.new}"
        for step in recording.steps
        if step.matters is matters
        for c in step.changes
    ]


def test_a_recording_ends_as_the_search_has_found() -> None:
    ending = recorded().ending
    assert ending is not None
    assert (ending.kind, ending.detail) == ("use-after-free", violation().reason)


def test_a_recording_has_more_steps_than_the_trace_and_ends_at_its_line() -> None:
    recording, trace = recorded().recording, violation().trace
    assert trace is not None and len(recording.steps) > 2 * len(trace.rows)
    last = recording.steps[-1]
    assert f"{last.call.file}:{last.call.line}" == trace.rows[-1].source
    assert recording.actors == trace.actors


def test_each_row_of_the_trace_is_a_step() -> None:
    trace = violation().trace
    assert trace is not None
    lines = {(step.cpu, f"{step.call.file}:{step.call.line}") for step in recorded().recording.steps}
    assert {(row.cpu, row.source) for row in trace.rows} <= lines


def test_old_values_are_those_that_the_steps_before_left() -> None:
    recording = recorded().recording
    state = {(n, m): v for n, one in enumerate(recording.objects) for m, v in one.values.items()}
    count = 0
    for step in recording.steps:
        for change in step.changes:
            assert state[change.object, change.member] == change.old
            state[change.object, change.member] = change.new
            count += 1
    assert count > 50


def test_preemption_points_are_counted_to_the_end() -> None:
    trace = violation().trace
    assert trace is not None and trace.schedule is not None
    taken = [step.taken for step in recorded().recording.steps]
    assert taken == sorted(set(taken)) and taken[-1] == len(trace.schedule.steps)


def test_the_slice_has_what_the_race_is_made_of() -> None:
    """The cache was invalidated before the lookup, the page is freed behind it, and the cache becomes valid."""
    recording = recorded().recording
    mattering = texts(recording, matters=True)
    for text in (
        "CPU1 vcpu.pv_time.valid: true -> false",
        "CPU1 kvm.mn_active_invalidate_count: 1 -> 0",
        "CPU0 vcpu.pv_time.valid: false -> true",
        "CPU0 page0.free: false -> true",
    ):
        assert text in mattering
    assert "CPU0 vcpu.clock_update: true -> false" in texts(recording, matters=False)
    assert (len(recording.steps), sum(step.matters for step in recording.steps)) == (118, 19)  # docs/how-to/explore.md


def test_values_are_those_of_the_kernel() -> None:
    cache_values = next(o for o in recorded().recording.objects if o.name == "vcpu.pv_time").values
    assert (cache_values["gpa"], cache_values["uhva"], cache_values["valid"]) == ("0x0", "0x2", "true")


def test_a_schedule_that_is_none_is_refused() -> None:
    with pytest.raises(Divergence):
        record(searchable(DESIGN, SCENARIO), Schedule(steps=((1, 0),) * 500))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "scenario", "name"),
    [
        ("mainline-7.3", "livelock/unrelated-memory", "livelock"),
        ("mainline-7.3", "xen/poll-and-update", "deadlock"),
        ("reference-leak", "clock/anon/dontneed", "refcount-imbalance"),
    ],
)
def test_what_no_single_step_violates_is_recorded_too(design: str, scenario: str, name: str) -> None:
    found = violation(design, scenario)
    assert found.property == name
    recording = recorded(design, scenario).recording
    assert (recording.loop is not None) == (name == "livelock")
    if recording.loop is not None:
        assert all(step.matters for step in recording.steps[recording.loop :])
    assert 1 < sum(step.matters for step in recording.steps) < len(recording.steps)
