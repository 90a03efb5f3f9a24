# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache litmus -s``: the tests that a scenario generates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pfncache.commands.litmus_run import LitmusOptions, memory_model

if TYPE_CHECKING:
    from pfncache.kernels.patch_mail import PatchMail
    from pfncache.litmus.generated.session import GeneratedSession


def ask(options: LitmusOptions, kernel: str, tree: Path, patches: Sequence[PatchMail]) -> GeneratedSession:
    """Run the tests that scenarios generate. Raises SeriesError for a tree that the model does not have."""
    from pfncache.litmus.generated.session import GeneratedSession, KernelC
    from pfncache.litmus.generated.view import run_with_progress
    from pfncache.litmus.source import KernelSource
    from pfncache.series.step import BaseKernel
    from pfncache.series.trees import tree_at, version_of, with_series
    from pfncache.verify.selection import Selection

    scenarios = Selection(()).scenarios_named(options.scenarios)
    base = tree_at(tree, version_of(tree))
    changed = with_series(base, patches) if patches else base
    started = BaseKernel(base)
    design = started.step(changed, "patched", kernel).design if patches else started.design
    with KernelSource(tree, patches) as source:
        c = KernelC(words=kernel, design=design, tree=changed.path, source=source)
        session = GeneratedSession.plan(scenarios, c, memory_model(tree), processes=options.processes)
        run_with_progress(session)
    return session
