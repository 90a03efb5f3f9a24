# SPDX-License-Identifier: GPL-2.0-only
"""What the operations of a scenario may return: selftests assert errnos in the same way."""

from __future__ import annotations

from dataclasses import replace

from pfncache.check.system import Actor, Call
from pfncache.lang.call_result import CallResult


def returns(call: Call, *allowed: int) -> Call:
    """Return the call with the numbers that it may return; another one violates wrong-result.

    The numbers are all that mainline returns in some interleaving, and no other: an errno is negative. A call that only
    may fail is not required to succeed.
    """
    if not allowed or any(type(number) is not int for number in allowed):
        raise TypeError(f"the results of {call} are numbers, at least one, not {allowed}")
    return replace(call, allowed=allowed, result=CallResult(f"{call.function.__name__}()"))


def named_results(actor: str, calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Return the calls of an actor; each result that is compared gets a name from its actor, and a number."""
    for number, call in enumerate(calls, start=1):
        if call.allowed and call.result is not None:
            call.result.record_name = f"{actor}: {call.function.__name__}() as call {number}"
    return calls


def expected_results(actors: list[Actor]) -> tuple[tuple[CallResult, tuple[int, ...]], ...]:
    """Return the results that are compared, each with what it may be."""
    calls = [call for actor in actors for call in actor.calls]
    return tuple((call.result, call.allowed) for call in calls if call.allowed and call.result is not None)
