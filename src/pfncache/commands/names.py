# SPDX-License-Identifier: GPL-2.0-only
"""Names that a user gives on the command line: lookup, usage errors, and completion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pfncache.verify.nearest import UnknownName

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from pfncache.designs.design import Design
    from pfncache.scenarios.world import MemoryKind


def unknown(what: str, name: str, known: Iterable[str]) -> click.UsageError:
    """Return the error for a name that does not exist, with the nearest ones that do."""
    return click.UsageError(str(UnknownName(what, name, known)))


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn the errors of what a user names or writes into usage errors of one line."""
    from pfncache.check.compile.source import CompileError
    from pfncache.verify.loader import UserFileError
    from pfncache.verify.systems import compile_error

    try:
        yield
    except (UnknownName, UserFileError) as error:
        raise click.UsageError(str(error)) from None
    except CompileError as error:
        raise click.UsageError(compile_error(error)) from None


def designs_named(names: Iterable[str]) -> list[Design]:
    """Return the designs that a user named, the catalogue's or those of files: FILE.py, or FILE.py:design."""
    from pfncache.verify import selection

    with usage_errors():
        return selection.designs_named(names)


def design_named(name: str) -> Design:
    """Return the one design that a user named; a usage error if a file defines several and none is named."""
    from pfncache.verify import selection

    with usage_errors():
        return selection.design_named(name)


def check_designs(names: Iterable[str]) -> None:
    """Raise a usage error for a name that is neither a design's nor a file's, before anything heavy is imported."""
    from pfncache.designs.catalogue import DESIGNS
    from pfncache.verify.loader import is_file

    for name in names:
        if not is_file(name) and name not in DESIGNS:
            raise unknown("design", name, DESIGNS)


class DesignName(click.types.StringParamType):
    """The name of a design, FILE.py, or FILE.py:design; completes names and files."""

    name = "design"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the designs whose names start so; with no such name, complete files."""
        from click.shell_completion import CompletionItem

        from pfncache.designs.catalogue import DESIGNS

        found = [CompletionItem(n, help=d.title) for n, d in DESIGNS.items() if n.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class ScenarioName(click.types.StringParamType):
    """The name of a scenario, or the beginning of several; completes names."""

    name = "scenario"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the scenarios whose names start so; the many generated ones only once their prefix is there."""
        from click.shell_completion import CompletionItem

        from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS

        known = SCENARIOS if incomplete.startswith(("pairs/", "space/")) else DEFAULT_SCENARIOS
        return [CompletionItem(n, help=s.hazard) for n, s in known.items() if n.startswith(incomplete)]


def complete_memory(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the kinds of memory whose names start so."""
    from pfncache.scenarios.world import MemoryKind

    return [kind for kind in MemoryKind if kind.startswith(incomplete)]


def memory_kinds(names: Iterable[str]) -> list[MemoryKind]:
    """Return the kinds of memory that a user named, or all."""
    from pfncache.scenarios.world import MemoryKind

    for name in names:
        if name not in set(MemoryKind):
            raise click.UsageError(f"no memory {name!r}; there is {', '.join(MemoryKind)}")
    return [MemoryKind(name) for name in names] or list(MemoryKind)
