# SPDX-License-Identifier: GPL-2.0-only
"""What an earlier review had found, of an older version of the series or of the day before: it counts no more."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from pfncache.review.report import ReviewReport, Weight


@dataclass(frozen=True)
class Earlier:
    """The findings of an earlier review, by their identity, with their text."""

    findings: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Earlier:
        """Return the findings of the document that an earlier review has printed. Raises a usage error."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            review = found["review"]
            return cls({(f["kind"], f["subject"]): f["text"] for f in review["findings"] if f["weight"] != Weight.NOTE})
        except OSError as error:
            raise click.UsageError(f"--since {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise click.UsageError(f"--since {path} is no document of `pfncache review --json`") from None

    def compared(self, report: ReviewReport) -> ReviewReport:
        """Return a report in which findings of the earlier review are known, with those that are gone."""
        if not self.findings:
            return report
        mine = {finding.identity for finding in report.findings}
        findings = tuple(replace(finding, is_known=finding.identity in self.findings) for finding in report.findings)
        gone = tuple(text for identity, text in self.findings.items() if identity not in mine)
        return replace(report, findings=findings, gone=gone)
