# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache compare``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from pfncache import __version__
from pfncache.commands.documented import ending
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import usage_errors
from pfncache.progress import progress


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """The options of the command."""

    designs: tuple[str, ...]
    scenarios: tuple[str, ...]
    as_json: bool
    picture: Path | None
    processes: int | None


@contextmanager
def _usage_of_pictures() -> Iterator[None]:
    """Raise a usage error for a picture that cannot be drawn or written."""
    from pfncache.picture import PictureError

    try:
        yield
    except PictureError as error:
        raise click.UsageError(str(error)) from None


def run(options: CompareOptions) -> ExitStatus:
    """Search, run the models, and show. Returns the exit status."""
    from pfncache.compare.comparison import columns
    from pfncache.compare.picture import draw
    from pfncache.compare.view import print_document, show
    from pfncache.designs.catalogue import COMPARED, DESIGNS
    from pfncache.matrix.paths import PATHS
    from pfncache.picture import check_picture
    from pfncache.verify.selection import Extent, Selection
    from pfncache.verify.session import SearchOptions, Session
    from pfncache.verify.view import run_with_progress

    if options.picture is not None:
        with _usage_of_pictures():
            check_picture(options.picture)
    with usage_errors():
        named = Selection.of(options.designs, rename=True)
        designs = list(named.designs) or [DESIGNS[name] for name in COMPARED]
        scenarios = named.scenarios_named(options.scenarios, Extent.NAMED)
        search = SearchOptions(processes=options.processes, kept=True)
        session = Session.plan(designs, scenarios, wanted=options.scenarios, options=search)
    run_with_progress(session)
    if session.interrupted is not None:
        return ending(session.interrupted)[0]
    found = columns(designs, session.outcomes)
    with progress("compare", len(designs) * len(PATHS), work="paths run") as advance:
        for column in found:
            column.fill(lambda name: advance(name, ""))
    if options.as_json:
        print_document(found, __version__)
    else:
        show(found)
    if options.picture is not None:
        with _usage_of_pictures():
            draw(found, options.picture)
    return ExitStatus.INCOMPLETE if any(c.outcome.incomplete for c in found) else ExitStatus.OK
