# SPDX-License-Identifier: GPL-2.0-only
"""The one design that a user names: of the catalogue, of a file, or the C of a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import design_named

if TYPE_CHECKING:
    from pfncache.designs.design import Design


class Refused(click.ClickException):
    """A change of the series is not translated, so that its C says nothing."""

    exit_code = ExitStatus.INCOMPLETE


def design_of(name: str | None, base: str | None) -> Design | None:
    """Return the design that a user named; None for none. A series applies to the source of a base, which is fetched.

    A change that cannot be translated is an error: nothing is taken from the model by hand without a word.
    """
    if name is None or not _is_series(name):
        if base is not None:
            raise click.UsageError("--base is that of a series; give --design SERIES, too")
        return design_named(name) if name is not None else None
    from pfncache.commands.verify_series import steps

    (step,) = steps(Path(name), base, None, None, each_patch=False)
    if step.refused:
        raise Refused(f"{step.design.name} is not translated: {step.refused[0]}")
    for change in step.changes:
        if not change.is_complete:
            click.echo(f"not seen by this design: {change}", err=True)
    return step.design


def _is_series(name: str) -> bool:
    from pfncache.designs.catalogue import DESIGNS
    from pfncache.verify.loader import is_file

    return name not in DESIGNS and not is_file(name) and Path(name).exists()
