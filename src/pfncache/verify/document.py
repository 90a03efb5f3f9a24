# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document of a run: docs/reference/verify.schema.json describes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from pfncache.series.change import SourceChange
from pfncache.verify.comparison import AgainstBase, Comparison
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.minimised import Minimised
from pfncache.verify.outcome import Violation
from pfncache.verify.run_record import RunRecord

SCHEMA = 2
"""Version of the JSON document."""


def document(designs: Sequence[DesignOutcome], run: RunRecord) -> dict[str, Any]:
    """Return the whole run as one JSON document."""
    return {**run.members(SCHEMA), "designs": [_design(design) for design in designs]}


def print_document(designs: Sequence[DesignOutcome], run: RunRecord) -> None:
    """Print the document on standard output."""
    click.echo(json.dumps(document(designs, run), indent=1))


def _design(design: DesignOutcome) -> dict[str, Any]:
    comparisons = design.comparisons
    compared = design.base is not None
    return {
        "design": design.design,
        "title": design.title,
        "patches": list(design.patches),
        "base": design.base,
        "verdict": design.verdict,
        "space": asdict(design.space) if design.space is not None else None,
        "dimensions": [{"property": name, **asdict(located)} for name, located in design.located.items()],
        "minimised": [_minimised(one, design) for one in design.minimised] if design.minimised is not None else None,
        "coverage": design.coverage.as_json() if design.coverage is not None else None,
        "changes": [change_as_json(change) for change in design.changes] if design.changes is not None else None,
        "scenarios": [
            _scenario(comparison, compared) | {"unaffected": comparison.outcome.scenario in design.unaffected}
            for comparison in comparisons
        ],
    }


def _minimised(found: Minimised, design: DesignOutcome) -> dict[str, Any]:
    return {
        "found_in": found.found_in,
        "scenario": found.scenario,
        "needed": dict(found.needed),
        "left_out": list(found.left_out),
        "bounds": found.outcome.bounds,
        "searches": found.searches,
        "violation": _violation(found.violation) | {"against_base": AgainstBase.NEW if design.base else None},
    }


def change_as_json(change: SourceChange) -> dict[str, Any]:
    """Return a change of the source as the schemas have it."""
    return {
        "kind": change.kind,
        "name": change.name,
        "file": change.file,
        "line": change.line,
        "how": change.how,
        "status": change.status,
        "reason": change.what,
        "barriers": list(change.barriers),
    }


def _scenario(comparison: Comparison, compared: bool) -> dict[str, Any]:
    outcome = comparison.outcome
    return {
        "scenario": outcome.scenario,
        "verdict": outcome.verdict,
        "reason": outcome.limit,
        "violations": [
            _violation(v) | {"against_base": comparison.against_base(v) if compared else None}
            for v in outcome.violations
        ],
        "cured": [{"property": v.property, "place": v.place, "reason": v.reason} for v in comparison.cured],
        "reached": [result.as_json() for result in outcome.targets],
        "states": outcome.states,
        "transitions": outcome.transitions,
        "seconds": round(outcome.seconds, 3),
        "bounds": outcome.bounds,
    }


def _violation(violation: Violation) -> dict[str, Any]:
    trace = violation.trace
    return {
        "property": violation.property,
        "place": violation.place,
        "calls": [{"function": function, "text": text} for function, text in violation.calls],
        "reason": violation.reason,
        "trace": [row.as_json() for row in trace.rows] if trace is not None else [],
        "loop": trace.loop if trace is not None else None,
    }
