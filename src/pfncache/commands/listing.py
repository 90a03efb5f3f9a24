# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache list``: what there is to choose from."""

from __future__ import annotations

import click

KINDS = ("designs", "scenarios", "properties")


@click.command("list")
@click.argument("kind", metavar="[designs|scenarios|properties]")
def listing(kind: str) -> None:
    """List the designs, scenarios or properties, one line each."""
    if kind not in KINDS:
        raise click.UsageError(f"no list of {kind!r}; there are: {', '.join(KINDS)}")
    rows = _rows(kind)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")


def _rows(kind: str) -> list[tuple[str, str]]:
    if kind == "designs":
        from pfncache.series import DESIGNS

        return [(d.name, d.title) for d in DESIGNS.values()]
    if kind == "scenarios":
        from pfncache.scenarios import SCENARIOS

        return [(s.name, s.hazard) for s in SCENARIOS.values()]
    from pfncache.properties import PROPERTIES

    return [(p.name, p.meaning) for p in PROPERTIES.values()]
