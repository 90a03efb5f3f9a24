# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document of a run of litmus tests: docs/reference/litmus.schema.json describes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click

from pfncache.litmus.affected import AffectedTests, LitmusChange
from pfncache.litmus.generated.result import AccessPlace, CycleResult, RaceResult, ScenarioResult
from pfncache.litmus.generated.session import GeneratedSession
from pfncache.litmus.result import LitmusResult, RemovalResult
from pfncache.litmus.session import LitmusSession
from pfncache.verify.run_record import RunRecord

SCHEMA = 1
"""Version of the JSON document."""


@dataclass
class LitmusFindings:
    """What a run has found so far; of the three, one."""

    kernel: str = ""
    """What the C is from, in words."""
    tests: LitmusSession | None = None
    changed: AffectedTests | None = None
    scenarios: GeneratedSession | None = None


def document(found: LitmusFindings, run: RunRecord) -> dict[str, Any]:
    """Return the whole run as one JSON document."""
    return {
        **run.members(SCHEMA),
        "kernel": found.kernel or None,
        "tests": [_test(result) for result in found.tests.results] if found.tests is not None else [],
        "changes": [_change(change) for change in found.changed.changes] if found.changed is not None else [],
        "same": list(found.changed.same) if found.changed is not None else [],
        "scenarios": [_scenario(result) for result in found.scenarios.results] if found.scenarios is not None else [],
    }


def print_document(found: LitmusFindings, run: RunRecord) -> None:
    """Print the document on standard output."""
    click.echo(json.dumps(document(found, run), indent=1))


def _test(result: LitmusResult) -> dict[str, Any]:
    return {
        "test": result.test.name,
        "verdict": result.verdict,
        "expected": result.test.expected,
        "protects": result.test.protects,
        "reasons": list(result.reasons),
        "differences": list(result.differences),
        "text": result.text or None,
        "removals": [_removal(finding) for finding in result.findings],
    }


def _removal(finding: RemovalResult) -> dict[str, Any]:
    event = finding.event
    return {
        "thread": finding.thread,
        "event": str(event),
        "removal": finding.removal,
        "function": event.function,
        "place": event.place,
        "need": finding.need,
        "race": finding.is_race,
    }


def _change(change: LitmusChange) -> dict[str, Any]:
    return {
        "test": change.name,
        "before": change.before.verdict,
        "after": change.after.verdict,
        "worse": change.is_worse,
        "differences": list(change.differences),
        "gone": [_removal(finding) for finding in change.gone],
        "new_races": [_removal(finding) for finding in change.new_races],
        "reasons": list(change.after.reasons),
    }


def _scenario(result: ScenarioResult) -> dict[str, Any]:
    return {
        "scenario": result.scenario,
        "verdict": result.verdict,
        "error": result.error or None,
        "operations": result.operations,
        "cycles": [_cycle(cycle) for cycle in result.cycles],
        "races": [_race(race) for race in result.races],
        "outside": list(result.outside),
        "left_out": result.left_out,
        "cut": list(result.cut),
        "seconds": round(result.seconds, 3),
    }


def _cycle(result: CycleResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict,
        "reason": result.reason or None,
        "barriers": list(result.barriers),
        "text": result.text,
        "cycles": [[[_place(place) for place in thread] for thread in cycle] for cycle in result.cycles],
    }


def _race(result: RaceResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict,
        "reason": result.reason or None,
        "accesses": [_place(place) for place in result.places],
    }


def _place(place: AccessPlace) -> dict[str, Any]:
    return {
        "kind": place.kind,
        "order": place.order or None,
        "variable": place.variable,
        "function": place.frame.function,
        "file": place.frame.file,
        "line": place.frame.line,
    }
