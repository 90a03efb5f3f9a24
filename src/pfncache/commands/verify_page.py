# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify --html``: what was found, as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.commands.exit_status import ExitStatus

if TYPE_CHECKING:
    from pfncache.designs.design import Design
    from pfncache.review.explorer.finding import ExplorerFinding
    from pfncache.verify.session import Session


class Unwritable(click.ClickException):
    """The file cannot be written."""

    exit_code = ExitStatus.OUTPUT


def write(session: Session, path: Path, command_of: Callable[[Design], str]) -> None:
    """Record what a session has found, and write the page."""
    from pfncache.progress import progress
    from pfncache.review.explorer.findings import findings_of

    with progress("verify", 0, work="interleavings recorded") as advance:
        findings = findings_of(session, command_of, lambda name: advance(name, ""))
    names = ", ".join(dict.fromkeys(design.name for design in session.designs))
    write_explorer(findings, f"pfncache verify: {names}", path)


def write_explorer(findings: Sequence[ExplorerFinding], title: str, path: Path) -> None:
    """Write the page of some findings. Raises Unwritable."""
    from pfncache.review.explorer.findings import write_page

    try:
        write_page(findings, title, path)
    except OSError as error:
        raise Unwritable(f"--html {path}: {error.strerror}") from None
