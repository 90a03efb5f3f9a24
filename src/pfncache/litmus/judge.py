# SPDX-License-Identifier: GPL-2.0-only
"""Asks the memory model about a test, as the C has it and with each barrier, lock and mark removed.

The order is that with every access marked, as a data race leaves nothing to be said of it; data races are those of the
accesses as the C has them.
"""

from __future__ import annotations

from pfncache.litmus.fit import Fitted
from pfncache.litmus.observe import MemoryModel
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.render import render
from pfncache.litmus.result import LitmusResult, Need, RemovalResult
from pfncache.litmus.step import marked
from pfncache.litmus.variants import Removal, Threads, can_race, variants


def judge(fitted: Fitted, model: MemoryModel, *, with_variants: bool = True) -> LitmusResult:
    """Return the result of a test as a kernel has it. Raises HerdError if herd7 does not answer."""
    if fitted.out_of_date:
        return LitmusResult(
            test=fitted.test,
            verdict=LitmusVerdict.OUT_OF_DATE,
            differences=fitted.differences,
            reasons=fitted.out_of_date,
        )
    return _Judge(fitted, model).result(with_variants)


class _Judge:
    def __init__(self, fitted: Fitted, model: MemoryModel) -> None:
        self._fitted = fitted
        self._model = model

    def result(self, with_variants: bool) -> LitmusResult:
        test, threads = self._fitted.test, self._fitted.threads
        text = render(test, threads)
        base = tuple(marked(steps) for steps in threads)
        is_broken = self._reached(base)
        races = self._model.races(text)
        verdict = LitmusVerdict.DATA_RACE if races else LitmusVerdict.ORDERED
        return LitmusResult(
            test=test,
            verdict=LitmusVerdict.BROKEN if is_broken else verdict,
            findings=self._findings(base, is_broken) if with_variants else (),
            differences=self._fitted.differences,
            text=text,
            events=tuple(tuple(step.event for step in steps) for steps in threads),
        )

    def _findings(self, base: Threads, is_broken: bool) -> tuple[RemovalResult, ...]:
        threads = self._fitted.threads
        found = list(variants(threads, base))
        racing = {
            (v.thread, v.place)
            for v in found
            if v.removal is Removal.UNMARKED and can_race(threads, v) and self._races(v.threads)
        }
        repaired = tuple(
            tuple(step if (number, place) not in racing else marked([step])[0] for place, step in enumerate(steps))
            for number, steps in enumerate(threads)
        )
        names = [thread.what for thread in self._fitted.test.threads]
        findings = []
        for variant, unmarked in zip(found, variants(threads, repaired), strict=True):
            if variant.removal is Removal.UNMARKED:
                need = Need.RACE if (variant.thread, variant.place) in racing else Need.NONE
            elif not is_broken and self._reached(variant.threads):
                need = Need.ORDER
            else:
                need = Need.RACE if self._races(unmarked.threads) else Need.NONE
            findings.append(RemovalResult(names[variant.thread], variant.removal, variant.event, need))
        return tuple(findings)

    def _reached(self, threads: Threads) -> bool:
        return self._model.reaches(render(self._fitted.test, threads))

    def _races(self, threads: Threads) -> bool:
        return self._model.races(render(self._fitted.test, threads))
