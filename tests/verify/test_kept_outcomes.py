# SPDX-License-Identifier: GPL-2.0-only
"""What a series cannot affect is not searched again, and the outcomes of its base are kept."""

from __future__ import annotations

import cProfile
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of
from pfncache.scenarios import SCENARIOS
from pfncache.series.step import SeriesStep
from pfncache.verify import kept_outcomes as module
from pfncache.verify.identity import changed_functions, recorded_calls
from pfncache.verify.kept_outcomes import KeptOutcomes
from pfncache.verify.outcome import Outcome
from pfncache.verify.session import SearchOptions, Session

FILE = "virt/kvm/pfncache.c"
RETRY = (
    "static bool mmu_notifier_retry_cache(struct kvm *kvm, unsigned long gpc_seq)\n{{\n"
    "\tif (kvm->mn_active_invalidate_count{0})\n\t\treturn true;\n\n\treturn kvm->gpc_invalidate_seq != gpc_seq;\n}}\n"
)
DIRTY = "\nvoid kvm_gpc_mark_dirty_in_slot(struct gfn_to_pfn_cache *gpc)\n{{\n\t{0}gpc->valid = false;\n}}\n"
"""A function of our own under a name that the model has, and that no scenario below calls."""
AFFECTED, NOT_AFFECTED = "gpc/move-in-page", "gmem/toggle-flag"


def design(folder: Path, retry: str = "", dirty: str = "") -> Design:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(RETRY.format(retry) + DIRTY.format(dirty))
    translation = translate(folder, [FILE], version="7.3.4")
    assert translation.refused == {}
    return (mainline_7_3 + [patch_of(translation)]).named(folder.name, "our C")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "newest_folder", lambda: tmp_path)


def session(base: Design, patched: Design, *names: str) -> Session:
    step = SeriesStep(design=patched, base=base, changes=())
    options = SearchOptions(max_states=100_000, processes=1)
    return Session.plan([step], [SCENARIOS[name] for name in names], wanted=names, options=options)


def test_functions_that_a_series_changes(tmp_path: Path) -> None:
    base, same = design(tmp_path / "base"), design(tmp_path / "same")
    assert changed_functions(base, same) == set()
    assert changed_functions(base, design(tmp_path / "a", retry=" > 0")) == {"mmu_notifier_retry_cache"}
    assert changed_functions(base, design(tmp_path / "b", dirty="\n\t")) == set()
    assert changed_functions(base, mainline_7_3) >= {"mmu_notifier_retry_cache", "kvm_gpc_mark_dirty_in_slot"}


def test_a_constant_that_a_function_reads_is_a_part_of_it(tmp_path: Path) -> None:
    values = []
    for number in (0, 1):
        folder = tmp_path / str(number)
        (folder / FILE).parent.mkdir(parents=True)
        (folder / FILE).write_text(f"#define LEAST {number}\n" + RETRY.format(" > LEAST") + DIRTY.format(""))
        values.append((mainline_7_3 + [patch_of(translate(folder, [FILE], version="7.3.4"))]).named("c", "our C"))
    assert changed_functions(*values) == {"mmu_notifier_retry_cache"}


def test_what_a_series_cannot_affect_is_searched_once(tmp_path: Path) -> None:
    base, patched = design(tmp_path / "base"), design(tmp_path / "patched", retry=" > 0")
    first = session(base, patched, AFFECTED, NOT_AFFECTED)
    assert len(first.jobs) == 4
    assert first.notes() == [
        "patched: the series can affect 0 of 2 scenarios, and may affect 2 in which base is searched first"
    ]
    first.run()
    again = session(base, patched, AFFECTED, NOT_AFFECTED)
    assert [(job.design.name, job.scenario_name) for job in again.jobs] == [("patched", AFFECTED)]
    assert again.notes() == ["patched: the series can affect 1 of 2 scenarios"]
    again.run()
    for done in (first, again):
        (outcome,) = done.outcomes
        assert outcome.unaffected == {NOT_AFFECTED}
        assert [o.verdict for o in outcome.outcomes] == [o.verdict for o in outcome.base_outcomes.values()]
    (one,), (other,) = first.outcomes, again.outcomes
    assert {n: replace(o, seconds=0) for n, o in one.base_outcomes.items()} == {
        n: replace(o, seconds=0) for n, o in other.base_outcomes.items()
    }


def test_a_series_is_searched_each_time(tmp_path: Path) -> None:
    """A wrong patch is found beside kept outcomes, too."""
    base, wrong = design(tmp_path / "base"), design(tmp_path / "wrong", retry=" > 5")
    for jobs in (2, 1):
        found = session(base, wrong, "clock/anon/munmap")
        assert len(found.jobs) == jobs
        found.run()
        (outcome,) = found.outcomes
        assert "stale-translation" in outcome.broken
        assert outcome.unaffected == set()


def test_a_violation_is_kept_with_its_trace(tmp_path: Path) -> None:
    wrong = design(tmp_path / "wrong", retry=" > 5")
    found = session(wrong, design(tmp_path / "same", retry=" > 5"), "clock/anon/munmap")
    found.run()
    (before,) = found.outcomes[0].base_outcomes.values()
    after = KeptOutcomes.of(wrong, 100_000, True, False).get(SCENARIOS["clock/anon/munmap"])
    assert before.violations
    assert after == before
    assert session(wrong, wrong, "clock/anon/munmap").jobs == []


def test_what_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = design(tmp_path / "base")
    kept = KeptOutcomes.of(base, 1)
    scenario = SCENARIOS[AFFECTED]
    kept.keep(Outcome.bounded(AFFECTED, reason="1 state"))
    kept.write()
    assert kept.get(scenario) is None
    assert list(tmp_path.glob("outcomes-*")) == []
    outcome = KeptOutcomes.of(mainline_7_3, 1)
    assert outcome.get(scenario) is None


def test_a_file_that_is_not_whole_is_not_used(tmp_path: Path) -> None:
    base = design(tmp_path / "base")
    session(base, base, AFFECTED).run()
    (path,) = tmp_path.glob("outcomes-*")
    bounds = 100_000, True, False
    assert KeptOutcomes.of(base, *bounds).get(SCENARIOS[AFFECTED]) is not None
    assert KeptOutcomes.of(base, 200_000, True, False).get(SCENARIOS[AFFECTED]) is None
    path.write_bytes(path.read_bytes()[:-2])
    assert KeptOutcomes.of(base, *bounds).get(SCENARIOS[AFFECTED]) is None


def test_a_profiler_goes_on_after_a_recording() -> None:
    def called() -> None:
        pass

    with recorded_calls() as names:
        called()
    assert "called" in names
    assert sys.getprofile() is None
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        with recorded_calls() as names:
            called()
        assert "called" in names
        called()
    finally:
        profiler.disable()
    assert any(entry.code.co_name == "called" for entry in profiler.getstats() if not isinstance(entry.code, str))
