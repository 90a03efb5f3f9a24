# SPDX-License-Identifier: GPL-2.0-only
"""Designs side by side: what a column says."""

from __future__ import annotations

from pfncache.compare.comparison import ComparedDesign, DesignSize, columns
from pfncache.designs.catalogue import COMPARED, DESIGNS
from pfncache.designs.design import Patch
from pfncache.scenarios import SCENARIOS
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.session import SearchOptions, Session


class Nothing(Patch):
    """KVM: change nothing."""


def column(name: str) -> ComparedDesign:
    found = ComparedDesign(design=DESIGNS[name], outcome=DesignOutcome(design=name, title=""))
    found.fill()
    return found


def test_paths_that_reach_memory() -> None:
    plan, base = column("plan"), column("no-direct-map")
    assert len(plan.reached("ndm/mapped")) == len(plan.reached("gmem/mapped")) == 16
    assert sorted(set(plan.reached("ndm/mapped")) - set(base.reached("ndm/mapped"))) == [
        "kvm_vcpu_map", "mapping of L2", "pfncache", "pfncache by hva",
    ]  # fmt: skip
    assert plan.reached("private/unmapped") == ["VMSA", "TDP fault"]


def test_memory_that_a_design_does_not_have_is_not_reached() -> None:
    assert column("mainline-7.3").reached("ndm/mapped") == []


def test_what_user_space_sees() -> None:
    assert column("plan").uapi == ["GUEST_MEMFD_FLAG_NO_DIRECT_MAP"]
    assert column("mainline-7.3").uapi == []


def test_what_a_design_requires() -> None:
    assert [column(name).requires for name in ("plan", "rfc-v4-fixed")] == [[], []]
    (lacking,) = column("rfc-v4-on-7.3").requires
    assert lacking.startswith("that the retry test of a refresh reads mmu_invalidate_seq")


def test_size() -> None:
    assert DesignSize.of(DESIGNS["mainline-7.3"]) == DesignSize(0, 0, 0)
    assert DesignSize.of(DESIGNS["mainline-7.3"] + [Nothing]) == DesignSize(1, 0, 0)
    plan, vmap = DesignSize.of(DESIGNS["plan"]), DesignSize.of(DESIGNS["plan-vmap"])
    assert (plan.patches, vmap.patches) == (14, 14)
    assert plan.lines > 100


def test_a_design_that_is_not_measured_is_named_nowhere() -> None:
    assert len(COMPARED) >= 7
    assert COMPARED[-1] == "plan"
    assert set(COMPARED) <= set(DESIGNS)


def test_each_scenario_with_something_new_counts() -> None:
    """One property in two scenarios is two."""
    names = ["clock/gmem-ndm/punch", "tlb/clock-and-punch", "clock/anon/munmap"]
    design = DESIGNS["plan-vmap"]
    session = Session.plan([design], [SCENARIOS[n] for n in names], wanted=(), options=SearchOptions(processes=1))
    session.run()
    (found,) = columns([design], session.outcomes)
    assert [one.outcome.scenario for one in found.new] == names[:2]
    assert [(scenario, v.property) for scenario, v in found.outcome.shortest()] == [(names[0], "alias-outlives")]
