# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document of a review; docs/reference/review.schema.json has its members."""

from __future__ import annotations

import json
from typing import Any

import click

from pfncache.review.report import PatchReview, ReviewFinding, ReviewReport, StageRecord
from pfncache.verify.document import change_as_json
from pfncache.verify.run_record import RunRecord
from pfncache.verify.trace import Trace

SCHEMA = 1
"""Version of the JSON document."""


def document(report: ReviewReport | None, run: RunRecord) -> dict[str, Any]:
    """Return a review as one JSON document; without a report, that of a run that has not begun."""
    return {**run.members(SCHEMA), "review": _report(report) if report is not None else None}


def print_document(report: ReviewReport | None, run: RunRecord) -> None:
    """Print the document on standard output."""
    click.echo(json.dumps(document(report, run), indent=1))


def _report(report: ReviewReport) -> dict[str, Any]:
    return {
        "series": report.name,
        "title": report.title,
        "series_version": report.version,
        "base": report.base,
        "verdict": report.verdict,
        "notes": list(report.notes),
        "patches": [_patch(patch) for patch in report.patches],
        "findings": [_finding(finding) for finding in report.findings],
        "gone": list(report.gone),
        "searched": report.scenarios,
        "unaffected": report.unaffected,
        "states": report.states,
        "stages": [_stage(stage) for stage in report.stages],
    }


def _patch(patch: PatchReview) -> dict[str, Any]:
    return {
        "number": patch.number,
        "subject": patch.subject,
        "files": list(patch.files),
        "state": patch.state,
        "reason": patch.reason,
        "changes": [change_as_json(change) for change in patch.changes],
        "verdict": patch.verdict,
        "new": patch.new,
        "unchanged": patch.unchanged,
        "cured": patch.cured,
    }


def _finding(finding: ReviewFinding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "weight": finding.weight,
        "subject": finding.subject,
        "text": finding.text,
        "patch": finding.patch,
        "place": finding.place,
        "quoted": list(finding.quoted),
        "details": list(finding.details),
        "scenario": finding.scenario,
        "known": finding.is_known,
        "trace": _trace(finding.trace) if finding.trace is not None else None,
    }


def _trace(trace: Trace) -> dict[str, Any]:
    return {
        "actors": list(trace.actors),
        "steps": [row.as_json() for row in trace.rows],
        "loop": trace.loop,
        "end": trace.reason,
    }


def _stage(stage: StageRecord) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "state": stage.state,
        "text": stage.text,
        "seconds": round(stage.seconds, 3),
        "wanted": stage.is_wanted,
    }
