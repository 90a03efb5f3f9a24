# SPDX-License-Identifier: GPL-2.0-only
"""An operation returns something that Linux does not return there, as where a selftest asserts an errno."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class ResultProbe(Oracle):
    """Compares what operations have returned with what a scenario allows, in the state in which all have ended."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require of each such operation that it has returned one of the numbers."""
        super().trace_quiescent(kvm)
        for result, allowed in self.expected_results:
            expected: bool = False
            for number in allowed:
                if result.returned == number:
                    expected = True
            if not expected:
                report("wrong-result", f"{result} has returned {result.returned}, not one of {allowed}")


WRONG_RESULT = Property(
    "wrong-result",
    "an operation has returned a number, such as 0 for an error or another errno, that Linux does not return there",
    ResultProbe,
)
