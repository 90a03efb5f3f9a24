# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache list``: what there is to choose from."""

from __future__ import annotations

import click

from pfncache.commands.names import unknown
from pfncache.designs.catalogue import DESIGNS
from pfncache.footprint.guests import GUESTS
from pfncache.properties import PROPERTIES
from pfncache.scenarios import SCENARIOS
from pfncache.selftests import SELFTESTS

LISTS = {
    "designs": [(d.name, d.title) for d in DESIGNS.values()],
    "scenarios": [(s.name, s.hazard) for s in SCENARIOS.values()],
    "properties": [(p.name, p.meaning) for p in PROPERTIES.values()],
    "guests": list(GUESTS.items()),
    "selftests": [(t.name, t.summary) for t in SELFTESTS.values()],
}


@click.command("list")
@click.argument("kind", metavar="[designs|scenarios|properties|guests|selftests]")
def listing(kind: str) -> None:
    """List the designs, scenarios, properties, guests or selftests, one line each."""
    if kind not in LISTS:
        raise unknown("list", kind, LISTS)
    width = max(len(name) for name, _ in LISTS[kind])
    for name, text in LISTS[kind]:
        click.echo(f"{name:<{width}}  {text}")
