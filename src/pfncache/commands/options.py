# SPDX-License-Identifier: GPL-2.0-only
"""Arguments and options that several verbs share, and groups of options that belong together, as decorators."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pfncache.commands.names import DesignName, ScenarioName, complete_memory

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

COUNT = click.IntRange(min=1)
FILE = click.Path(path_type=Path, dir_okay=False)
"""A file to write."""
MAX_ACTORS = 100
"""More actors are no sweep that ends; their number alone would take long to compute."""

designs = click.argument("designs", nargs=-1, type=DesignName(), metavar="[DESIGN|FILE.py[:DESIGN]]...")
first = click.option("--first", is_flag=True, help="End each search at the first violation.")
processes = click.option("--jobs", "processes", type=COUNT, default=None, help="Processes; as many as there are cores.")
scenarios = click.option(
    "-s", "--scenario", "scenarios", multiple=True, type=ScenarioName(),
    help="Only this scenario, or those whose name starts so.",
)  # fmt: skip


def together(*decorators: Decorator) -> Decorator:
    """Return one decorator for several, which apply in their order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class Duration(click.ParamType[float]):
    """A number of seconds above 0: 60, 60s or 2m."""

    name = "SECONDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number of seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([sm]?)", str(value))
        seconds = float(found[1]) * (60.0 if found[2] == "m" else 1.0) if found is not None else 0.0
        if seconds <= 0.0:
            self.fail(f"{value!r} is no duration above 0, as 60s or 2m", param, ctx)
        return seconds


def _positive(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Return a limit of seconds; refuse what is no positive number."""
    if not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value:g} is not a number of seconds above 0")
    return value


sweep_bounds = together(
    click.option("--actors", type=click.IntRange(2, MAX_ACTORS), default=3, show_default=True, help="At most, the vCPU included."),  # noqa: E501
    click.option("--updates", type=COUNT, default=2, show_default=True, help="Clock updates, at most."),
    click.option("--rounds", type=COUNT, default=1, show_default=True, help="How often each operation runs, at most."),
    click.option("--pages", type=click.IntRange(min=3), default=3, show_default=True, help="Pages of memory, at most."),
    click.option("--memory", "memories", metavar="KIND", multiple=True, shell_complete=complete_memory, help="Only this kind."),  # noqa: E501
)  # fmt: skip
"""The size of a sweep."""
sweep_points = together(
    click.option("--points", type=COUNT, default=None, help="Search so many points of the space of scenarios instead, drawn at random."),  # noqa: E501
    click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the points that are drawn."),  # noqa: E501
)  # fmt: skip
"""A sweep of the space."""
sweep_limits = together(
    click.option("--seconds", type=float, callback=_positive, default=60.0, show_default=True, help="Limit of each search."),  # noqa: E501
    click.option("--megabytes", type=COUNT, default=1024, show_default=True, help="Limit of each search."),
)  # fmt: skip
"""The limits of each search of a sweep."""
