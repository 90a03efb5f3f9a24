# SPDX-License-Identifier: GPL-2.0-only
"""The selftests on the model of each design: those that pass, and how the others fail."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS, no_direct_map
from pfncache.designs.design import Design, Patch
from pfncache.linux.arch.x86.kvm.mmu.paging_tmpl import PagingTmpl
from pfncache.linux.arch.x86.kvm.svm.nested import SvmNested
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests import SELFTESTS
from pfncache.selftests.outcome import SelftestStatus, run_on
from pfncache.selftests.runner import SelftestResult, SelftestVerdict, run

SERIES = [test for name, test in SELFTESTS.items() if name.startswith("series/")]
UNEXPECTED = (SelftestVerdict.FAILED, SelftestVerdict.XPASS)
NOTHING = "the guest finds nothing where it has asked for its clock"


def results(design: Design, prefix: str = "") -> dict[str, SelftestResult]:
    tests = [test for name, test in SELFTESTS.items() if name.startswith(prefix)]
    return {result.test.name: result for result in run(tests, None, design)}


def test_names_are_unique_and_described() -> None:
    assert len({test.name for test in SELFTESTS.values()}) == len(SELFTESTS)
    assert all(test.purpose and test.watches and "\n" not in test.purpose for test in SELFTESTS.values())


@pytest.mark.parametrize("name", ["rfc-v4", "rfc-v4-on-7.3"])
def test_series_passes_under_its_own_design(name: str) -> None:
    found = results(DESIGNS[name], "series/")
    assert len(found) == 10
    assert {result.verdict for result in found.values()} == {SelftestVerdict.OK}
    logged = {n for n, result in found.items() if result.outcome.complaints}
    # Setting attributes reads memslots outside of SRCU, before any reader exists.
    assert logged == {n for n in found if n.endswith("-private") or n == "series/convert"}


@pytest.mark.parametrize("test", SERIES, ids=lambda test: test.short)
def test_series_fails_under_mainline(test: object) -> None:
    """As on a real kernel: nothing is written, and nothing breaks."""
    (result,) = run([test], None, no_direct_map)  # type: ignore[list-item]
    assert (result.outcome.status, result.outcome.text) == (SelftestStatus.FAIL, NOTHING)
    assert result.verdict is SelftestVerdict.XFAIL


def test_mainline_skips_what_it_does_not_have() -> None:
    skipped = {
        name
        for name, result in results(DESIGNS["mainline-7.3"], "series/").items()
        if result.verdict is SelftestVerdict.SKIP
    }
    assert skipped == {f"series/{what}-no-direct-map" for what in ("clock", "punch", "release")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mainline-6.12", "mainline-7.2", "mainline-7.3", "rfc-v4-fixed"])
def test_everything_is_as_expected(name: str) -> None:
    unexpected = {n: r.outcome.text for n, r in results(DESIGNS[name]).items() if r.verdict in UNEXPECTED}
    assert unexpected == {}


@pytest.mark.slow
def test_rfc_v4_breaks_ordinary_memory_and_recreated_slots() -> None:
    broken = {n: r.outcome.text for n, r in results(DESIGNS["rfc-v4"]).items() if r.verdict in UNEXPECTED}
    assert broken["clock/in-anon"].startswith("wild-pointer: mapping of pfn")
    assert broken["recreate/unmapped-gmem-to-gmem"] == "the clock in the first guest_memfd: 2, expected 1"
    assert broken["recreate/unmapped-gmem-offset"].startswith("use-after-free: pfn")
    assert broken["clock/in-gmem1-elsewhere"] == "KVM has written to a private guest_memfd"
    others = {n for n, text in broken.items() if not text.startswith("wild-pointer") and "anon" not in n}
    assert others == {
        "recreate/unmapped-gmem-to-gmem",
        "recreate/unmapped-gmem-offset",
        "clock/in-gmem1-elsewhere",
        "clock/in-gmem1-own-mapping",
    }


class KeepsWhatItCannotRead(Patch, PagingTmpl):
    """A kernel that keeps the shadow of an entry which it cannot read under mmu_lock."""

    def sync_spte(self, vcpu: KvmVcpu) -> int:
        return max(super().sync_spte(vcpu), 0)


class NeverReadsAgain(Patch, PagingTmpl):
    """A kernel that does not read the entries of a table that the guest has changed."""

    def sync_spte(self, vcpu: KvmVcpu) -> int:
        return 0


class KeepsTheVmcb(Patch, SvmNested):
    """A kernel that writes the exit of L2 to the page that it has mapped for the entry."""

    def nested_svm_vmrun(self, vcpu: KvmVcpu, vmcb12: int) -> int:
        ret = super().nested_svm_vmrun(vcpu, vmcb12)
        _, vcpu.virtual_apic_map.pfn, vcpu.virtual_apic_map.khva = self.kvm_vcpu_map(vcpu, self.gpa_to_gfn(vmcb12))
        return ret

    def nested_svm_vmexit(self, vcpu: KvmVcpu, exit_code: int) -> bool:
        kept = vcpu.virtual_apic_map
        self.host_write_exit_code(kept.khva, exit_code)
        self.kvm_vcpu_unmap(vcpu, self.gpa_to_gfn(vcpu.host_vmcb12_gpa), kept.pfn, kept.khva)
        return True


@pytest.mark.parametrize(
    ("patch", "failing"),
    [
        (KeepsWhatItCannotRead, {"table-dropped-anon", "table-dropped-memfd", "table-dropped-gmem", "table-unmapped"}),
        (
            NeverReadsAgain,
            {"table-anon", "table-memfd", "table-gmem", "table-unmapped"}
            | {f"table-dropped-{memory}" for memory in ("anon", "memfd", "gmem")},
        ),
        (KeepsTheVmcb, {"vmcb-dontneed", "vmcb-mapped-over", "vmcb-punched", "vmcb-unmapped"}),
    ],
)
def test_wrong_kernel_fails_tests_of_l2(patch: type[Patch], failing: set[str]) -> None:
    found = results(DESIGNS["mainline-7.3"] + [patch], "nested/")
    assert {result.test.short for result in found.values() if result.verdict is SelftestVerdict.FAILED} == failing


def test_reverted_fix_fails_its_test() -> None:
    test = SELFTESTS["dirty-log/every-update"]
    assert run_on(lambda: ModelMachine(DESIGNS["mainline-7.3"]), test, 10).status is SelftestStatus.PASS
    assert run_on(lambda: ModelMachine(DESIGNS["dirty-at-unmap"]), test, 10).status is SelftestStatus.FAIL
    leak = run_on(lambda: ModelMachine(DESIGNS["reference-leak"]), SELFTESTS["invalidation/dontneed-memfd"], 10)
    assert "pages are in use" in leak.text
