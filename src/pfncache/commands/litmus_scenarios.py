# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache litmus -s``: the tests that a scenario generates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pfncache.kernels.patch_mail import PatchMail
    from pfncache.litmus.generated.session import GeneratedSession
    from pfncache.litmus.observe import MemoryModel


class KernelChoice(NamedTuple):
    """A kernel tree with patches, and its memory model."""

    words: str
    tree: Path
    patches: Sequence[PatchMail]
    model: MemoryModel


def ask(names: Sequence[str], kernel: KernelChoice, processes: int | None) -> GeneratedSession:
    """Run the tests that scenarios generate. Raises SeriesError for a tree that the model does not have."""
    from pfncache.litmus.generated.session import GeneratedSession, KernelC
    from pfncache.litmus.generated.view import run_with_progress
    from pfncache.litmus.source import KernelSource
    from pfncache.series.step import BaseKernel
    from pfncache.series.trees import tree_at, version_of, with_series
    from pfncache.verify.selection import Selection

    scenarios = Selection(()).scenarios_named(names)
    base = tree_at(kernel.tree, version_of(kernel.tree))
    changed = with_series(base, kernel.patches) if kernel.patches else base
    started = BaseKernel(base)
    design = started.step(changed, "patched", kernel.words).design if kernel.patches else started.design
    with KernelSource(kernel.tree, kernel.patches) as source:
        c = KernelC(words=kernel.words, design=design, tree=changed.path, source=source)
        session = GeneratedSession.plan(scenarios, c, kernel.model, processes=processes)
        run_with_progress(session)
    return session
