# SPDX-License-Identifier: GPL-2.0-only
"""Run selftests, each in a process of its own, and say what their results mean.

On a kernel, the model predicts each result: the same test runs on the model of the design that is taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pfncache.designs.design import Design
from pfncache.machines.capabilities import EMULATING, Processor
from pfncache.machines.machine import Machine
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.ktap import Line
from pfncache.selftests.outcome import Kind, Outcome, run_on
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.targets import Kernel

MODEL_SECONDS = 20.0


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
    if got.complaints and not predicted.complaints:
        return _splat(test, got, predicted, model, test.lacks(design))
    if got.kind is Kind.FAIL and predicted.splat and test.lacks(design):
        # The model's kernel has KASAN and stops at once; this one has not, and shows what came of it.
        return Line(test.short, False, "XFAIL", test.lacks(design), [got.text, f"{model}: {predicted.text}"])
    if got.kind is Kind.FAIL and predicted.kind is Kind.FAIL:
        if got.text == predicted.text:
            return Line(test.short, False, "XFAIL", test.lacks(design) or f"so does {model}", [got.text, *got.notes])
        return Line(test.short, False, "", "", [got.text, f"{model} fails otherwise: {predicted.text}"])
    if got.kind is Kind.PASS and predicted.kind is Kind.PASS and got.observation != predicted.observation:
        differs = f"{got.observation}, but {predicted.observation} on {model}"
        return Line(test.short, False, "", "", [differs])
    line = _plain(test, got)
    if got.kind in (Kind.PASS, Kind.FAIL) and predicted.kind is not got.kind and predicted.kind is not Kind.SKIP:
        line.ok = False
        line.notes.append(f"{model} {predicted.kind.value}" + (f": {predicted.text}" if predicted.text else ""))
    return line


def _splat(test: Selftest, got: Outcome, predicted: Outcome, model: str, lacks: str) -> Line:
    """A kernel complains, and its model is not one that only takes note: it stops there, or has nothing to say."""
    says = [f"the kernel says: {text}" for text in got.complaints]
    if predicted.splat:
        return Line(test.short, False, "XFAIL", lacks or f"so does {model}", [*says, f"{model}: {predicted.text}"])
    notes = [got.text] if got.text else []
    return Line(test.short, False, "", "", [test.purpose, f"watches: {test.watches}", *notes, *says])


def _plain(test: Selftest, got: Outcome) -> Line:
    notes = [*got.notes, *(f"the kernel says: {text}" for text in got.complaints)]
    if got.kind is Kind.SKIP:
        return Line(test.short, True, "SKIP", got.text)
    if got.kind is Kind.PASS:
        return Line(test.short, True, notes=notes)
    directive = {Kind.HANG: "TIMEOUT", Kind.CRASH: "ERROR"}.get(got.kind, "")
    return Line(test.short, False, directive, "", [test.purpose, f"watches: {test.watches}", got.text, *notes])


def run(
    tests: list[Selftest], kernel: Kernel | None, design: Design, processor: Processor = EMULATING
) -> Iterator[Result]:
    """Run tests on a kernel that `design` models on a processor, or on the model of the design itself."""

    def model() -> Machine:
        return ModelMachine(design, processor=processor)

    for test in tests:
        if kernel is None:
            got = run_on(model, test, MODEL_SECONDS)
            yield Result(test, got, judge_model(test, got, design))
            continue
        got = kernel(test)
        predicted = Outcome(Kind.SKIP) if got.kind is Kind.SKIP else run_on(model, test, MODEL_SECONDS)
        yield Result(test, got, judge_kernel(test, got, predicted, design))
