# SPDX-License-Identifier: GPL-2.0-only
"""Which lines and branches of a design no scenario reaches."""

from __future__ import annotations

from pathlib import Path

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.scenarios import SCENARIOS
from pfncache.verify.coverage import Coverage
from pfncache.verify.session import SearchOptions, Session

SOURCE = Path(__file__).read_text().splitlines()
SCENARIO = "clock/anon/touch"


class Covered(Patch, X86):
    """Reach some lines, and not others."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Update the clock; the guest has enabled it."""
        for number in range(2):
            if number == 1 and vcpu.pv_time.active:
                self.kvm_setup_guest_pvclock(vcpu, vcpu.pv_time)
        if vcpu.pv_time.active:
            vcpu.clock_update = False
        if not vcpu.pv_time.active:
            return  # missed
        if vcpu.clock_update:
            vcpu.clock_update = False  # missed
        else:
            vcpu.clock_update = False
        while vcpu.clock_update:
            vcpu.clock_update = False  # missed
        self.never_called(vcpu, 3)

    def never_called(self, vcpu: KvmVcpu, number: int) -> None:
        """Branch on a constant."""
        if number == 4:
            vcpu.clock_update = True  # missed

    def kvm_arch_gmem_reclaim(self, pfn: int) -> None:
        """Do what this scenario does not do."""
        if pfn == 0:  # missed
            return  # missed

    def host_covered(self) -> None:
        """Run in direct execution alone."""
        self.host_clock += 1


DESIGN = (mainline_7_3 + [Covered]).named("covered", "")


def coverage(*scenarios: str, patched: bool = True) -> Coverage:
    design = DESIGN if patched else mainline_7_3
    options = SearchOptions(processes=1, coverage=True)
    session = Session.plan([design], [SCENARIOS[name] for name in scenarios], wanted=(), options=options)
    session.run()
    (outcome,) = session.outcomes
    assert outcome.coverage is not None
    return outcome.coverage


def test_lines_of_a_patch() -> None:
    found = coverage(SCENARIO)
    expected = [n for n, text in enumerate(SOURCE, 1) if text.endswith("# missed")]
    assert [line.place.line for line in found.missed if not line.around] == expected
    around = [SOURCE[line.place.line - 1].strip() for line in found.missed if line.around]
    assert around == ["if vcpu.pv_time.active:"]
    assert found.total == found.reached + len(found.missed) + 1  # the branch of a missed line is not shown
    assert str(found.missed[1]) == (f"test_coverage.py:{expected[0]} kvm_guest_time_update() return  # missed")


def test_the_union_over_scenarios() -> None:
    """What one scenario reaches, any larger set of scenarios does."""
    one = coverage("gpc/activate-munmap", patched=False)
    more = coverage("gpc/activate-munmap", "gpc/refresh-deactivate", patched=False)
    pfncache = [str(line) for line in more.missed if line.source.startswith("virt/kvm/pfncache.py:")]
    assert {str(line) for line in one.missed} >= {line for line in pfncache if "never false" not in line}
    assert any("kvm_gpc_deactivate() gpc.active = False" in str(line) for line in one.missed)
    assert not any("kvm_gpc_deactivate() gpc.active = False" in line for line in pfncache)


def test_without_the_option_there_is_none() -> None:
    session = Session.plan([DESIGN], [SCENARIOS[SCENARIO]], wanted=(), options=SearchOptions(processes=1))
    session.run()
    (outcome,) = session.outcomes
    assert outcome.coverage is None
    assert outcome.outcomes[0].covered == frozenset()
