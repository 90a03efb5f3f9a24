# SPDX-License-Identifier: GPL-2.0-only
"""What the explorer shows: a finding, with its interleaving."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.review.explorer.recording import Recording
from pfncache.verify.trace import Trace


@dataclass(frozen=True, kw_only=True)
class ExplorerFinding:
    """A violated property, in words, and the interleaving that shows it."""

    design: str
    scenario: str
    property: str
    verdict: str
    """In a word or two: "violated", or "as mainline-7.3"."""
    message: str
    """Why it is a violation, with values."""
    command: str = ""
    """What shows it again."""
    trace: Trace | None = None
    """None for what no single interleaving shows, as a cycle in the order of locks."""
    recording: Recording | None = None
    """Every step of the trace, with the state; None for a finding whose page shows the rows of the trace alone."""
