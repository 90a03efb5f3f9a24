# SPDX-License-Identifier: GPL-2.0-only
"""Sweeps of points of the space."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import pytest

from pfncache.designs.catalogue import rfc_v4_on_7_3
from pfncache.scenarios.space.names import point_named, scenario_of, values_of_name
from pfncache.sweep.job import Limits, SweepJob, SweepRow, run_job
from pfncache.sweep.runner import drawn
from pfncache.sweep.store import Store
from pfncache.sweep.summary import growth
from pfncache.sweep.view import fault_lines, sample_lines
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.conftest import Call

NAME = "space/gmem-unmapped/clock+allocate/memslots=same-address,start=elsewhere,updates=2"
LIMITS = Limits()


def test_a_point_is_what_verify_finds() -> None:
    outcome = run(Job(rfc_v4_on_7_3, scenario_of(point_named(NAME)), 1_000_000))
    row = run_job(SweepJob("rfc-v4-on-7.3", NAME), LIMITS)
    assert (row.verdict, row.property, row.states) == ("violated", "stale-translation", outcome.states)
    assert (row.scenario, row.memory, row.operations) == (NAME, "gmem-unmapped", "clock+allocate")
    assert (row.actors, row.updates, row.rounds, row.pages) == (2, 2, 1, 3)


def test_jobs_are_those_of_the_memory_that_a_design_has() -> None:
    found, work = drawn(("mainline-7.3", "rfc-v4"), 200, 5, ["anon", "gmem-ndm"])
    assert len(found.points) == 200
    assert {job.scenario for job in work if job.design == "rfc-v4"} == {point.name for point in found.points}
    assert {str(job.scenario).split("/")[1] for job in work if job.design == "mainline-7.3"} == {"anon"}


def test_jobs_of_points_that_are_alike_follow_each_other() -> None:
    """A worker keeps what it compiled last: 1.8 x on the CPU time of 200 points, against the order of the sample."""
    found, work = drawn(("mainline-7.3", "rfc-v4"), 200, 5, ["anon", "memfd"])
    names = [str(job.scenario) for job in work]
    assert sorted(names[:200]) == sorted(names[200:]) == sorted(point.name for point in found.points)
    operations = [(values["memory"], values["operation"]) for values in map(values_of_name, names[:200])]
    assert len(list(itertools.groupby(operations))) == len(set(operations))


def test_a_space_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from pfncache import Operation, Space\n"
        "more = Operation('again', 'user space unmaps the page', frozenset({'anon'}),"
        " lambda w: (w.call('vm_munmap', w.mm, w.hva),))\n"
        "space = Space(only={'memory': ['anon'], 'user': ['clock'], 'operation': [], 'memslots': ['one'],"
        " 'pages': ['1'], 'context': ['task'], 'flags': ['none']}, more={'operation': [more]})\n"
    )
    found, work = drawn(("mainline-7.3", str(path)), 1000, 1, ["anon", "memfd"])
    assert len(work) == len(found.points) == found.of_points
    assert {str(job.scenario).rpartition("/")[0] for job in work if "=" in str(job.scenario)} == {
        "space/anon/clock+again"
    }
    job = next(job for job in work if job.scenario == "space/anon/clock+again")
    row = run_job(job, LIMITS)
    assert (row.verdict, row.scenario.partition("@")[0]) == ("holds", "space/anon/clock+again")


def _row(name: str, verdict: str, kind: str | None = None) -> SweepRow:
    return SweepRow(
        design="mine", scenario=name, operations="x", verdict=verdict, property=kind, max_seconds=1.0, max_megabytes=1
    )


def test_what_breaks_by_dimension(tmp_path: Path) -> None:
    found, _ = drawn(("mainline-7.3",), 150, 2, ["anon", "memfd"])
    with closing(Store(tmp_path / "results.sqlite")) as store:
        store.add_sample("mine", found)
        store.add_sample("mine", found)
        for point in found.points:
            breaks = point["memslots"] == "hole" and point["memory"] == "memfd"
            store.add(_row(point.name, "violated" if breaks else "holds", "leak" if breaks else None))
        store.add(_row("space/anon/clock+munmap/memslots=hole", "bounded"))
        (line,) = fault_lines(store)
        count = sum(point["memslots"] == "hole" and point["memory"] == "memfd" for point in found.points)
        assert (
            line == f"mine: leak in {count} points, exactly with memslots=hole and memory=memfd ({150 - count} others)"
        )
        (line,) = sample_lines(store)
        assert line.startswith(f"mine: 150 of {found.of_points:,} points of the space, drawn with seed 2 (sources ")
        assert not any(growth(store).values())


@pytest.mark.slow
def test_the_command(pfncache: Call, tmp_path: Path) -> None:
    output = str(tmp_path / "out.sqlite")
    command = ("sweep", "rfc-v4-fixed", "-o", output, "--points", "4", "--seed", "3", "--memory", "anon", "--jobs", "1")
    first = pfncache(*command)
    assert "4 jobs, 4 of them now" in first.out
    assert "4 jobs, 0 of them now" in pfncache(*command).out
    assert "points of the space, drawn with seed 3" in pfncache("report", output).out
    refused = pfncache(*command, "--actors", "3")
    assert refused.code == 2
    assert "leave out --actors" in refused.err
