# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache review --html``: the violations, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pfncache.commands.verify_page import write_explorer

if TYPE_CHECKING:
    from pfncache.review.report import ReviewReport
    from pfncache.review.session import ReviewSession


def write(session: ReviewSession, report: ReviewReport, path: Path, command: str) -> None:
    """Record the violations of a report, and write the page."""
    from pfncache.progress import progress
    from pfncache.review.page import explorer_findings

    with progress("review", 0, work="interleavings recorded") as advance:
        findings = list(
            explorer_findings(report, session.designs, session.scenarios, command, lambda name: advance(name, ""))
        )
    write_explorer(findings, f"pfncache review: {report.title or report.name}", path)
