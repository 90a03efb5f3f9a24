# SPDX-License-Identifier: GPL-2.0-only
"""What would be searched again is taken from disk instead, for a series, for a design in Python, for a user's file."""

from __future__ import annotations

import cProfile
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.series.step import SeriesStep
from pfncache.verify import kept_outcomes as module
from pfncache.verify.identity import changed_functions, recorded_calls
from pfncache.verify.job import Job
from pfncache.verify.kept_outcomes import KeptOutcomes, functions_key, scenario_key, system_key
from pfncache.verify.loader import load
from pfncache.verify.outcome import Outcome
from pfncache.verify.session import SearchOptions, Session
from pfncache.verify.systems import make_system

FILE = "virt/kvm/pfncache.c"
RETRY = (
    "static bool mmu_notifier_retry_cache(struct kvm *kvm, unsigned long gpc_seq)\n{{\n"
    "\tif (kvm->mn_active_invalidate_count{0})\n\t\treturn true;\n\n\treturn kvm->gpc_invalidate_seq != gpc_seq;\n}}\n"
)
DIRTY = "\nvoid kvm_gpc_mark_dirty_in_slot(struct gfn_to_pfn_cache *gpc)\n{{\n\t{0}gpc->valid = false;\n}}\n"
"""A function of our own under a name that the model has, and that no scenario below calls."""
AFFECTED, NOT_AFFECTED = "gpc/move-in-page", "gmem/toggle-flag"
BOUNDS = 100_000, True, False, False


def design(folder: Path, retry: str = "", dirty: str = "") -> Design:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(RETRY.format(retry) + DIRTY.format(dirty))
    translation = translate(folder, [FILE], version="7.3.4")
    assert translation.refused == {}
    return (mainline_7_3 + [patch_of(translation)]).named(folder.name, "our C")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where outcomes are kept."""
    path = tmp_path / "systems" / "newest"
    path.mkdir(parents=True)
    monkeypatch.setattr(module, "newest_folder", lambda: path)
    return path


def job(design: Design, scenario: Scenario | str = AFFECTED, max_states: int = 100_000) -> Job:
    return Job(design, scenario, max_states, kept=True)


def session(base: Design, patched: Design, *names: str) -> Session:
    step = SeriesStep(design=patched, base=base, changes=())
    options = SearchOptions(max_states=100_000, processes=1, kept=True)
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
    other = design(tmp_path / "other", retry=" > 1")
    again = session(base, other, AFFECTED, NOT_AFFECTED)
    assert [(job.design.name, job.scenario_name) for job in again.jobs] == [("other", AFFECTED)]
    assert again.notes() == [
        "3 outcomes are of earlier searches of the same functions; 1 are left",
        "other: the series can affect 1 of 2 scenarios",
    ]
    again.run()
    for done in (first, again):
        (outcome,) = done.outcomes
        assert outcome.unaffected == {NOT_AFFECTED}
        assert [o.verdict for o in outcome.outcomes] == [o.verdict for o in outcome.base_outcomes.values()]
    (one,), (two,) = first.outcomes, again.outcomes
    assert one.base_outcomes == two.base_outcomes


def test_a_wrong_series_is_found_beside_kept_outcomes(tmp_path: Path) -> None:
    base = design(tmp_path / "base")
    session(base, design(tmp_path / "right", retry=" > 0"), "clock/anon/munmap").run()
    wrong = design(tmp_path / "wrong", retry=" > 5")
    for left in (1, 0):
        found = session(base, wrong, "clock/anon/munmap")
        assert len(found.jobs) == left
        found.run()
        (outcome,) = found.outcomes
        assert "stale-translation" in outcome.broken
        assert outcome.unaffected == set()


def test_a_violation_is_kept_with_its_trace(tmp_path: Path) -> None:
    wrong = design(tmp_path / "wrong", retry=" > 5")
    found = session(wrong, design(tmp_path / "same", retry=" > 5"), "clock/anon/munmap")
    found.run()
    (before,) = found.outcomes[0].base_outcomes.values()
    after = KeptOutcomes.of(job(wrong, "clock/anon/munmap")).find(job(wrong, "clock/anon/munmap"), frozenset())
    assert before.violations
    assert after == before
    assert session(wrong, wrong, "clock/anon/munmap").jobs == []


def searched(*designs: Design, scenario: str = AFFECTED) -> list[str]:
    """Search a scenario under designs, and return the names of those that are searched or set up."""
    options = SearchOptions(max_states=100_000, processes=1, kept=True, absolute=True)
    found = Session.plan(designs, [SCENARIOS[scenario]], wanted=[scenario], options=options)
    found.run()
    assert [len(d.outcomes) for d in found.outcomes] == [1] * len(designs)
    return [job.design.name for job in found.jobs]


def test_designs_of_the_catalogue() -> None:
    """Which of them run the same functions in a scenario is known once one of them was searched."""
    first, second = DESIGNS["mainline-7.3"], mainline_7_3.named("another", "another name")
    assert searched(first) == ["mainline-7.3"]
    assert searched(first) == []
    assert searched(second) == []
    assert searched(DESIGNS["no-active-count"]) == ["no-active-count"]
    assert searched(first, second, DESIGNS["no-active-count"]) == []
    assert searched(first, scenario="xen/irq-user") == ["mainline-7.3"]


def test_what_is_not_kept(folder: Path) -> None:
    kept = KeptOutcomes.of(job(mainline_7_3))
    system = make_system(mainline_7_3, AFFECTED)
    bounded = Outcome.bounded(AFFECTED, reason="1 state")
    kept.add(job(mainline_7_3), system, bounded, called=frozenset(), is_unreduced=False)
    kept.write()
    assert (kept.lines, list(folder.glob("outcomes-*"))) == ([], [])
    unkept = replace(job(mainline_7_3), kept=False)
    assert KeptOutcomes.of(unkept).lines == []
    options = SearchOptions(max_states=100_000, processes=1, absolute=True)
    Session.plan([mainline_7_3], [SCENARIOS[AFFECTED]], wanted=[AFFECTED], options=options).run()
    assert list(folder.glob("outcomes-*")) == []


def test_a_file_that_is_not_whole_is_not_used(folder: Path) -> None:
    searched(mainline_7_3)
    (path,) = folder.glob("outcomes-*")
    assert len(KeptOutcomes.of(job(mainline_7_3)).lines) == 1
    assert KeptOutcomes.of(job(mainline_7_3, max_states=200_000)).lines == []
    path.write_bytes(path.read_bytes()[:-2])
    assert KeptOutcomes.of(job(mainline_7_3)).lines == []
    assert searched(mainline_7_3) == ["mainline-7.3"]
    assert searched(mainline_7_3) == []


def test_an_outcome_is_read_when_it_is_asked_for() -> None:
    """Of two designs that differ, one is found by its name: the other's outcome is neither read nor written anew."""
    other = DESIGNS["range-filter"]
    assert searched(mainline_7_3) == ["mainline-7.3"]
    assert searched(other) == ["range-filter"]
    kept = KeptOutcomes.of(job(other))
    assert [line.design for line in kept.lines] == ["mainline-7.3", "range-filter"]
    assert kept.find(job(other), frozenset()) is not None
    assert ["entry" in vars(line) for line in kept.lines] == [False, True]


def test_a_vacuous_outcome_is_searched_without_reductions_before_it_counts() -> None:
    """A design has to reach what those before it reach: unless nothing was left out, it is searched again."""
    searched(mainline_7_3)
    (line,) = KeptOutcomes.of(job(mainline_7_3)).lines
    entry = line.entry
    assert not entry.is_unreduced
    (missed, *_) = [t.target for t in entry.outcome.targets if t.is_unreached]
    assert entry.under(mainline_7_3, frozenset()) == entry.outcome
    assert entry.under(mainline_7_3, frozenset({missed})) is None
    assert replace(entry, is_unreduced=True).under(mainline_7_3, frozenset({missed})) == entry.outcome


OWN = """
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.scenarios.scenario import scenario

NAMES = {"one", "two", "three"}


class Mine(Patch, X86):
    '''A function.'''

    def kvm_guest_time_update(self, vcpu):
        return super().kvm_guest_time_update(vcpu)

    def kvm_arch_gmem_reclaim(self, pfn):
        pass


@scenario
def two_updates(w):
    '''The clock is updated twice.'''
    w.clock_on().actor("vcpu", w.call("run_clock_update", w.vcpu), w.call("run_clock_update", w.vcpu))


mine = mainline_7_3 + [Mine]
"""
UNUSED = OWN.replace("        pass", "        self.kvm_arch_gmem_reclaim(pfn)")
USED = OWN.replace("return super().kvm_guest_time_update(vcpu)", "pass")


def keys(path: Path) -> list[str]:
    """Return what determines the searches of a file's scenario, and of one of the catalogue, under its design."""
    file = load(str(path))
    (mine,), (own,) = file.designs, file.scenarios
    used = frozenset({"kvm_guest_time_update", "set_msr_system_time", "run_clock_update"})
    jobs = [job(mine, scenario) for scenario in (own, "clock/anon/munmap")]
    systems = [system_key(one, make_system(one.design, one.scenario)) for one in jobs]
    return [*(functions_key(one, used) for one in jobs), *systems]


def test_keys_are_the_same_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    code = (
        "import sys, pathlib\nfrom tests.verify.test_kept_outcomes import keys\nprint(*keys(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=120
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert done[0] == done[1]
    assert len(set(done[0])) == 4


def test_keys_of_a_file_with_modules_beside_it_are_those_of_a_load(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    path = tmp_path / "mine.py"
    path.write_text(OWN.replace("NAMES = ", "from beside import VALUE\nNAMES = "))
    one, two = keys(path), keys(path)
    assert not set(one[:2]) & set(two[:2])


def test_a_users_file_is_searched_where_a_change_reaches(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"

    def found(text: str) -> list[str]:
        path.write_text(text)
        file = load(str(path))
        options = SearchOptions(max_states=100_000, processes=1, kept=True, absolute=True)
        scenarios = [SCENARIOS["clock/anon/munmap"], SCENARIOS["xen/irq-user"], *file.scenarios]
        planned = Session.plan(file.designs, scenarios, wanted=[s.name for s in scenarios], options=options)
        planned.run()
        return [job.scenario_name for job in planned.jobs]

    clock, irq, own = "clock/anon/munmap", "xen/irq-user", "mine/two-updates"
    assert found(OWN) == [clock, irq, own]
    assert found(OWN) == []
    assert found(UNUSED) == [own]  # a scenario of the file may call any of it
    assert found(USED) == [clock, own]
    assert found(OWN) == []
    assert found(OWN.replace("two_updates", "other")) == [clock, "mine/other"]  # a method depends on the file around it


def test_keys_of_scenarios() -> None:
    name = "space/anon/clock+munmap/memslots=adjacent,start=page-gone"
    point = scenario_of(point_named(name))
    assert scenario_key(job(mainline_7_3, point)) == point.name
    assert scenario_key(job(mainline_7_3, AFFECTED)) == AFFECTED
    assert scenario_key(job(mainline_7_3, SCENARIOS[AFFECTED])) == AFFECTED
    copy = replace(SCENARIOS[AFFECTED], build=SCENARIOS[NOT_AFFECTED].build)
    assert scenario_key(job(mainline_7_3, copy)) not in (AFFECTED, NOT_AFFECTED)
    assert scenario_key(job(mainline_7_3, replace(point, name="space/anon/clock+dontneed"))) not in SCENARIOS


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
