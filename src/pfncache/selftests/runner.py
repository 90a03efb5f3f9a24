# SPDX-License-Identifier: GPL-2.0-only
"""Run selftests, each in a process of its own, and judge their outcomes.

On a kernel, the model predicts each outcome: the same test runs on the model of the kernel's design.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from pfncache.designs.design import Design
from pfncache.machines.capabilities import EMULATING, Processor
from pfncache.machines.host import pace
from pfncache.machines.machine import Machine
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.ktap import Directive, Line
from pfncache.selftests.outcome import OpenMachine, SelftestOutcome, SelftestStatus, run_on
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.targets import Kernel

MODEL_SECONDS = 20.0
"""Bound of a test on the model."""
BETTER = "differs from its model: passes a test that the model fails"
"""Reason of a kernel's XPASS."""
BETTER_DESIGN = "passes, although designs without the patches that the catalogue knows for it fail"
"""Reason of a design's XPASS."""
_DIRECTIVES = {SelftestStatus.HANG: Directive.TIMEOUT, SelftestStatus.CRASH: Directive.ERROR}


class SelftestVerdict(enum.Enum):
    """Verdict on an outcome; the value is the one of the JSON schema."""

    OK = "ok"
    XFAIL = "xfail"
    XPASS = "xpass"
    """Passes, where a failure was expected: the kernel is better than its model. No failure, unless it is strict."""
    SKIP = "skip"
    FAILED = "failed"


_VERDICTS = {
    Directive.SKIP: SelftestVerdict.SKIP,
    Directive.XFAIL: SelftestVerdict.XFAIL,
    Directive.XPASS: SelftestVerdict.XPASS,
}
"""Verdicts that a directive expresses."""


@dataclass(frozen=True, kw_only=True)
class SelftestResult:
    """A test with its outcome and its result line."""

    test: Selftest
    outcome: SelftestOutcome
    line: Line

    @property
    def verdict(self) -> SelftestVerdict:
        """Verdict that the result line expresses."""
        by_directive = _VERDICTS.get(self.line.directive)
        if by_directive is not None:
            return by_directive
        return SelftestVerdict.OK if self.line.ok else SelftestVerdict.FAILED


def judge_model(test: Selftest, got: SelftestOutcome, design: Design) -> Line:
    """Require the model to pass, unless its design is known to lack something; if it passes then, it is better."""
    lacks = test.lacks(design)
    if got.status is SelftestStatus.FAIL and lacks:
        return Line(test.short, True, Directive.XFAIL, lacks, [got.text])
    if got.status is SelftestStatus.PASS and lacks:
        return Line(test.short, True, Directive.XPASS, f"{BETTER_DESIGN}: {lacks}", [*got.notes])
    return _line(test, got)


def judge_kernel(test: Selftest, got: SelftestOutcome, predicted: SelftestOutcome, design: Design) -> Line:
    """Require a kernel to do what its model does, or to pass where the model fails."""
    model = f"the model of {design.name}"
    lacks = test.lacks(design)
    if got.complaints and not predicted.complaints:
        return _splat_line(test, got, predicted, design)
    if got.status is predicted.status is SelftestStatus.FAIL:
        if predicted.splat and lacks:
            # The model stops at the violation, as with KASAN; a kernel without it goes on, and fails later.
            return Line(test.short, True, Directive.XFAIL, lacks, [got.text, f"{model}: {predicted.text}"])
        if got.text == predicted.text:
            reason = lacks or f"so does {model}"
            return Line(test.short, True, Directive.XFAIL, reason, [got.text, *got.notes])
        return Line(test.short, False, notes=[got.text, f"{model} fails otherwise: {predicted.text}"])
    both_pass = got.status is predicted.status is SelftestStatus.PASS
    if both_pass and got.observation != predicted.observation:
        return Line(test.short, False, notes=[f"{got.observation}, but {predicted.observation} on {model}"])
    if got.status is SelftestStatus.PASS and predicted.status is SelftestStatus.FAIL:
        return Line(test.short, True, Directive.XPASS, BETTER, [f"{model} fails: {predicted.text}", *got.notes])
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
        return Line(test.short, True, Directive.XFAIL, reason, [*log, f"{model}: {predicted.text}"])
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
    opted_in: Collection[str] = (), strict: bool = False,
) -> Iterator[SelftestResult]:  # fmt: skip
    """Run tests on a kernel that `design` models on a processor, or on the model itself if `kernel` is None.

    On a kernel, a test with `opt_in` is skipped unless `opted_in` has its full name. A test that fails by a time-out
    alone is run once more. If `strict`, a test that passes where a failure was expected is not ok.
    """

    def model() -> Machine:
        return ModelMachine(design, processor=processor)

    for test in tests:
        if kernel is None:
            result = _repeated(
                test, lambda t: run_on(model, t, pace.bound(MODEL_SECONDS)), lambda t, g: judge_model(t, g, design)
            )
        elif test.opt_in and test.name not in opted_in:
            got = _not_opted_in(test)
            result = SelftestResult(test=test, outcome=got, line=judge_model(test, got, design))
        else:
            result = _repeated(test, kernel, _Prediction(model, design))
        if strict and result.verdict is SelftestVerdict.XPASS:
            result.line.ok = False
        yield result


class _Prediction:
    """Judges outcomes of one test on a kernel by that on the model, which is run once, when it is needed."""

    def __init__(self, model: OpenMachine, design: Design) -> None:
        self._model = model
        self._design = design
        self._predicted: SelftestOutcome | None = None

    def __call__(self, test: Selftest, got: SelftestOutcome) -> Line:
        """Return the result line of an outcome."""
        if got.status is SelftestStatus.SKIP:
            return judge_kernel(test, got, got, self._design)
        if self._predicted is None:
            self._predicted = run_on(self._model, test, pace.bound(MODEL_SECONDS))
            if self._predicted.timed_out:
                self._predicted = run_on(self._model, test, pace.bound(MODEL_SECONDS))
        return judge_kernel(test, got, self._predicted, self._design)


def _repeated(test: Selftest, kernel: Kernel, judge: Callable[[Selftest, SelftestOutcome], Line]) -> SelftestResult:
    """Run and judge a test; once more if it fails by a time-out alone. Both outcomes are reported."""
    got = kernel(test)
    result = SelftestResult(test=test, outcome=got, line=judge(test, got))
    if result.verdict is not SelftestVerdict.FAILED or not got.timed_out:
        return result
    first = f"{got.text} (a time-out)"
    again = kernel(test)
    line = judge(test, again)
    line.notes.insert(0, f"first run: {first}; second run: it {again.status.value}")
    return SelftestResult(test=test, outcome=replace(again, earlier=first), line=line)


def _not_opted_in(test: Selftest) -> SelftestOutcome:
    text = f"opt-in: {test.opt_in}; to run it, name it: pfncache selftest {test.name}"
    return SelftestOutcome(status=SelftestStatus.SKIP, text=text)
