# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts on outcomes: on the model, and on a kernel that the model predicts."""

from __future__ import annotations

import os
import time

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.machines.host import devkvm as kvm_module
from pfncache.machines.host import pace
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests import SELFTESTS
from pfncache.selftests.ktap import Line
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus, run_on
from pfncache.selftests.runner import SelftestVerdict, judge_kernel, judge_model, run
from pfncache.selftests.selftest import Selftest, SelftestFailure, SelftestSkipped, check, equal, guest_memfd

MAINLINE = DESIGNS["mainline-7.3"]
PASS, FAIL, OTHER, SKIP = (
    SelftestOutcome(status=SelftestStatus.PASS),
    SelftestOutcome(status=SelftestStatus.FAIL, text="bad"),
    SelftestOutcome(status=SelftestStatus.FAIL, text="worse"),
    SelftestOutcome(status=SelftestStatus.SKIP, text="no"),
)


def selftest(body: object = None, lacks: str = "", **more: object) -> Selftest:
    def nothing(machine: Machine) -> None:
        """Does nothing."""

    return Selftest("group/test", "a purpose", "a property", body or nothing, lacks=lambda design: lacks, **more)  # type: ignore[arg-type]


def model() -> ModelMachine:
    return ModelMachine(MAINLINE)


@pytest.mark.parametrize(
    ("got", "lacks", "ok", "directive"),
    [
        (PASS, "", True, ""),
        (FAIL, "", False, ""),
        (FAIL, "support", True, "XFAIL"),
        (PASS, "support", True, "XPASS"),
        (SKIP, "support", True, "SKIP"),
        (SelftestOutcome(status=SelftestStatus.HANG), "", False, "TIMEOUT"),
        (SelftestOutcome(status=SelftestStatus.CRASH), "support", False, "ERROR"),
    ],
)
def test_model(got: SelftestOutcome, lacks: str, ok: bool, directive: str) -> None:
    line = judge_model(selftest(lacks=lacks), got, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)


@pytest.mark.parametrize(
    ("got", "predicted", "ok", "directive"),
    [
        (PASS, PASS, True, ""),
        (FAIL, FAIL, True, "XFAIL"),
        (FAIL, OTHER, False, ""),
        (FAIL, PASS, False, ""),
        (PASS, FAIL, True, "XPASS"),
        (SKIP, SKIP, True, "SKIP"),
        (PASS, SKIP, True, ""),
        (FAIL, SKIP, False, ""),
        (
            SelftestOutcome(status=SelftestStatus.PASS, observation=1),
            SelftestOutcome(status=SelftestStatus.PASS, observation=2),
            False,
            "",
        ),
        (SelftestOutcome(status=SelftestStatus.HANG), PASS, False, "TIMEOUT"),
        (SelftestOutcome(status=SelftestStatus.CRASH), FAIL, False, "ERROR"),
    ],
)
def test_kernel(got: SelftestOutcome, predicted: SelftestOutcome, ok: bool, directive: str) -> None:
    line = judge_kernel(selftest(), got, predicted, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)


SPLAT = SelftestOutcome(status=SelftestStatus.PASS, complaints=("WARNING: here",))


@pytest.mark.parametrize(
    ("got", "predicted", "ok", "directive"),
    [
        (SPLAT, PASS, False, ""),
        (SPLAT, SKIP, False, ""),
        (SelftestOutcome(status=SelftestStatus.FAIL, text="bad", complaints=("BUG: here",)), FAIL, False, ""),
        (SPLAT, SelftestOutcome(status=SelftestStatus.FAIL, text="warn-on: there", splat=True), True, "XFAIL"),
        (SPLAT, SelftestOutcome(status=SelftestStatus.PASS, complaints=("WARNING: noted",)), True, ""),
    ],
)
def test_a_kernel_that_complains(got: SelftestOutcome, predicted: SelftestOutcome, ok: bool, directive: str) -> None:
    line = judge_kernel(selftest(), got, predicted, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)
    assert f"kernel log: {got.complaints[0]}" in line.notes


def test_difference_from_the_model_is_explained() -> None:
    line: Line = judge_kernel(selftest(), PASS, FAIL, MAINLINE)
    assert line.reason == "differs from its model: passes a test that the model fails"
    assert "the model of mainline-7.3 fails: bad" in line.notes
    line = judge_kernel(
        selftest(),
        SelftestOutcome(status=SelftestStatus.PASS, observation="a"),
        SelftestOutcome(status=SelftestStatus.PASS, observation="b"),
        MAINLINE,
    )
    assert line.notes == ["a, but b on the model of mainline-7.3"]


def _body(name: str) -> object:
    def fails(machine: Machine) -> None:
        check(False, "the check's text")

    def differs(machine: Machine) -> None:
        equal("a thing", 1, 2)

    def refused(machine: Machine) -> None:
        machine.create_vm(99)

    def splat(machine: Machine) -> None:
        assert isinstance(machine, ModelMachine)
        machine.kernel.put_page(machine.kernel.mem_map[0])

    def skips(machine: Machine) -> None:
        raise SelftestSkipped("nothing to see")

    def leaks(machine: Machine) -> None:
        assert isinstance(machine, ModelMachine)
        hva = machine.mmap(4096)
        machine.write(hva, b"x")
        machine.kernel.get_page(machine.kernel.mem_map[0])

    return locals()[name]


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("fails", SelftestStatus.FAIL, "the check's text"),
        ("differs", SelftestStatus.FAIL, "a thing: 1, expected 2"),
        ("refused", SelftestStatus.FAIL, "unexpected KVM_CREATE_VM of type 99: EINVAL"),
        ("splat", SelftestStatus.FAIL, "refcount-imbalance: a reference of page0 is dropped, but it has none"),
        ("skips", SelftestStatus.SKIP, "nothing to see"),
        ("leaks", SelftestStatus.FAIL, "refcount-imbalance: everything is closed, but pages are in use"),
    ],
)
def test_outcomes(body: str, kind: SelftestStatus, text: str) -> None:
    outcome = run_on(model, selftest(_body(body)), 10)
    assert outcome.status is kind
    assert outcome.text.startswith(text)


def test_bug_in_a_test_is_an_error() -> None:
    def broken(machine: Machine) -> None:
        raise KeyError("typo")

    outcome = run_on(model, selftest(broken), 10)
    assert outcome.status is SelftestStatus.CRASH
    assert "KeyError: 'typo'" in outcome.text


def test_missing_capabilities_are_named() -> None:
    test = selftest(needs=(guest_memfd(64), guest_memfd(128)))
    outcome = run_on(model, test, 10)
    assert (outcome.status, outcome.text) == (
        SelftestStatus.SKIP,
        "no guest_memfd flags 0x40; no guest_memfd flags 0x80",
    )


def test_no_kvm_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm_module, "DEVICE", "/nonexistent")
    outcome = run_on(KvmMachine, selftest(), 10)
    assert (outcome.status, outcome.text) == (SelftestStatus.SKIP, "open /nonexistent: ENOENT")


def test_the_next_test_runs_after_a_hang_and_a_crash() -> None:
    def hangs(machine: Machine) -> None:
        time.sleep(60)

    def crashes(machine: Machine) -> None:
        os.abort()

    kinds = [run_on(model, selftest(body), 0.5).status for body in (hangs, crashes)]
    assert kinds == [SelftestStatus.HANG, SelftestStatus.CRASH]
    (result,) = run([selftest()], None, MAINLINE)
    assert result.verdict is SelftestVerdict.OK


def test_verdicts() -> None:
    def fails(machine: Machine) -> None:
        raise SelftestFailure("no")

    tests = [selftest(), selftest(fails), selftest(fails, lacks="support"), selftest(needs=(guest_memfd(64),))]
    design: Design = MAINLINE
    assert [result.verdict for result in run(tests, None, design)] == [
        SelftestVerdict.OK, SelftestVerdict.FAILED, SelftestVerdict.XFAIL, SelftestVerdict.SKIP,
    ]  # fmt: skip


def test_kernel_better_than_its_model_fails_if_strict_only() -> None:
    def fails(machine: Machine) -> None:
        raise SelftestFailure("no")

    for strict in (False, True):
        (result,) = run([selftest(fails)], lambda test: PASS, MAINLINE, strict=strict)
        assert (result.verdict, result.line.ok) == (SelftestVerdict.XPASS, not strict)
    (result,) = run([selftest(fails)], lambda test: FAIL, MAINLINE, strict=True)
    assert result.verdict is SelftestVerdict.FAILED


LATE = SelftestOutcome(status=SelftestStatus.FAIL, text="still running after 5.0 s", timed_out=True)
HUNG = SelftestOutcome(status=SelftestStatus.HANG, text="not done after 10 s", timed_out=True)


@pytest.mark.parametrize(
    ("outcomes", "verdict", "note"),
    [
        ([LATE, PASS], "ok", "first run: still running after 5.0 s (a time-out); second run: it passes"),
        ([LATE, LATE], "failed", "first run: still running after 5.0 s (a time-out); second run: it fails"),
        ([HUNG, PASS], "ok", "first run: not done after 10 s (a time-out); second run: it passes"),
        ([HUNG, HUNG], "failed", "first run: not done after 10 s (a time-out); second run: it hangs"),
        ([LATE, FAIL], "failed", "first run: still running after 5.0 s (a time-out); second run: it fails"),
        ([FAIL], "failed", "a purpose"),
        ([PASS], "ok", None),
    ],
)
def test_time_out_alone_is_repeated_once(outcomes: list[SelftestOutcome], verdict: str, note: str | None) -> None:
    left = list(outcomes)
    (result,) = run([selftest()], lambda test: left.pop(0), MAINLINE)
    assert (result.verdict.value, left) == (verdict, [])
    assert next(iter(result.line.notes), None) == note
    assert bool(result.outcome.earlier) == (len(outcomes) == 2)


def test_bound_that_expires_is_a_time_out() -> None:
    def slow(machine: Machine) -> None:
        pace.expire()
        raise TimeoutError("still running")

    assert run_on(model, selftest(slow), 10).timed_out
    assert not run_on(model, selftest(_body("fails")), 10).timed_out


def test_opt_in_test_runs_on_a_kernel_by_its_full_name_only() -> None:
    ran: list[str] = []

    def kernel(test: Selftest) -> SelftestOutcome:
        ran.append(test.name)
        return PASS

    test = selftest(opt_in="it breaks the host")
    for names in ((), ("group",), ("group/",)):
        (result,) = run([test], kernel, MAINLINE, opted_in=names)
        assert result.verdict is SelftestVerdict.SKIP
        assert result.line.reason == "opt-in: it breaks the host; to run it, name it: pfncache selftest group/test"
    assert ran == []
    (result,) = run([test], kernel, MAINLINE, opted_in=("group/test",))
    assert (result.verdict, ran) == (SelftestVerdict.OK, ["group/test"])
    (result,) = run([test], None, MAINLINE)
    assert result.verdict is SelftestVerdict.OK, "on the model it is harmless"


def test_what_writes_to_freed_memory_is_opt_in() -> None:
    marked = {test.name for test in SELFTESTS.values() if test.opt_in}
    writes = {"process-exit/timer", "widened/by-chance-no-slot", "vm-destroy/dontneed", "vm-destroy/munmap"}
    assert marked == writes
    assert all("opt-in" in SELFTESTS[name].summary for name in marked)
