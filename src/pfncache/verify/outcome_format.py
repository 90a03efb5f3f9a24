# SPDX-License-Identifier: GPL-2.0-only
"""An outcome as JSON and back, whole: with the traces of its violations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.reach import TargetResult
from pfncache.verify.trace import Schedule, Trace, TraceRow


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
    shown = _trace_as_json(trace) if trace is not None else None
    calls = [list(call) for call in violation.calls]
    return {"property": violation.property, "reason": violation.reason, "trace": shown, "calls": calls}


def _trace_as_json(trace: Trace) -> dict[str, Any]:
    return {
        "actors": list(trace.actors),
        "rows": [row.as_json() for row in trace.rows],
        "reason": trace.reason,
        "loop": trace.loop,
        "schedule": asdict(trace.schedule) if trace.schedule is not None else None,
    }


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
    trace = _trace(known["trace"]) if known["trace"] is not None else None
    calls = tuple((function, line) for function, line in known["calls"])
    return Violation(property=known["property"], reason=known["reason"], trace=trace, calls=calls)


def _trace(known: Mapping[str, Any]) -> Trace:
    rows = tuple(TraceRow(**{**row, "changes": tuple(row["changes"])}) for row in known["rows"])
    plan = known["schedule"]
    steps = tuple((actor, outcome) for actor, outcome in plan["steps"]) if plan is not None else ()
    schedule = Schedule(steps=steps, start=plan["start"], loop=plan["loop"]) if plan is not None else None
    return Trace(
        actors=tuple(known["actors"]), rows=rows, reason=known["reason"], loop=known["loop"], schedule=schedule
    )
