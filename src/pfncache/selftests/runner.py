# SPDX-License-Identifier: GPL-2.0-only
"""Run selftests, each in a process of its own, and judge their outcomes.

On a kernel, the model predicts each outcome: the same test runs on the model of the kernel's design.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pfncache.designs.design import Design
from pfncache.machines.capabilities import EMULATING, Processor
from pfncache.machines.machine import Machine
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.ktap import Directive, Line
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus, run_on
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.targets import Kernel

MODEL_SECONDS = 20.0
"""Bound of a test on the model."""
_DIRECTIVES = {SelftestStatus.HANG: Directive.TIMEOUT, SelftestStatus.CRASH: Directive.ERROR}


class SelftestVerdict(enum.Enum):
    """Verdict on an outcome; the value is the one of the JSON schema."""

    OK = "ok"
    XFAIL = "xfail"
    SKIP = "skip"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class SelftestResult:
    """A test with its outcome and its result line."""

    test: Selftest
    outcome: SelftestOutcome
    line: Line

    @property
    def verdict(self) -> SelftestVerdict:
        """Verdict that the result line expresses."""
        if self.line.directive is Directive.SKIP:
            return SelftestVerdict.SKIP
        if self.line.directive is Directive.XFAIL:
            return SelftestVerdict.XFAIL
        return SelftestVerdict.OK if self.line.ok else SelftestVerdict.FAILED


def judge_model(test: Selftest, got: SelftestOutcome, design: Design) -> Line:
    """Require the model to pass, unless its design is known to lack something."""
    lacks = test.lacks(design)
    if got.status is SelftestStatus.FAIL and lacks:
        return Line(test.short, False, Directive.XFAIL, lacks, [got.text])
    if got.status is SelftestStatus.PASS and lacks:
        return Line(test.short, False, notes=[f"passes, although {lacks}"])
    return _line(test, got)


def judge_kernel(test: Selftest, got: SelftestOutcome, predicted: SelftestOutcome, design: Design) -> Line:
    """Require a kernel to do what its model does."""
    model = f"the model of {design.name}"
    lacks = test.lacks(design)
    if got.complaints and not predicted.complaints:
        return _splat_line(test, got, predicted, design)
    if got.status is predicted.status is SelftestStatus.FAIL:
        if predicted.splat and lacks:
            # The model stops at the violation, as with KASAN; a kernel without it goes on, and fails later.
            return Line(test.short, False, Directive.XFAIL, lacks, [got.text, f"{model}: {predicted.text}"])
        if got.text == predicted.text:
            reason = lacks or f"so does {model}"
            return Line(test.short, False, Directive.XFAIL, reason, [got.text, *got.notes])
        return Line(test.short, False, notes=[got.text, f"{model} fails otherwise: {predicted.text}"])
    both_pass = got.status is predicted.status is SelftestStatus.PASS
    if both_pass and got.observation != predicted.observation:
        return Line(test.short, False, notes=[f"{got.observation}, but {predicted.observation} on {model}"])
    line = _line(test, got)
    comparable = got.status in (SelftestStatus.PASS, SelftestStatus.FAIL)
    if comparable and predicted.status not in (got.status, SelftestStatus.SKIP):
        line.ok = False
        why = f": {predicted.text}" if predicted.text else ""
        line.notes.append(f"{model} {predicted.status.value}{why}")
    return line


def _splat_line(test: Selftest, got: SelftestOutcome, predicted: SelftestOutcome, design: Design) -> Line:
    """Result line of a kernel that logs a warning or a bug, where its model logs none."""
    model = f"the model of {design.name}"
    log = _log(got)
    if predicted.splat:
        reason = test.lacks(design) or f"so does {model}"
        return Line(test.short, False, Directive.XFAIL, reason, [*log, f"{model}: {predicted.text}"])
    notes = [got.text] if got.text else []
    return Line(test.short, False, notes=[test.purpose, f"watches: {test.watches}", *notes, *log])


def _line(test: Selftest, got: SelftestOutcome) -> Line:
    """Result line of an outcome on its own."""
    notes = [*got.notes, *_log(got)]
    if got.status is SelftestStatus.SKIP:
        return Line(test.short, True, Directive.SKIP, got.text)
    if got.status is SelftestStatus.PASS:
        return Line(test.short, True, notes=notes)
    directive = _DIRECTIVES.get(got.status, Directive.NONE)
    return Line(test.short, False, directive, notes=[test.purpose, f"watches: {test.watches}", got.text, *notes])


def _log(got: SelftestOutcome) -> list[str]:
    return [f"kernel log: {text}" for text in got.complaints]


def run(
    tests: list[Selftest], kernel: Kernel | None, design: Design, processor: Processor = EMULATING,
    opted_in: Collection[str] = (),
) -> Iterator[SelftestResult]:  # fmt: skip
    """Run tests on a kernel that `design` models on a processor, or on the model itself if `kernel` is None.

    On a kernel, a test with `opt_in` is skipped unless `opted_in` has its full name.
    """

    def model() -> Machine:
        return ModelMachine(design, processor=processor)

    for test in tests:
        if kernel is None:
            got = run_on(model, test, MODEL_SECONDS)
            yield SelftestResult(test=test, outcome=got, line=judge_model(test, got, design))
            continue
        got = _not_opted_in(test) if test.opt_in and test.name not in opted_in else kernel(test)
        skipped = got.status is SelftestStatus.SKIP
        predicted = SelftestOutcome(status=SelftestStatus.SKIP) if skipped else run_on(model, test, MODEL_SECONDS)
        yield SelftestResult(test=test, outcome=got, line=judge_kernel(test, got, predicted, design))


def _not_opted_in(test: Selftest) -> SelftestOutcome:
    text = f"opt-in: {test.opt_in}; to run it, name it: pfncache selftest {test.name}"
    return SelftestOutcome(status=SelftestStatus.SKIP, text=text)
