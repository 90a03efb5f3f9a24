# SPDX-License-Identifier: GPL-2.0-only
"""One run of litmus tests: all of them at the same time, and what was found until it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from pfncache.interrupts import Terminated, raising
from pfncache.litmus.fit import Fitted, fit
from pfncache.litmus.herd import HerdError
from pfncache.litmus.judge import judge
from pfncache.litmus.observe import STOPPED, MemoryModel
from pfncache.litmus.protocol import LitmusTest, LitmusVerdict
from pfncache.litmus.result import LitmusResult
from pfncache.litmus.source import KernelSource

UNANSWERED = (LitmusVerdict.OUT_OF_DATE, LitmusVerdict.UNKNOWN)


@dataclass(kw_only=True)
class LitmusSession:
    """The tests as a kernel has them, and their results as far as they are known."""

    kernel: str
    """What the C is from, in words."""
    fitted: list[Fitted]
    model: MemoryModel
    processes: int | None = None
    with_variants: bool = True
    interrupted: KeyboardInterrupt | Terminated | None = None
    """What ended the run early."""
    _found: dict[str, LitmusResult] = field(default_factory=dict)

    @classmethod
    def plan(
        cls, tests: Sequence[LitmusTest], source: KernelSource, model: MemoryModel, *, kernel: str,
        processes: int | None = None, with_variants: bool = True,
    ) -> LitmusSession:  # fmt: skip
        """Return the session that asks about the tests, as the C of a kernel has them."""
        fitted = [fit(test, source) for test in tests]
        return cls(kernel=kernel, fitted=fitted, model=model, processes=processes, with_variants=with_variants)

    def run(self, on_done: Callable[[LitmusResult], None] = lambda result: None) -> None:
        """Ask herd7. Ctrl-C and SIGTERM end the run; what was not asked is unknown."""
        pool = ThreadPoolExecutor(self.processes or len(os.sched_getaffinity(0)))
        try:
            with raising():
                # The tests with the most steps take longest, so they begin first.
                longest = sorted(self.fitted, key=lambda f: -sum(map(len, f.threads)))
                futures: list[Future[LitmusResult]] = [pool.submit(self._judged, one) for one in longest]
                for future in as_completed(futures):
                    result = future.result()
                    self._found[result.test.name] = result
                    on_done(result)
        except (KeyboardInterrupt, Terminated) as reason:
            self.interrupted = reason
            self.model.stopped.set()
        finally:
            pool.shutdown(cancel_futures=True)

    def _judged(self, fitted: Fitted) -> LitmusResult:
        try:
            return judge(fitted, self.model, with_variants=self.with_variants)
        except HerdError as error:
            return _unknown(fitted, str(error))

    @property
    def is_worse(self) -> bool:
        """Whether a verdict is worse than it is expected to be."""
        order = list(LitmusVerdict)
        known = (r for r in self.results if r.verdict not in UNANSWERED)
        return any(order.index(r.verdict) > order.index(r.test.expected) for r in known)

    @property
    def is_incomplete(self) -> bool:
        """Whether a test has no answer."""
        return any(r.verdict in UNANSWERED for r in self.results)

    @property
    def results(self) -> list[LitmusResult]:
        """The results in the order of the tests."""
        return [self._found.get(one.test.name) or _unknown(one, STOPPED) for one in self.fitted]


def _unknown(fitted: Fitted, reason: str) -> LitmusResult:
    return LitmusResult(
        test=fitted.test, verdict=LitmusVerdict.UNKNOWN, differences=fitted.differences, reasons=(reason,)
    )
