# SPDX-License-Identifier: GPL-2.0-only
"""Names that a user gives, what they stand for, and the nearest ones that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.verify.loader import DesignFileError, load_design


def unknown(what: str, name: str, known: Iterable[str]) -> click.UsageError:
    """An error for a name that does not exist, with those that it may have been meant for."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or [n for n in names if name in n][:3]
    hint = f"nearest: {', '.join(near)}" if near else f"see `pfncache list {what}s`"
    return click.UsageError(f"no {what} {name!r}; {hint}")


def designs_named(names: Iterable[str]) -> list[Design]:
    """The designs that a user named: ours, or those of files. Raises a usage error for what is neither."""
    chosen = []
    for name in names:
        if name.endswith(".py"):
            try:
                chosen.append(load_design(name))
            except DesignFileError as error:
                raise click.UsageError(str(error)) from None
        elif name in DESIGNS:
            chosen.append(DESIGNS[name])
        else:
            raise unknown("design", name, DESIGNS)
    return chosen


def design_named(name: str) -> Design:
    """Return the one design that a user named; a usage error if the name stands for several."""
    designs = designs_named([name])
    if len(designs) != 1:
        raise click.UsageError(f"{name}: defines {len(designs)} designs; name one of them")
    return designs[0]
