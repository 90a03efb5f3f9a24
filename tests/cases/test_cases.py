# SPDX-License-Identifier: GPL-2.0-only
"""Public bug reports, fixes, reviews and proposals: `pfncache verify FILE` gives each its right verdict.

The head of a file says where the fault is known from, and what the right verdict is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Call, Run

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """What a file gives: the exit status, and the properties that it violates and its base does not."""

    file: str
    status: int
    properties: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    """Those that the quick test searches; by default the file's own."""
    says: str = ""
    """Of a file that is refused: a piece of the message."""
    designs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a file with several designs: the properties by design."""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By design: properties that it violates in the whole catalogue alone."""
    vacuous: bool = False
    """In the whole catalogue, scenarios are vacuous: of huge pages, which the file's function does not map."""

    def status_of(self, alone: bool) -> int:
        """Return the exit status, of the file's own scenarios or of the whole catalogue."""
        if alone and self.elsewhere:
            return 1
        return 3 if alone and self.vacuous else self.status

    @property
    def chosen(self) -> tuple[str, ...]:
        """The options that choose the quick test's scenarios."""
        own = self.file.removesuffix(".py").replace("_", "-") + "/"
        return tuple(word for name in self.scenarios or (own,) for word in ("-s", name))


CASES = (
    Case("case_01_xen_vcpu_put_srcu.py", 1, ("srcu-unprotected",), ("xen/runstate",)),
    Case("case_02_no_memslot_block.py", 1, ("counter-imbalance",), ("slots/update-during-invalidation",)),
    Case("case_03_bad_unlock.py", 1, ("lock-imbalance",), ("gpc/move-in-page",)),
    Case("case_05_length_after_active.py", 1, ("warn-on",)),
    Case("case_06_prefault_invalid_slot.py", 1, ("livelock",)),
    Case("case_06b_prefault_eagain.py", 0),
    Case("case_08_populate_before_gup.py", 1, ("lock-order",)),
    Case("case_08b_populate_after_gup.py", 0, elsewhere={"gup-first": ("lock-order",)}),
    Case("case_10_steal_time_cached_map.py", 1, ("lost-update",)),
    Case("case_10c_steal_time_traced.py", 1, ("lost-update",)),
    Case("case_11_guest_uses_pfn_no_kick.py", 1, ("use-after-free",)),
    Case("case_11b_guest_uses_pfn_kick.py", 0),
    Case("case_11x_record_of_no_operation.py", 2, says="the record 'MODE' is no part of the state: give it"),
    Case("case_13_direct_map_restored.py", 1, ("unmapped-access",)),
    Case("case_13b_direct_map_restored_once.py", 0, elsewhere={"restored-once": ("unmapped-access",)}),
    Case("case_14_gmem_write_uptodate.py", 1, ("unmapped-access",)),
    Case("case_14b_gmem_write_eexist.py", 0),
    Case("case_19_preempt_rt_hardirq.py", 1, ("sleeping-in-atomic",), ("xen/irq-user",)),
    Case("case_21_rwlock_abuse.py", 0, (), ("gpc/activate-munmap", "gpc/refresh-deactivate")),
    Case("case_22_inner_continue.py", 1, ("deadlock", "sleeping-in-atomic"), ("clock/anon/munmap",)),
    Case(
        "case_23_sequence_after_lookup.py",
        1,
        ("stale-spte",),
        ("clock/anon/guest-access", "slots/update-during-invalidation"),
    ),
    Case("case_24_punch_before_convert.py", 1, ("leak",)),
    Case("case_27_retry_in_range_2024.py", 0, (), ("clock/anon/munmap", "xen/hva-cache-munmap")),
    Case("case_27b_retry_in_range_2024_on_7_2.py", 0, (), ("clock/anon/munmap", "xen/hva-cache-munmap")),
    Case("case_31_set_vcpu_events_srcu.py", 1, ("srcu-unprotected",)),
    Case("case_32_gmem_pfn_without_reference.py", 0, (), ("gmem/guest-faults", "private/faults"), vacuous=True),
    Case("case_33_mm_local_mapping.py", 1, ("unmapped-access",), ("xen/irq-user", "clock/anon/munmap")),
    Case("case_34_flush_tlb_missed.py", 1, ("lost-update",)),
    Case("case_35_lost_event.py", 1, ("lost-event",), ("xen/send-and-inject",)),
    Case("case_37_fault_in_sched_out.py", 1, ("sleeping-in-atomic",), ("vcpu/sched-out",)),
    Case("case_38_slot_leak.py", 1, ("leak",)),
    Case("case_42_misspelt_function.py", 2, says="nearest: kvm_mmu_notifier_invalidate_range_start"),
    Case(
        "case_51_snp_vmsa.py", 1,
        designs={
            "vmsa-without-hook-in-gmem": ("use-after-free",),
            "vmsa-without-hook-in-memslots": ("use-after-free",),
            "vmsa-without-retry": ("use-after-free",),
        },
    ),
    Case(
        "case_52_file_reuse.py", 1, designs={"reuse": (), "no-second-look": ("use-after-free",)},
        elsewhere={"reuse": ("alias-outlives",), "no-second-look": ("alias-outlives",)},
    ),
    Case("case_53_evtchn_ports.py", 1, designs={"ports": (), "ports-without-wait": ("use-after-free",)}),
    Case("case_54_xen_poll.py", 1, ("deadlock",), ("xen/poll-and-send",)),
    Case("case_55_tlb.py", 1, ("stale-tlb",)),
    Case(
        "case_56_inplace_conversion.py", 1,
        designs={
            "in-place": (),
            "in-place-without-test": ("private-access",),
            "in-place-without-lock": ("private-access",),
            "rfc-in-place": (),
        },
        elsewhere={
            "in-place": ("lock-order",), "in-place-without-test": ("lock-order",), "rfc-in-place": ("alias-outlives",),
        },
    ),
    Case(
        "case_57_nested_pfncache.py", 1,
        designs={"nested-pfncache": ("use-after-free",), "nested-pfncache-waits": ()},
    ),
    Case(
        "case_58_large_inplace.py", 1,
        designs={
            "large-in-place": (), "large-in-place-page": ("stale-spte",), "large-in-place-order": ("stale-spte",),
        },
    ),
)  # fmt: skip


def require(case: Case, run: Run, alone: bool = False) -> None:
    """Require the exit status and the new properties of a case, of its own scenarios or of the whole catalogue."""
    assert run.code == case.status_of(alone), run.out + run.err
    if case.says:
        assert case.says in run.err
        return
    expected = case.designs or {run.document["designs"][0]["design"]: case.properties}
    assert [design["design"] for design in run.document["designs"]] == list(expected)
    for design in run.document["designs"]:
        wanted = (*expected[design["design"]], *(case.elsewhere.get(design["design"], ()) if alone else ()))
        found = {
            violation["property"]
            for scenario in design["scenarios"]
            for violation in scenario["violations"]
            if violation["against_base"] == "new"
        }
        assert found >= set(wanted), design["design"]
        assert bool(found) == bool(wanted), design["design"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_case(case: Case, pfncache: Call) -> None:
    require(case, pfncache("verify", str(FOLDER / case.file), *case.chosen, "--json"))


ALONE = [case for case in CASES if case.status != 2]


@pytest.mark.slow
@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.file)
def test_file_alone(case: Case, pfncache: Call) -> None:
    """The whole catalogue as well."""
    require(case, pfncache("verify", str(FOLDER / case.file), "--json"), alone=True)


def test_every_file_is_in_the_table() -> None:
    assert sorted(case.file for case in CASES) == sorted(path.name for path in FOLDER.glob("case_*.py"))


@pytest.mark.parametrize("design", ["mainline-7.3", "mainline-7.2", "mainline-6.18", "mainline-6.12"])
def test_case_09_flags_of_clocks(design: str, pfncache: Call) -> None:
    """Case 09: PVCLOCK_GUEST_STOPPED bleeds from kvm-clock into a Xen guest's clocks, before 24c166378026 (v6.15)."""
    run = pfncache("selftest", "--machine", "model", "--design", design, "xen/stopped-clock", "xen/unstable-clock")
    assert (run.code, "ok 1 unstable-clock" in run.out, "ok 2 stopped-clock" in run.out) == (0, True, True)


def test_case_09_on_this_host(pfncache: Call, kvm_host: object) -> None:
    """The same on this host's KVM; skipped where it has no Xen guests."""
    run = pfncache("selftest", "--machine", "kvm", "xen/stopped-clock", "xen/unstable-clock")
    if run.code == 4:
        pytest.skip("the host's KVM has no Xen guests")
    assert run.code == 0, run.out
