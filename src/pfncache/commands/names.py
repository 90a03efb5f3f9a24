# SPDX-License-Identifier: GPL-2.0-only
"""Names that a user gives, and the nearest ones that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click


def unknown(what: str, name: str, known: Iterable[str]) -> click.UsageError:
    """An error for a name that does not exist, with those that it may have been meant for."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or [n for n in names if name in n][:3]
    hint = f"nearest: {', '.join(near)}" if near else f"see `pfncache list {what}s`"
    return click.UsageError(f"no {what} {name!r}; {hint}")
