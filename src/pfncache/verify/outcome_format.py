# SPDX-License-Identifier: GPL-2.0-only
"""An outcome as JSON and back, whole: with the traces of its violations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.reach import TargetResult
from pfncache.verify.trace import Trace, TraceRow


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON has it; the lines that it covers are left out."""
    return {
        "scenario": outcome.scenario,
        "verdict": outcome.verdict.value,
        "violations": [_violation_as_json(violation) for violation in outcome.violations],
        "states": outcome.states,
        "transitions": outcome.transitions,
        "seconds": outcome.seconds,
        "bounds": outcome.bounds,
        "limit": outcome.limit,
        "targets": [[t.target, t.reached, t.required, t.unreachable] for t in outcome.targets],
        "used": sorted(outcome.used),
    }


def _violation_as_json(violation: Violation) -> dict[str, Any]:
    trace = violation.trace
    rows = [row.as_json() for row in trace.rows] if trace is not None else []
    shown = {"actors": list(trace.actors), "rows": rows, "reason": trace.reason, "loop": trace.loop} if trace else None
    calls = [list(call) for call in violation.calls]
    return {"property": violation.property, "reason": violation.reason, "trace": shown, "calls": calls}


def outcome_of(known: Mapping[str, Any]) -> Outcome:
    """Return the outcome that was written as JSON."""
    numbers = {name: known[name] for name in ("scenario", "states", "transitions", "seconds", "bounds", "limit")}
    return Outcome(
        **numbers,
        verdict=Verdict(known["verdict"]),
        violations=tuple(map(_violation, known["violations"])),
        targets=tuple(TargetResult(target=t, reached=r, required=q, unreachable=u) for t, r, q, u in known["targets"]),
        used=frozenset(known["used"]),
    )


def _violation(known: Mapping[str, Any]) -> Violation:
    shown = known["trace"]
    trace = None
    if shown is not None:
        rows = tuple(TraceRow(**{**row, "changes": tuple(row["changes"])}) for row in shown["rows"])
        trace = Trace(actors=tuple(shown["actors"]), rows=rows, reason=shown["reason"], loop=shown["loop"])
    calls = tuple((function, line) for function, line in known["calls"])
    return Violation(property=known["property"], reason=known["reason"], trace=trace, calls=calls)
