# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache doctor``: what this host offers, which tests that enables, and how to get what is missing."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Show what this host offers, which tests that enables, and how to get what is missing.

    The model and the checker require none of it. Exit status: 0.
    """
    from rich.console import Console

    from pfncache.doctor import findings, runnable
    from pfncache.selftests.identify import probe

    host = probe()
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings(host):
        console.print(finding.markup)
    if host.capabilities is not None:
        console.print(runnable(host.capabilities))
