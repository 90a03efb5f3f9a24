# SPDX-License-Identifier: GPL-2.0-only
"""What is compared: a kernel's C with the model by hand of its version, or with the C of the nearest version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.fidelity.cited import changes_by_hand
from pfncache.fidelity.known import REFUSALS
from pfncache.kernels.patch_mail import SeriesError
from pfncache.series.change import SourceChange, Status
from pfncache.series.step import BaseKernel, SeriesStep, mainline_of, number_of, of_tree
from pfncache.series.trees import KernelTree, read_names, tree_at, version_of

PREFIX = "mainline-"
Sources = Callable[[str], Path | None]
"""Returns the source tree of a kernel version's beginning, as 7.3; None if there is none to be had."""


@dataclass(frozen=True, kw_only=True)
class KernelPair:
    """Two designs to compare, and what differs between their sources."""

    version: str
    """The kernel's, as 7.3.4."""
    tree: Path
    reference: Design
    subject: Design
    """The kernel's own C."""
    since: str = ""
    """The version that `changes` are since."""
    changes: tuple[SourceChange, ...] = ()
    """Definitions of the C that differ from those of another version: those that the model has."""
    refused: tuple[SourceChange, ...] = ()
    """Functions that the model has and that cannot be translated: the model's are used."""
    explained: dict[str, str] = field(default_factory=dict)
    """By name: why a function is refused, where that is known."""

    @property
    def is_drift(self) -> bool:
        """Whether there is no model by hand of the kernel, so that it is compared with another kernel's C."""
        return not self.reference.name.startswith(PREFIX)

    @property
    def unseen(self) -> list[SourceChange]:
        """Functions and changes that the comparison cannot see."""
        refused = [change for change in self.refused if change.name not in self.explained]
        return refused + [change for change in self.changes if self.is_drift and not change.is_complete]


def has_design(version: str) -> bool:
    """Return whether the model has the mainline version."""
    return f"{PREFIX}{number_of(version)}" in DESIGNS


def nearest(version: str) -> list[str]:
    """Return the mainline versions that the model has, the nearest first; of two, the older one."""
    numbers = [name.removeprefix(PREFIX) for name in DESIGNS if name.startswith(PREFIX)]
    wanted = _tuple(version)
    older = sorted((n for n in numbers if _tuple(n) <= wanted), key=_tuple, reverse=True)
    return older + sorted((n for n in numbers if _tuple(n) > wanted), key=_tuple)


def _tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number_of(version).split("."))


def pair_of(path: Path, sources: Sources) -> KernelPair:
    """Return what to compare for a kernel tree. Raises SeriesError for what is no kernel, or no C.

    `sources` finds the source of the version that the model has, for the changes since then.
    """
    version = version_of(path)
    tree = tree_at(path, version)
    return _with_design(path, tree, sources) if has_design(version) else _drift(path, tree, sources)


def _with_design(path: Path, tree: KernelTree, sources: Sources) -> KernelPair:
    """Return the kernel's C beside the model by hand."""
    step = of_tree(path)
    mainline = mainline_of(tree.version)
    found = sources(number_of(tree.version))
    changes: Sequence[SourceChange] = ()
    since = ""
    if found is not None and found.resolve() != path.resolve():
        base = BaseKernel(tree_at(found, version_of(found)))
        since, changes = base.tree.version, _changes(base, tree, base.step(tree, "changed", ""))
    return KernelPair(
        version=tree.version,
        tree=path,
        reference=mainline,
        subject=step.design.named(f"linux-{tree.version}", f"Linux {tree.version}, from its C"),
        refused=step.changes,
        explained=dict(REFUSALS.get(mainline.name, {})),
        since=since,
        changes=tuple(changes),
    )


def _drift(path: Path, tree: KernelTree, sources: Sources) -> KernelPair:
    """Return the kernel's C beside that of the nearest version that the model has."""
    wanted = nearest(tree.version)
    base = next((found for found in map(sources, wanted) if found is not None), None)
    if base is None:
        raise SeriesError(
            f"Linux {tree.version} has no model, and no source of one that has is here ({', '.join(wanted)}); "
            f"get one with: pfncache kernel fetch --source {wanted[0]}"
        )
    known = BaseKernel(tree_at(base, version_of(base)))
    step = known.step(tree, f"linux-{tree.version}", f"Linux {tree.version}, from its C")
    return KernelPair(
        version=tree.version,
        tree=path,
        reference=step.base,
        subject=step.design,
        since=known.tree.version,
        changes=tuple(_changes(known, tree, step)),
    )


def _changes(base: BaseKernel, tree: KernelTree, step: SeriesStep) -> list[SourceChange]:
    """Return the changes of what the model has, from C or by hand."""
    mirrored = [change for change in step.changes if change.status is not Status.OUTSIDE]
    read = {*read_names(), *base.tree.sources, *tree.sources}
    return [*mirrored, *changes_by_hand(base.tree.path, tree.path, read)]
