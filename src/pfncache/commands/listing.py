# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache list``: the names that there are to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pfncache.commands.names import DesignName, unknown, usage_errors

if TYPE_CHECKING:
    from pfncache.scenarios.space.dimension import Dimension, Value

KINDS = ("designs", "scenarios", "dimensions", "properties", "guests", "selftests")


def _rows(kind: str, files: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return name and description of each; of designs and scenarios, of those that files define."""
    from pfncache.designs.catalogue import DESIGNS
    from pfncache.footprint.guests import GUESTS
    from pfncache.properties import PROPERTIES
    from pfncache.scenarios import SCENARIOS
    from pfncache.scenarios.space.space import DIMENSIONS
    from pfncache.selftests import SELFTESTS
    from pfncache.verify.selection import Selection

    own = Selection.of(files)
    match kind:
        case "designs":
            return [(d.name, d.title) for d in (own.designs if files else DESIGNS.values())]
        case "scenarios":
            return [(s.name, s.hazard) for s in (own.scenarios if files else SCENARIOS.values())]
        case "dimensions":
            return [row for dimension in DIMENSIONS for row in _dimension(dimension)]
        case "properties":
            return [(p.name, p.meaning) for p in PROPERTIES.values()]
        case "guests":
            return list(GUESTS.items())
    return [(t.name, t.summary) for t in SELFTESTS.values()]


def _dimension(dimension: Dimension[Value]) -> list[tuple[str, str]]:
    """Return a row for a dimension and one for each of its values."""
    values = [(f"  {value.name}", value.meaning) for value in dimension.values]
    return [(dimension.name, dimension.meaning), *values]


@click.command("list")
@click.argument("kind", metavar=f"[{'|'.join(KINDS)}]", shell_complete=lambda c, p, i: [k for k in KINDS if k.startswith(i)])  # fmt: skip # noqa: E501
@click.argument("files", nargs=-1, type=DesignName(), metavar="[FILE.py]...")
def listing(kind: str, files: tuple[str, ...]) -> None:
    """List the designs, scenarios, dimensions of the space of scenarios, properties, guests or selftests.

    With FILE.py: the designs or scenarios that the file defines.
    """
    from pfncache.verify.loader import is_file

    if kind not in KINDS:
        raise unknown("list", kind, KINDS)
    if files and kind not in ("designs", "scenarios"):
        raise click.UsageError(f"a file defines no {kind}")
    if kind == "scenarios" and (named := next((name for name in files if not is_file(name)), None)) is not None:
        raise click.UsageError(f"{named!r} is no FILE.py; without it, the catalogue's scenarios are listed")
    with usage_errors():
        rows = _rows(kind, files)
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")
