# SPDX-License-Identifier: GPL-2.0-only
"""Run selftests, each in a process of its own, and say what their results mean.

On a kernel, the model predicts each result: the same test runs on the model of the design that is taken for it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pfncache.kernel.model import KernelSplat, WouldBlock
from pfncache.machines.kvm.machine import KvmMachine
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.isolate import isolated
from pfncache.selftests.ktap import Line
from pfncache.selftests.selftest import Failure, Selftest, Skip
from pfncache.series.design import Design

MODEL_SECONDS = 20.0


class Kind(enum.Enum):
    """What came of a test on one machine."""

    PASS = "passes"
    FAIL = "fails"
    SKIP = "cannot run"
    HANG = "hangs"
    CRASH = "crashes"


@dataclass(frozen=True)
class Outcome:
    """What came of a test on one machine, and in words."""

    kind: Kind
    text: str = ""
    observation: object = None
    complaints: tuple[str, ...] = ()
    """What the kernel said besides."""
    seconds: float = 0.0


Open = Callable[[], Machine]


def run_on(machine: Open, test: Selftest, seconds: float) -> Outcome:
    """Run a test on a fresh machine, in a process of its own."""
    ended = isolated(lambda: _run(machine, test), seconds)
    if ended.hung:
        return Outcome(Kind.HANG, ended.trouble, seconds=ended.seconds)
    if ended.value is None:
        return Outcome(Kind.CRASH, ended.trouble, seconds=ended.seconds)
    got = ended.value
    return Outcome(got.kind, got.text, got.observation, got.complaints, ended.seconds)


def _run(open_machine: Open, test: Selftest) -> Outcome:
    try:
        machine = open_machine()
    except SyscallError as error:
        return Outcome(Kind.SKIP, str(error))
    missing = test.missing(machine.capabilities)
    if missing:
        machine.close()
        return Outcome(Kind.SKIP, missing)
    try:
        with machine:
            observation = test.body(machine)
    except (Failure, KernelSplat, WouldBlock, TimeoutError, GuestExit) as failure:
        return Outcome(Kind.FAIL, str(failure), complaints=machine.dmesg())
    except Skip as skip:
        return Outcome(Kind.SKIP, str(skip))
    except SyscallError as error:
        return Outcome(Kind.FAIL, f"unexpected {error}", complaints=machine.dmesg())
    return Outcome(Kind.PASS, "", observation, machine.dmesg())


@dataclass
class Result:
    """A test with what came of it, and what that means."""

    test: Selftest
    outcome: Outcome
    line: Line

    @property
    def verdict(self) -> str:
        """Ok, xfail, skip or failed."""
        if self.line.directive in ("SKIP", "XFAIL"):
            return self.line.directive.lower()
        return "ok" if self.line.ok else "failed"


def judge_model(test: Selftest, got: Outcome, design: Design) -> Line:
    """The model has to pass, but for what its design is known to lack."""
    lacks = test.lacks(design)
    if got.kind is Kind.FAIL and lacks:
        return Line(test.short, False, "XFAIL", lacks, [got.text])
    if got.kind is Kind.PASS and lacks:
        return Line(test.short, False, "", "", [f"passes, although {lacks}"])
    return _plain(test, got)


def judge_kernel(test: Selftest, got: Outcome, predicted: Outcome, design: Design) -> Line:
    """A kernel has to do what its model does."""
    model = f"the model of {design.name}"
    if got.kind is Kind.FAIL and predicted.kind is Kind.FAIL:
        if got.text == predicted.text:
            return Line(test.short, False, "XFAIL", test.lacks(design) or f"so does {model}", [got.text])
        return Line(test.short, False, "", "", [got.text, f"{model} fails otherwise: {predicted.text}"])
    if got.kind is Kind.PASS and predicted.kind is Kind.PASS and got.observation != predicted.observation:
        differs = f"{got.observation}, but {predicted.observation} on {model}"
        return Line(test.short, False, "", "", [differs])
    line = _plain(test, got)
    if got.kind in (Kind.PASS, Kind.FAIL) and predicted.kind is not got.kind and predicted.kind is not Kind.SKIP:
        line.ok = False
        line.notes.append(f"{model} {predicted.kind.value}" + (f": {predicted.text}" if predicted.text else ""))
    return line


def _plain(test: Selftest, got: Outcome) -> Line:
    notes = [f"the kernel says: {text}" for text in got.complaints]
    if got.kind is Kind.SKIP:
        return Line(test.short, True, "SKIP", got.text)
    if got.kind is Kind.PASS:
        return Line(test.short, True, notes=notes)
    directive = {Kind.HANG: "TIMEOUT", Kind.CRASH: "ERROR"}.get(got.kind, "")
    return Line(test.short, False, directive, "", [test.purpose, f"watches: {test.watches}", got.text, *notes])


def run(tests: list[Selftest], machine: str, design: Design) -> Iterator[Result]:
    """Run tests on a machine; for a kernel, `design` is what models it."""

    def model() -> Machine:
        return ModelMachine(design)

    for test in tests:
        if machine == "model":
            got = run_on(model, test, MODEL_SECONDS)
            yield Result(test, got, judge_model(test, got, design))
            continue
        got = run_on(KvmMachine, test, test.seconds)
        predicted = Outcome(Kind.SKIP) if got.kind is Kind.SKIP else run_on(model, test, MODEL_SECONDS)
        yield Result(test, got, judge_kernel(test, got, predicted, design))
