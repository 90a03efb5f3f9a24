# SPDX-License-Identifier: GPL-2.0-only
"""RFC v4's steps in C of our own give the properties that the design by hand gives."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.kernels.patch_mail import read
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.series.step import SeriesStep, steps_of
from pfncache.series.trees import tree_at
from pfncache.verify.job import Job
from pfncache.verify.runner import run, run_jobs
from tests.csource.edits import mail
from tests.csource.kvm.rfc import NEW, OLD, V4
from tests.csource.kvm.trees import source
from tests.designs.test_catalogue import TABLE

RELEASE = "7.3.4"
STATES = 200_000
ALWAYS = ("clock/gmem/punch",)
SCENARIOS = (
    *ALWAYS, "clock/gmem/close", "clock/gmem/allocate", "clock/gmem/memory-failure", "clock/gmem/slot-delete",
    "clock/gmem-coco/make-private", "clock/gmem-coco/make-shared", "clock/gmem-mmap/punch", "clock/anon/munmap",
    "gmem/activate-and-close", "gmem/unmapped-punch", "gmem/recreate-then-punch", "gpc/refresh-twice",
)  # fmt: skip


@cache
def series() -> SeriesStep:
    tree = source(RELEASE)
    with TemporaryDirectory() as folder:
        mails = read(mail(tree, Path(folder), [change for step in V4.values() for change in step], "rfc-v4"))
    (step,) = steps_of(tree_at(tree, RELEASE), mails, "rfc-v4", each_patch=False)
    return step


def test_every_function_is_checked_from_c() -> None:
    assert [str(change) for change in series().refused] == []
    changes = {c.name: (c.how, c.status.value) for c in series().changes}
    assert changes[NEW] == (f"renamed from {OLD}", "checked from C")
    assert changes["gpc_is_gmem_backed"] == ("new", "checked from C")
    assert OLD not in changes


@pytest.mark.parametrize("name", [n if n in ALWAYS else pytest.param(n, marks=pytest.mark.slow) for n in SCENARIOS])
def test_properties_are_those_of_the_design_by_hand(name: str) -> None:
    by_hand = run(Job(DESIGNS["rfc-v4-on-7.3"], name, STATES))
    from_c = run(Job(series().design, name, STATES))
    assert (from_c.verdict, set(from_c.properties)) == (by_hand.verdict, set(by_hand.properties))


@pytest.mark.whole
@pytest.mark.slow
def test_the_whole_catalogue() -> None:
    """The design by hand as its table has it."""
    table = json.loads(TABLE.read_text())["rfc-v4-on-7.3"]
    names = [name for name, scenario in DEFAULT_SCENARIOS.items() if mainline_7_3.has(scenario.memory)]
    found = {}
    for job, outcome in run_jobs([Job(series().design, name, 20_000_000) for name in names], None):
        found[outcome.scenario] = [str(outcome.verdict), sorted(outcome.properties)]
        assert job.design is series().design
    assert found == {name: table[name][:2] for name in names}
