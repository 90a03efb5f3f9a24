# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document of a comparison: docs/reference/fidelity.schema.json describes it."""

from __future__ import annotations

import json
from typing import Any

import click

from pfncache.fidelity.kernel_pair import KernelPair
from pfncache.fidelity.result import FinalDifference, ScenarioFidelity, SideResult
from pfncache.fidelity.session import FidelitySession
from pfncache.series.change import SourceChange
from pfncache.verify.document import change_as_json
from pfncache.verify.run_record import RunRecord

SCHEMA = 1
"""Version of the JSON document."""


def document(session: FidelitySession | None, run: RunRecord) -> dict[str, Any]:
    """Return the whole run as one JSON document; what was not begun is null."""
    return {
        **run.members(SCHEMA),
        "kernel": _kernel(session.pair) if session is not None else None,
        "agreement": session.agreement if session is not None else None,
        "scenarios": [_scenario(found) for found in session.scenarios] if session is not None else [],
    }


def print_document(session: FidelitySession | None, run: RunRecord) -> None:
    """Print the document on standard output."""
    click.echo(json.dumps(document(session, run), indent=1))


def _kernel(pair: KernelPair) -> dict[str, Any]:
    return {
        "version": pair.version,
        "tree": str(pair.tree),
        "reference": pair.reference.name,
        "subject": pair.subject.name,
        "refused": [_refused(change, pair.explained) for change in pair.refused],
        "since": pair.since or None,
        "changes": [change_as_json(change) for change in pair.changes],
    }


def _refused(change: SourceChange, explained: dict[str, str]) -> dict[str, Any]:
    return {
        "name": change.name,
        "file": change.file,
        "line": change.line,
        "reason": change.what,
        "explained": explained.get(change.name),
    }


def _scenario(found: ScenarioFidelity) -> dict[str, Any]:
    return {
        "scenario": found.scenario,
        "agreement": found.agreement,
        "reason": found.reason or None,
        "reference": _side(found.reference),
        "subject": _side(found.subject),
        "final_states": [_final(difference) for difference in found.finals],
    }


def _side(side: SideResult) -> dict[str, Any]:
    return {
        "verdict": side.verdict,
        "properties": list(side.properties),
        "states": side.states,
        "final": side.final,
        "limit": side.limit,
    }


def _final(difference: FinalDifference) -> dict[str, Any]:
    return {
        "design": difference.design,
        "count": difference.count,
        "example": [
            {"variable": one.name, "reference": one.reference, "subject": one.subject} for one in difference.example
        ],
    }
