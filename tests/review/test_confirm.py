# SPDX-License-Identifier: GPL-2.0-only
"""Selftests that are made of a violation's interleaving, and what a kernel says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pfncache.designs.design import Design
from pfncache.machines.resource import StopPoint
from pfncache.review.confirm import NoSelftest, OnKernel, Results, Tries, best, candidates, preemptions, showing
from pfncache.review.explorer.recorder import recording_of
from pfncache.review.explorer.recording import Recording
from pfncache.review.kernel import KernelRun
from pfncache.review.report import FindingKind, ReviewFinding
from pfncache.scenarios import SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.outcome import Violation
from pfncache.verify.runner import run
from pfncache.verify.systems import make_system
from tests.selftests.test_traced import never_again, unnoticed

MUNMAP = "clock/anon/munmap"
TESTS = [f"traced/anon/clock+munmap/{start}/access-after-hva_to_pfn" for start in ("valid", "page-gone", "never-used")]


def violation(design: Design, scenario: str) -> Violation:
    return run(Job(design, SCENARIOS[scenario], 1_000_000)).violations[0]


def recorded(design: Design, scenario: str) -> Recording:
    found = violation(design, scenario)
    assert found.trace is not None
    recording = recording_of(design, scenario, found.trace.schedule, found.property)
    assert recording is not None
    return recording


def names_for(design: Design, scenario: str) -> list[str]:
    recording = recorded(design, scenario)
    return candidates(recording, make_system(design, scenario), str(SCENARIOS[scenario].memory))


def test_a_lookup_that_is_preempted_is_stopped_when_it_has_its_page() -> None:
    assert names_for(never_again, MUNMAP)[:3] == TESTS
    first = preemptions(recorded(never_again, MUNMAP))[0]
    assert first.actor == 0
    assert first.stops[0] == StopPoint("hva_to_pfn")
    assert StopPoint("hva_to_pfn_retry", at_entry=True) in first.stops
    assert not {"write_lock_irq", "write_unlock_irq"} & {stop.function for stop in first.stops}


def test_calls_that_no_selftest_makes() -> None:
    with pytest.raises(NoSelftest, match=r"^no selftest makes the access of run_event_injection\(\) beside "):
        names_for(unnoticed, "xen/inject-events")
    with pytest.raises(NoSelftest, match=r"^no selftest takes a page of pfnmap away$"):
        candidates(recorded(never_again, MUNMAP), make_system(never_again, MUNMAP), "pfnmap")


def results(verdicts: Mapping[str, str]) -> Results:
    def run_them(names: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        return {name: {"test": name, "verdict": verdicts.get(name, "ok"), "reason": "", "notes": []} for name in names}

    return run_them


def test_a_test_that_fails_on_the_base_too_shows_nothing() -> None:
    names = ["a/after-f", "b/after-f", "b/after-g", "b/after-h", "b/after-i"]
    failing = dict.fromkeys(names, "failed")
    assert showing(names, results(failing), results({})) == ["a/after-f", "b/after-g", "b/after-h"]
    assert showing(names, results(failing), results({"a/after-f": "failed"}))[0] == "b/after-f"
    with pytest.raises(NoSelftest, match=r"^none of 5 selftests with its operations shows it on the model$"):
        showing(names, results(failing), results(failing))


def test_few_are_tried_at_a_time() -> None:
    asked: list[int] = []
    names = [f"n/after-{number}" for number in range(60)]

    def on_series(some: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        asked.append(len(some))
        return results({"n/after-30": "failed"})(some)

    assert showing(names, on_series, results({})) == ["n/after-30"]
    assert asked == [24, 24]


@pytest.mark.parametrize(("verdicts", "expected"), [
    (("skip", "xfail", "xpass"), OnKernel.CONFIRMED), (("skip", "failed", "ok"), OnKernel.OTHERWISE),
    (("skip", "xpass"), OnKernel.NOT_SEEN), (("skip",), OnKernel.SKIPPED),
])  # fmt: skip
def test_the_clearest_answer_counts(verdicts: tuple[str, ...], expected: OnKernel) -> None:
    found = [
        {"test": f"t/{verdict}", "verdict": verdict, "reason": "no eBPF", "notes": ["stale", "seen in 3 of 10 tries"]}
        for verdict in verdicts
    ]
    said, text = best(found)
    assert said is expected
    why = "no eBPF" if expected is OnKernel.SKIPPED else "stale; seen in 3 of 10 tries"
    assert text.startswith(f"{expected}: {why} (t/")


class FakeKernel(KernelRun):
    """A kernel on which every selftest fails as on the model of the series, and on that of the base none does."""

    def results(self, where: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return them by where they run."""
        verdict = "xfail" if where == self.on_kernel else "failed" if where == self.on_model else "ok"
        note = "seen in 10 of 10 tries"
        return {name: {"test": name, "verdict": verdict, "reason": "", "notes": [note]} for name in names}


def test_a_violation_is_confirmed(tmp_path: Path) -> None:
    kernel = FakeKernel(base="7.3.4", series=tmp_path, debug=False, tests=())
    tries = Tries(kernel=kernel, base="mainline-7.3")
    assert tries.text == "there are none"
    found = violation(never_again, MUNMAP)
    finding = ReviewFinding(
        kind=FindingKind.VIOLATION, subject="x", text="x", violated=found.property, trace=found.trace
    )
    said = [tries.of(finding, never_again, SCENARIOS[MUNMAP]) for _ in range(5)]
    assert said[0] == f"confirmed: seen in 10 of 10 tries ({TESTS[0]})"
    assert said[4] == "not tried, as 4 others were"
    assert tries.text == "4 confirmed"
