# SPDX-License-Identifier: GPL-2.0-only
"""The violations of a report for the explorer: each with every step of its shortest interleaving."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pfncache.designs.design import Design
from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.review.report import ReviewFinding, ReviewReport
from pfncache.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from pfncache.review.explorer.recording import Recording


def explorer_findings(
    report: ReviewReport,
    designs: Mapping[int, Design],
    scenarios: Mapping[str, Scenario],
    command: str,
    on_recorded: Callable[[str], None] = lambda name: None,
) -> Iterator[ExplorerFinding]:
    """Yield the findings of a report that have an interleaving, recorded where that is possible.

    `designs` has the series up to each patch, by its number; `scenarios` those that were searched, by name. `command`
    is that of the review, to which the scenario of a finding is added.
    """
    for finding in report.findings:
        if finding.trace is not None and finding.patch is not None:
            yield ExplorerFinding(
                design=f"{finding.patch}/{len(report.patches)} {_subject(report, finding.patch)}",
                scenario=finding.scenario,
                property=finding.violated,
                verdict=f"{finding.kind}, not in {report.base}",
                message=finding.trace.reason,
                command=f"{command} -s {shlex.quote(finding.scenario)}",
                trace=finding.trace,
                recording=_recording(finding, designs.get(finding.patch), scenarios.get(finding.scenario)),
            )
            on_recorded(f"{finding.patch} {finding.scenario}")


def _subject(report: ReviewReport, number: int) -> str:
    return next((patch.subject for patch in report.patches if patch.number == number), "")


def _recording(finding: ReviewFinding, design: Design | None, scenario: Scenario | None) -> Recording | None:
    """Return every step; None where the trace alone is known."""
    from pfncache.review.explorer.recorder import recording_of  # noqa: PLC0415 (it imports Numba)

    if design is None or scenario is None or finding.trace is None:
        return None
    return recording_of(design, scenario, finding.trace.schedule, finding.violated)
