# SPDX-License-Identifier: GPL-2.0-only
"""A session has an outcome for each job, also when it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.scenarios import SCENARIOS
from pfncache.verify import session as module
from pfncache.verify.runner import Job, run
from pfncache.verify.session import NOT_SEARCHED, SearchOptions, Session

NAMES = ("clock/anon/munmap", "clock/anon/touch", "gpc/move-in-page")


def planned(*designs: str) -> Session:
    scenarios = [SCENARIOS[name] for name in NAMES]
    options = SearchOptions(max_states=100_000, processes=1)
    return Session.plan([DESIGNS[name] for name in designs], scenarios, by_name=True, options=options)


def test_outcomes_of_every_design() -> None:
    session = planned("mainline-7.3", "rfc-v4-on-7.3")
    done: list[str] = []
    session.run(lambda job: done.append(job.scenario_name))
    assert sorted(done) == sorted(NAMES * 2)
    assert [(o.design, [s.scenario for s in o.outcomes]) for o in session.outcomes] == [
        ("mainline-7.3", list(NAMES)), ("rfc-v4-on-7.3", list(NAMES)),
    ]  # fmt: skip
    assert [o.verdict for o in session.outcomes] == [Verdict.HOLDS, Verdict.VIOLATED]
    assert (session.is_violated, session.interrupted) == (True, False)


def test_an_interrupt_leaves_the_rest_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(jobs: list[Job], processes: int | None) -> Iterator[tuple[Job, Any]]:
        yield jobs[1], run(jobs[1])
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_jobs", interrupted)
    session = planned(mainline_7_3.name)
    session.run()
    (outcome,) = session.outcomes
    assert [(o.scenario, o.verdict, o.reason) for o in outcome.outcomes] == [
        (NAMES[0], "bounded", NOT_SEARCHED), (NAMES[1], "holds", ""), (NAMES[2], "bounded", NOT_SEARCHED),
    ]  # fmt: skip
    assert (session.is_violated, session.interrupted) == (False, True)
