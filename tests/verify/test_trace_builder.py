# SPDX-License-Identifier: GPL-2.0-only
"""The trace of a replayed path: which steps it has."""

from __future__ import annotations

from pfncache.check.replay import Ending, Replay
from pfncache.designs.catalogue import rfc_v4_on_7_3
from pfncache.verify.job import Job
from pfncache.verify.runner import search
from pfncache.verify.trace_builder import build, reason_of
from tests.check import toys


def test_reason_is_the_sources_where_it_has_one() -> None:
    assert reason_of(None, "the search's") == "the search's"
    assert reason_of(Ending("lost", "the source's"), "the search's") == "the source's"


def test_build_shows_what_changes_and_what_an_actor_finds_changed() -> None:
    searching, result = toys.search(toys.increment, toys.increment, at_end=toys.count_is_two)
    replay = toys.replayed(searching, result.found[0])
    trace = build(replay, reason_of(replay.ending, result.found[0].detail))
    assert (trace.actors, trace.reason) == (("a0", "a1"), "count is 1")
    assert {(row.function, row.text) for row in trace.rows} == {("increment", "shared.count += 1")}
    assert {row.source.rpartition(":")[0] for row in trace.rows} == {"toys.py"}
    assert [(row.actor, row.changes) for row in trace.rows] == [
        ("a0", ()),
        ("a1", ("box.count is 0",)),
        ("a0", ("box.count: 0 -> 1",)),
        ("a1", ("box.count is 1",)),
    ]


def test_build_leaves_plumbing_out() -> None:
    searching, result = toys.search(toys.first_then_other, toys.other_then_first)
    trace = build(toys.replayed(searching, result.found[0]), "no actor can go on")
    assert result.property == "deadlock"
    assert {row.source.rpartition(":")[0] for row in trace.rows} == {"toys.py"}
    assert [change for row in trace.rows for change in row.changes] == []


def test_build_leaves_out_what_neither_changes_nor_finds_anything() -> None:
    """Such a step is a row only where others may have run before it, and at the end."""
    searching, result, _ = search(Job(rfc_v4_on_7_3, "gmem/unmapped-punch", 100_000))
    replay = Replay(searching)
    try:
        replay.run(result.found[0])
    finally:
        replay.finish()
    trace = build(replay, "")
    silent = [row for row in trace.rows[:-1] if not row.changes]
    assert 0 < len(silent) < sum(moment.first for moment in replay.moments) < len(replay.moments)
    assert not any(row.source.startswith(("locking/", "include/")) for row in trace.rows)


def test_an_operation_that_is_one_step_has_its_own_line() -> None:
    searching, result = toys.search(toys.roll, at_end=toys.count_is_two)
    trace = build(toys.replayed(searching, result.found[0]), "")
    assert [(row.function, row.text) for row in trace.rows] == [("roll", "shared.count = choose(3)")]


def test_a_schedule_has_each_preemption_point_and_the_outcomes_of_choices() -> None:
    searching, result = toys.search(toys.increment, toys.roll, at_end=toys.count_is_two)
    replay = toys.replayed(searching, result.found[0])
    schedule = build(replay, "").schedule
    assert schedule is not None and schedule.loop is None and schedule.start is None
    assert len(schedule.steps) == len(replay.before) + len(replay.moments)
    rolled = [outcome for actor, outcome in schedule.steps if actor == 1]
    assert sorted(outcome for actor, outcome in schedule.steps if actor == 0) == [0] * (
        len(schedule.steps) - len(rolled)
    )
    assert len(rolled) == 1 and rolled[0] in range(3)
