# SPDX-License-Identifier: GPL-2.0-only
"""What a sweep searches: generated scenarios up to a size, or points that are drawn from the space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pfncache.scenarios.shape import ShapeBounds
    from pfncache.scenarios.space.sampling import Sample
    from pfncache.sweep.job import SweepJob
    from pfncache.sweep.store import Store


def plan(
    designs: tuple[str, ...], points: int | None, seed: int, size: ShapeBounds
) -> tuple[Sample | None, list[SweepJob]]:
    """Return the jobs, and the points that are drawn from the space, if so many were asked for."""
    from pfncache.sweep.runner import DEFAULT_DESIGNS, check_size, drawn, jobs

    if points is None:
        check_size(size, len(designs) or len(DEFAULT_DESIGNS))
        return None, jobs(designs, size.shapes())
    found, work = drawn(designs, points, seed, [str(kind) for kind in size.memories])
    click.echo(f"sweep: {found}", err=True)
    return found, work


def refuse_bounds(ctx: click.Context, bounds: dict[str, int]) -> None:
    """Refuse bounds of generated scenarios beside points of the space."""
    for name in bounds:
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--points are of the space of scenarios, which has its own size; leave out --{name}"
            )


def open_store(path: Path) -> Store:
    """Open the file of results. Raises a usage error for one that cannot be used."""
    from pfncache.sweep.store import Store, StoreError

    try:
        return Store(path)
    except StoreError as error:
        raise click.UsageError(str(error)) from None
