# SPDX-License-Identifier: GPL-2.0-only
"""Operations beside an actor that loops forever: which end, and which starve, with exact numbers of states."""

from __future__ import annotations

import json

import pytest

from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import describe
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from pfncache.verify.trace import LOOP_MARK, render
from tests.designs.test_catalogue import TABLE

STARVES = [
    # Every notifier raises the count and moves pfncache's own sequence, whatever it is about.
    ("mainline-7.3", "livelock/unrelated-memory", 567),
    ("mainline-7.3", "livelock/unrelated-page", 690),
    # mmu_invalidate_seq stays where no memslot is met. The count is enough.
    ("mainline-7.2", "livelock/unrelated-memory", 84),
    ("mainline-7.2", "livelock/unrelated-page", 690),
    ("no-active-count", "livelock/unrelated-page", 867),
    ("rfc-v4-fixed", "livelock/unrelated-memory", 567),
    # A slot is not replaced between the start and the end of a notifier, and nothing keeps the next one from starting.
    ("mainline-7.3", "livelock/slot-update", 1289),
    ("mainline-7.2", "livelock/slot-update", 426),
    ("uaccess-clock", "livelock/slot-update", 1289),
    ("range-filter", "livelock/slot-update", 454),
]
ENDS = [
    ("mainline-7.3", "livelock/few-unrelated", 541),
    ("mainline-7.3", "livelock/clock-and-munmap", 175),
    ("mainline-7.3", "livelock/clock-and-slot-update", 898),
    ("mainline-7.3", "livelock/clock-and-conversion", 18),
    ("mainline-7.3", "gmem/endless-clock", 535),
    ("rfc-v4", "gmem/endless-clock", 551),
    ("rfc-v4-fixed", "livelock/few-unrelated", 541),
    ("rfc-v4-fixed", "livelock/clock-and-munmap", 175),
    ("rfc-v4-fixed", "livelock/clock-and-slot-update", 969),
    ("rfc-v4-fixed", "livelock/clock-and-conversion", 94),
    ("rfc-v4-fixed", "gmem/endless-clock", 619),
    # Without the count, what meets no memslot is not seen at all.
    ("no-active-count", "livelock/unrelated-memory", 61),
    ("range-filter", "livelock/unrelated-memory", 132),
    ("range-filter", "livelock/unrelated-page", 403),
    ("range-filter", "livelock/few-unrelated", 335),
    ("uaccess-clock", "livelock/unrelated-memory", 19),
    ("uaccess-clock", "livelock/unrelated-page", 24),
]


@pytest.mark.parametrize(("design", "scenario", "states"), STARVES)
def test_starves(design: str, scenario: str, states: int) -> None:
    outcome = run(Job(DESIGNS[design], scenario, 1_000_000))
    assert (outcome.verdict, outcome.property, outcome.states) == ("violated", "livelock", states)
    waits = "kvm_swap_active_memslots" if scenario.endswith("slot-update") else "hva_to_pfn_retry"
    who = "vmm" if scenario.endswith("slot-update") else "vcpu"
    assert outcome.reason == f"starvation under a strongly fair scheduler: {who} never returns from {waits}()"


@pytest.mark.parametrize(("design", "scenario", "states"), ENDS)
def test_ends(design: str, scenario: str, states: int) -> None:
    outcome = run(Job(DESIGNS[design], scenario, 1_000_000))
    assert (outcome.verdict, outcome.property, outcome.states) == ("holds", None, states)


def test_the_trace_reads_like_the_report() -> None:
    """A lookup; an invalidation elsewhere begins; the retry test sees it; and again, with three of them a round."""
    outcome = run(Job(mainline_7_3, "livelock/unrelated-memory", 1_000_000))
    assert outcome.trace is not None
    assert outcome.trace.loop is not None
    loop = [(row.actor, (row.function, row.text)) for row in outcome.trace.rows[outcome.trace.loop :]]
    load, test, publish = "return kvm.gpc_invalidate_seq", "if kvm.mn_active_invalidate_count != 0:", "gpc.valid = True"
    assert [place for actor, place in loop if actor == "vcpu" and place[1] in (load, test, publish)] == [
        ("mmu_notifier_retry_cache", test),
        ("hva_to_pfn_retry", load),
    ]
    end = "kvm_mmu_notifier_invalidate_range_end"
    assert loop.count(("madvise", (end, "kvm.gpc_invalidate_seq += 1"))) == 3
    assert render(outcome.trace).count(LOOP_MARK) == 1


def test_a_range_filter_changes_nothing_else() -> None:
    """By the table of the catalogue; of the generated scenarios, see tests/designs/test_own_bugs.py too."""
    table = json.loads(TABLE.read_text())
    differ = {name for name, row in table["mainline-7.3"].items() if row[:2] != table["range-filter"][name][:2]}
    assert differ == {"livelock/unrelated-memory", "livelock/unrelated-page"}


def test_bounds_show_which_actor_loops() -> None:
    built = SCENARIOS["livelock/unrelated-memory"].build(mainline_7_3.kernel())
    assert describe(built) == "vcpu: clock_update | madvise: madvise_dontneed in a loop; 3 pages"
