# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify --series`` and ``--tree``: from the command line to the designs to search."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.commands.exit_status import ExitStatus
from pfncache.kernels.patch_mail import SeriesError, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pfncache.series.step import SeriesStep
    from pfncache.series.trees import KernelTree

DEFAULT_BASE = "7.3"


class Nothing(click.ClickException):
    """The series changes nothing that can be checked."""

    exit_code = ExitStatus.INCOMPLETE


@contextmanager
def series_errors() -> Iterator[None]:
    """Turn what is wrong with a series or a tree into one line and an exit status."""
    from pfncache.series.step import NothingToCheck

    try:
        yield
    except NothingToCheck as error:
        raise Nothing(str(error)) from None
    except SeriesError as error:
        raise click.UsageError(str(error)) from None


def check_options(series: Path | None, base: str | None, tree: Path | None, span: str | None) -> None:
    """Raise a usage error for options that do not go together, or paths that do not exist."""
    if base is not None and series is None:
        raise click.UsageError("--base is that of a series; give --series MBOX, too")
    if base is not None and tree is not None:
        raise click.UsageError("--base and --tree both say what the series applies to; choose one")
    if span is not None and tree is None:
        raise click.UsageError("--range is of commits in a tree; give --tree DIR, too")
    if span is not None and series is not None:
        raise click.UsageError("--range and --series both say what changes; choose one")
    if tree is not None and not tree.is_dir():
        raise click.UsageError(f"--tree {tree}: no such folder")


def steps(
    series: Path | None, base: str | None, tree: Path | None, span: str | None, each_patch: bool
) -> list[SeriesStep]:
    """Return the designs of a series or of a tree. A source that is not here is fetched."""
    with series_errors():
        if series is not None:
            return _of_series(series, base or DEFAULT_BASE, tree, each_patch)
        assert tree is not None
        return _of_tree(tree, span, each_patch)


def _of_series(path: Path, base: str, tree: Path | None, each_patch: bool) -> list[SeriesStep]:
    from pfncache.series.step import steps_of
    from pfncache.series.trees import require_small, tree_at, version_of

    def note(text: str) -> None:
        click.echo(text, err=True)

    mails = read(path, note)
    require_small(mails)
    touched = [name for mail in mails for name in mail.files]
    under = tree_at(tree, version_of(tree), touched) if tree is not None else fetched(base, touched)
    return steps_of(under, mails, path.resolve().stem, each_patch)


def fetched(base: str, touched: list[str]) -> KernelTree:
    """Return Debian's source of a base; it is fetched unless it is in the cache."""
    from pfncache.kernels.debian import upstream
    from pfncache.kernels.session import source_of, working
    from pfncache.series.step import mainline_of
    from pfncache.series.trees import tree_at

    mainline_of(base)  # before a download
    with working() as progress:
        found = source_of(base, progress)
    return tree_at(found.tree, upstream(found.release), touched)


def _of_tree(tree: Path, span: str | None, each_patch: bool) -> list[SeriesStep]:
    from pfncache.series.step import of_range, of_tree

    if span is None:
        return [of_tree(tree)]
    return of_range(tree, span, each_patch)
