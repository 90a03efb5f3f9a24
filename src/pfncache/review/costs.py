# SPDX-License-Identifier: GPL-2.0-only
"""What operations cost with a series, and which memory KVM reaches, beside its base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pfncache.compare.comparison import MEASURED, MEMORY
from pfncache.compare.cost import KINDS as STEPS
from pfncache.compare.cost import OPERATIONS, cost
from pfncache.designs.design import Design
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import predict
from pfncache.review.report import FindingKind, ReviewFinding

NOTHING = "not reached"


def costs_of(base: Design, design: Design) -> Iterator[ReviewFinding]:
    """Yield a finding for each operation that costs other steps than under the base."""
    for memory in MEASURED:
        for operation in OPERATIONS:
            before, after = (cost(one, operation, memory) for one in (base, design))
            if before != after:
                yield ReviewFinding(
                    kind=FindingKind.COST, subject=f"{operation.name} {memory.value}",
                    text=f"{operation.name} on {memory.value}: {_words(after)}; {_words(before)} without the series",
                )  # fmt: skip


def paths_of(base: Design, design: Design) -> Iterator[ReviewFinding]:
    """Yield a finding for each access path that reaches another memory than under the base, or otherwise."""
    for name, path in PATHS.items():
        for kind in MEMORY:
            before, after = (predict(one, path, KINDS[kind]) for one in (base, design))
            if (before.seen, before.means) != (after.seen, after.means):
                yield ReviewFinding(
                    kind=FindingKind.COST, subject=f"{name} {kind}",
                    text=f"{name} to {kind}: {_seen(after.seen, after.means)}; "
                    f"{_seen(before.seen, before.means)} without the series",
                )  # fmt: skip


def _words(steps: Counter[str] | None) -> str:
    if steps is None:
        return NOTHING
    return ", ".join(f"{steps[kind]} {kind}" for kind in STEPS if steps[kind]) or "no such step"


def _seen(seen: object, means: tuple[str, ...]) -> str:
    return f"{seen}{f' by {chr(43).join(means)}' if means else ''}"
