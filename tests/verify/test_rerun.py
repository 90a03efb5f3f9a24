# SPDX-License-Identifier: GPL-2.0-only
"""A second run of a file searches what its changes reach, and tells what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pfncache.scenarios import SCENARIOS
from pfncache.verify import kept_outcomes, runner
from pfncache.verify.job import Job
from pfncache.verify.loader import load_designs
from pfncache.verify.rerun import compared_runs
from pfncache.verify.session import SearchOptions, Session

NAMES = ("clock/anon/touch", "gpc/move-in-page", "xen/irq-user")
TEXT = """
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen


class Mine(Patch, X86, Xen):
    '''Two functions.'''

    def kvm_guest_time_update(self, vcpu):
        return super().kvm_guest_time_update(vcpu)

    def kvm_xen_set_evtchn_fast(self, kvm, vcpu):
        return super().kvm_xen_set_evtchn_fast(kvm, vcpu)


mine = mainline_7_3 + [Mine]
"""
UNLOCKED = TEXT.replace("return super().kvm_guest_time_update(vcpu)", "vcpu.mutex.unlock()")


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is searched from now on."""
    found: list[str] = []
    original = runner._program

    def counting(job: Job, system: Any, reduction: bool) -> Any:
        found.append(f"{job.design.name} {job.scenario_name}")
        return original(job, system, reduction)

    monkeypatch.setattr(runner, "_program", counting)
    return found


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outcomes are kept in a folder of the test's own."""
    path = tmp_path_factory.mktemp("kept") / "newest"
    path.mkdir()
    monkeypatch.setattr(kept_outcomes, "newest_folder", lambda: path)


def session(tmp_path: Path, text: str, **options: Any) -> Session:
    path = tmp_path / "mine.py"
    path.write_text(text)
    made = Session.plan(
        load_designs(str(path)), [SCENARIOS[name] for name in NAMES], wanted=NAMES,
        options=SearchOptions(max_states=options.pop("max_states", 100_000), processes=1, kept=True, **options),
    )  # fmt: skip
    made.run()
    return made


def test_what_a_change_reaches(tmp_path: Path, searched: list[str]) -> None:
    first = session(tmp_path, TEXT)
    assert sorted(searched) == sorted(f"{design} {name}" for design in ("mainline-7.3", "mine") for name in NAMES)
    searched.clear()
    again = session(tmp_path, TEXT)
    assert searched == []
    assert [d.outcomes for d in again.outcomes] == [d.outcomes for d in first.outcomes]
    third = session(tmp_path, UNLOCKED)
    assert set(searched) == {f"mine {name}" for name in NAMES[:2]}
    alone = Session.plan(
        load_designs(str(tmp_path / "mine.py")), [SCENARIOS[name] for name in NAMES], wanted=NAMES,
        options=SearchOptions(max_states=100_000, processes=1),
    )  # fmt: skip
    alone.run()
    facts = [[(o.scenario, o.verdict, o.states, o.properties) for o in s.outcomes[0].outcomes] for s in (third, alone)]
    assert facts[0] == facts[1]
    (rerun,) = compared_runs(third.outcomes, again.outcomes)
    new = [f"lock-imbalance in {name}" for name in NAMES[:2]]
    first_line = "mine against the last run: {} new, 0 unchanged, {} cured"
    assert rerun.lines() == [first_line.format(2, 0), *(f"  new: {text}" for text in new)]
    (back,) = compared_runs(again.outcomes, third.outcomes)
    assert back.lines() == [first_line.format(0, 2), *(f"  cured: {text}" for text in new)]


def test_other_bounds_and_coverage_are_searched(tmp_path: Path, searched: list[str]) -> None:
    session(tmp_path, TEXT)
    for options in ({"max_states": 50_000}, {"reduction": False}, {"coverage": True}):
        searched.clear()
        session(tmp_path, TEXT, **options)
        assert len(searched) == 2 * len(NAMES)


def test_a_design_that_was_not_there(tmp_path: Path) -> None:
    first = session(tmp_path, TEXT)
    second = session(tmp_path, TEXT.replace("\nmine =", "\nother ="))
    (rerun,) = compared_runs(second.outcomes, first.outcomes)
    assert rerun.lines() == ["other is new: 0 violations in 3 scenarios"]
