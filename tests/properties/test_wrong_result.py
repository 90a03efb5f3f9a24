# SPDX-License-Identifier: GPL-2.0-only
"""wrong-result: an operation returns what Linux does not return there."""

from __future__ import annotations

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.lang.call_result import CallResult
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run
from tests.linux.conftest import Host, reported


def test_results_that_are_compared(host: Host) -> None:
    result = CallResult("an ioctl")
    host.kernel.expected_results = ((result, (0, -14)),)
    for returned in (0, -14):
        result.returned = returned
        host.kernel.trace_quiescent(host.kvm)
    for returned in (1, -22, -11):
        result.returned = returned
        with reported("wrong-result"):
            host.kernel.trace_quiescent(host.kvm)


class AnyLength(Patch, Pfncache):
    """Refresh a cache for any length."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Refresh it for one byte, which is always allowed."""
        return super().kvm_gpc_refresh(gpc, 1)


def searched(design: Design) -> Outcome:
    return run(Job(design, DEFAULT_SCENARIOS["refused/length"], 10_000))


def test_a_refresh_that_should_have_failed() -> None:
    mainline = searched(mainline_7_3)
    assert (mainline.verdict, mainline.states) == (Verdict.HOLDS, 860)
    outcome = searched(mainline_7_3 + [AnyLength])
    assert outcome.verdict == Verdict.VIOLATED
    assert outcome.properties == ("wrong-result",)
    (found,) = outcome.violations
    assert found.trace is not None
    assert found.trace.reason == "vmm: refresh_cache() as call 3 has returned 0, not one of (-22,)"
