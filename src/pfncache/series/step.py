# SPDX-License-Identifier: GPL-2.0-only
"""A series as designs: the unpatched C of its base, and the C with each of its patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.translation import Translation, translate
from pfncache.csource.renames import Renames
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of
from pfncache.kernels.debian import upstream
from pfncache.kernels.image import Changes
from pfncache.kernels.patch_mail import PatchMail, SeriesError
from pfncache.series.change import ItemKind, SourceChange, Status
from pfncache.series.changes import changes_between
from pfncache.series.renames import renames_between
from pfncache.series.trees import (
    KernelTree,
    at_commit,
    commits_between,
    commits_of,
    read_names,
    tree_at,
    version_of,
    with_changes,
    with_series,
)


class NothingToCheck(SeriesError):
    """A series that changes nothing that the model has."""


@dataclass(frozen=True, kw_only=True)
class SeriesStep:
    """A kernel from its C, with what a series changes in it."""

    design: Design
    base: Design
    """What it is compared with: the same files without the series."""
    changes: tuple[SourceChange, ...]

    @property
    def refused(self) -> list[SourceChange]:
        """Changes that cannot be translated; with any, nothing is searched."""
        return [change for change in self.changes if change.status is Status.REFUSED]


class BaseKernel:
    """A kernel without the series: its tree, its translation, and the design of it."""

    def __init__(self, tree: KernelTree) -> None:
        self.tree = tree
        self.mainline = mainline_of(tree.version)

    @cached_property
    def translation(self) -> Translation:
        """Its C."""
        return _translated(self.tree)

    @cached_property
    def design(self) -> Design:
        """The mainline version with its own C in the place of the functions by hand."""
        title = f"Linux {self.tree.version}, from its C"
        return (self.mainline + [patch_of(self.translation)]).named(f"linux-{self.tree.version}", title)

    def step(self, tree: KernelTree, name: str, title: str) -> SeriesStep:
        """Return the design of a patched tree beside this base. Raises SeriesError for C that does not parse."""
        after = _translated(tree, self.translation, renames_between(self.tree, tree))
        try:
            changes = changes_between(self.tree, tree, self.translation, after)
        except SourceError as error:
            raise SeriesError(str(error)) from None
        design = (self.mainline + [patch_of(after)]).named(name, title)
        return SeriesStep(design=design, base=self.design, changes=tuple(changes))


def number_of(version: str) -> str:
    """Return the first two numbers of a version: 7.3 of 7.3.4."""
    return ".".join(version.split(".")[:2])


def mainline_of(version: str) -> Design:
    """Return the mainline design of a kernel's version. Raises SeriesError if there is none."""
    number = number_of(version)
    if f"mainline-{number}" not in DESIGNS:
        known = ", ".join(name.removeprefix("mainline-") for name in DESIGNS if name.startswith("mainline-"))
        raise SeriesError(f"the model has no Linux {number}; it has {known}")
    return DESIGNS[f"mainline-{number}"]


def _translated(tree: KernelTree, before: Translation | None = None, renamed: Renames | None = None) -> Translation:
    try:
        return translate(tree.path, tree.sources, version=tree.version, before=before, renamed=renamed)
    except SourceError as error:
        raise SeriesError(str(error)) from None


def steps_of(base: KernelTree, series: Sequence[PatchMail], name: str, each_patch: bool) -> list[SeriesStep]:
    """Return the designs to search: the whole series, or each of its patches. Raises SeriesError."""
    started = BaseKernel(base)
    whole = _whole(started, with_series(base, series), series, name)
    if not each_patch:
        return [whole]
    return [*_prefixes(started, base, series, name)]


def of_build(source: Path, changes: Changes, name: str) -> SeriesStep:
    """Return the design of a kernel that was built from a source with a series. Raises SeriesError."""
    version = upstream(changes.release)
    base = tree_at(source, version, changes.names)
    step = BaseKernel(base).step(with_changes(base, changes), name, f"Linux {version} as it was built")
    require_something(step)
    return step


def of_range(repository: Path, span: str, each_patch: bool) -> list[SeriesStep]:
    """Return the designs of a range of commits A..B in a git repository, compared with A. Raises SeriesError."""
    first, last, touched = commits_of(repository, span)
    names = list(dict.fromkeys((*read_names(), *touched)))
    started = BaseKernel(at_commit(repository, first, names))
    commits = commits_between(repository, first, last) if each_patch else [(last, span)]
    steps = [
        started.step(
            at_commit(repository, commit, names),
            f"{repository.resolve().name}:{number}/{len(commits)}" if each_patch else repository.resolve().name,
            subject,
        )
        for number, (commit, subject) in enumerate(commits, 1)
    ]
    require_something(steps[-1])
    return steps


def of_tree(path: Path) -> SeriesStep:
    """Return the design of a kernel tree as it is, compared with the model by hand of its version."""
    tree = tree_at(path, version_of(path))
    started = BaseKernel(tree)
    missing = tuple(
        SourceChange(
            kind=ItemKind.FUNCTION, name=refusal.name, file=refusal.file, line=refusal.line, status=Status.REFUSED,
            how="as it is", what=f"{refusal.what}; {refusal.hint}",
        )
        for refusal in started.translation.refused.values()
    )  # fmt: skip
    design = started.design.named(path.resolve().name, started.design.title)
    return SeriesStep(design=design, base=started.mainline, changes=missing)


def _whole(started: BaseKernel, tree: KernelTree, series: Sequence[PatchMail], name: str) -> SeriesStep:
    title = series[0].subject if len(series) == 1 else f"{len(series)} patches on Linux {tree.version}"
    step = started.step(tree, name, title)
    require_something(step)
    return step


def require_something(step: SeriesStep) -> None:
    """Require a change that the model has. Raises NothingToCheck."""
    if all(change.status is Status.OUTSIDE for change in step.changes):
        places = ", ".join(dict.fromkeys(change.file for change in step.changes))
        raise NothingToCheck(
            f"the series changes nothing that the model has{': ' * bool(places)}{places}; "
            "`pfncache list designs` and docs/reference/fidelity.md have what it has"
        )


def _prefixes(started: BaseKernel, base: KernelTree, series: Sequence[PatchMail], name: str) -> Iterator[SeriesStep]:
    for count, mail in enumerate(series, 1):
        tree = with_series(base, series[:count])
        yield started.step(tree, f"{name}:{count}/{len(series)}", mail.subject)
