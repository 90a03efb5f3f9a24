# SPDX-License-Identifier: GPL-2.0-only
"""What results mean: on the model, and on a kernel that the model predicts."""

from __future__ import annotations

import os
import time

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.machines.host import devkvm as kvm_module
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.ktap import Line
from pfncache.selftests.outcome import Kind, Outcome, run_on
from pfncache.selftests.runner import judge_kernel, judge_model, run
from pfncache.selftests.selftest import Failure, Selftest, Skip, check, equal, guest_memfd

MAINLINE = DESIGNS["mainline-7.3"]
PASS, FAIL, OTHER, SKIP = (
    Outcome(Kind.PASS),
    Outcome(Kind.FAIL, "bad"),
    Outcome(Kind.FAIL, "worse"),
    Outcome(Kind.SKIP, "no"),
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
        (FAIL, "support", False, "XFAIL"),
        (PASS, "support", False, ""),
        (SKIP, "support", True, "SKIP"),
        (Outcome(Kind.HANG), "", False, "TIMEOUT"),
        (Outcome(Kind.CRASH), "support", False, "ERROR"),
    ],
)
def test_model(got: Outcome, lacks: str, ok: bool, directive: str) -> None:
    line = judge_model(selftest(lacks=lacks), got, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)


@pytest.mark.parametrize(
    ("got", "predicted", "ok", "directive"),
    [
        (PASS, PASS, True, ""),
        (FAIL, FAIL, False, "XFAIL"),
        (FAIL, OTHER, False, ""),
        (FAIL, PASS, False, ""),
        (PASS, FAIL, False, ""),
        (SKIP, SKIP, True, "SKIP"),
        (PASS, SKIP, True, ""),
        (FAIL, SKIP, False, ""),
        (Outcome(Kind.PASS, observation=1), Outcome(Kind.PASS, observation=2), False, ""),
        (Outcome(Kind.HANG), PASS, False, "TIMEOUT"),
        (Outcome(Kind.CRASH), FAIL, False, "ERROR"),
    ],
)
def test_kernel(got: Outcome, predicted: Outcome, ok: bool, directive: str) -> None:
    line = judge_kernel(selftest(), got, predicted, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)


SPLAT = Outcome(Kind.PASS, complaints=("WARNING: here",))


@pytest.mark.parametrize(
    ("got", "predicted", "ok", "directive"),
    [
        (SPLAT, PASS, False, ""),
        (SPLAT, SKIP, False, ""),
        (Outcome(Kind.FAIL, "bad", complaints=("BUG: here",)), FAIL, False, ""),
        (SPLAT, Outcome(Kind.FAIL, "warn-on: there", splat=True), False, "XFAIL"),
        (SPLAT, Outcome(Kind.PASS, complaints=("WARNING: noted",)), True, ""),
    ],
)
def test_a_kernel_that_complains(got: Outcome, predicted: Outcome, ok: bool, directive: str) -> None:
    line = judge_kernel(selftest(), got, predicted, MAINLINE)
    assert (line.ok, line.directive) == (ok, directive)
    assert f"the kernel says: {got.complaints[0]}" in line.notes


def test_difference_from_the_model_is_explained() -> None:
    line: Line = judge_kernel(selftest(), PASS, FAIL, MAINLINE)
    assert "the model of mainline-7.3 fails: bad" in line.notes
    line = judge_kernel(selftest(), Outcome(Kind.PASS, observation="a"), Outcome(Kind.PASS, observation="b"), MAINLINE)
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
        raise Skip("nothing to see")

    def leaks(machine: Machine) -> None:
        assert isinstance(machine, ModelMachine)
        hva = machine.mmap(4096)
        machine.write(hva, b"x")
        machine.kernel.get_page(machine.kernel.mem_map[0])

    return locals()[name]


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("fails", Kind.FAIL, "the check's text"),
        ("differs", Kind.FAIL, "a thing: 1, expected 2"),
        ("refused", Kind.FAIL, "unexpected KVM_CREATE_VM of type 99: EINVAL"),
        ("splat", Kind.FAIL, "refcount-imbalance: a reference of page0 is dropped, but it has none"),
        ("skips", Kind.SKIP, "nothing to see"),
        ("leaks", Kind.FAIL, "refcount-imbalance: everything is closed, but pages are in use"),
    ],
)
def test_outcomes(body: str, kind: Kind, text: str) -> None:
    outcome = run_on(model, selftest(_body(body)), 10)
    assert outcome.kind is kind
    assert outcome.text.startswith(text)


def test_bug_in_a_test_is_an_error() -> None:
    def broken(machine: Machine) -> None:
        raise KeyError("typo")

    outcome = run_on(model, selftest(broken), 10)
    assert outcome.kind is Kind.CRASH
    assert "KeyError: 'typo'" in outcome.text


def test_what_is_missing_is_named() -> None:
    test = selftest(needs=(guest_memfd(64), guest_memfd(128)))
    outcome = run_on(model, test, 10)
    assert (outcome.kind, outcome.text) == (Kind.SKIP, "no guest_memfd flags 0x40; no guest_memfd flags 0x80")


def test_no_kvm_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm_module, "DEVICE", "/nonexistent")
    outcome = run_on(KvmMachine, selftest(), 10)
    assert (outcome.kind, outcome.text) == (Kind.SKIP, "open /nonexistent: ENOENT")


def test_the_next_test_runs_after_a_hang_and_a_crash() -> None:
    def hangs(machine: Machine) -> None:
        time.sleep(60)

    def crashes(machine: Machine) -> None:
        os.abort()

    kinds = [run_on(model, selftest(body), 0.5).kind for body in (hangs, crashes)]
    assert kinds == [Kind.HANG, Kind.CRASH]
    (result,) = run([selftest()], None, MAINLINE)
    assert result.verdict == "ok"


def test_verdicts() -> None:
    def fails(machine: Machine) -> None:
        raise Failure("no")

    tests = [selftest(), selftest(fails), selftest(fails, lacks="support"), selftest(needs=(guest_memfd(64),))]
    design: Design = MAINLINE
    assert [result.verdict for result in run(tests, None, design)] == ["ok", "failed", "xfail", "skip"]
