# SPDX-License-Identifier: GPL-2.0-only
"""The cells of a design, computed by running its model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from pfncache.designs.design import Design, Patch
from pfncache.designs.no_direct_map import NoDirectMap
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_NO_DIRECT_MAP
from pfncache.machines.model.machine import ModelMachine
from pfncache.matrix.cell import Observation
from pfncache.matrix.memory import GuestMemoryKind
from pfncache.matrix.paths import AccessPath
from pfncache.matrix.probes import probe
from pfncache.matrix.recorder import ORDER, AccessRecorder
from pfncache.properties.private_access import PrivateAccessProbe


class _WatchPrivate(Patch, PrivateAccessProbe):
    """Not in any kernel: report KVM's access to private memory as a violation, as the checker does."""


@dataclass(frozen=True)
class Predicted:
    """A cell of a design."""

    seen: Observation
    means: tuple[str, ...]
    """Means by which KVM has tried to reach memory: user mapping, guest_memfd, direct map, kernel alias."""
    with_no_direct_map: bool = False
    """Whether the patch for NO_DIRECT_MAP was added to the design, which lacks it."""


def predict(design: Design, path: AccessPath, kind: GuestMemoryKind) -> Predicted:
    """Run the model. KVM's access to private memory counts as a violation."""
    extra = needs_no_direct_map(design, kind)
    watched = (design + [*([NoDirectMap] if extra else []), AccessRecorder, _WatchPrivate]).named(
        design.name, design.title
    )
    machine = ModelMachine(watched)
    kernel = cast("AccessRecorder", machine.kernel)
    kernel.host_means = set()
    found: set[str] = set()

    @contextmanager
    def during() -> Iterator[None]:
        kernel.host_means.clear()
        try:
            yield
        finally:
            found.update(kernel.host_means)

    # After a violation the kernel keeps its state, with locks held: the machine is not closed.
    seen = probe(machine, path, kind, during())
    return Predicted(seen, tuple(means for means in ORDER if means in found), extra)


def needs_no_direct_map(design: Design, kind: GuestMemoryKind) -> bool:
    """Whether a kind of memory requires the patch NoDirectMap, and the design lacks it."""
    if kind.flags is None or not kind.flags & GUEST_MEMFD_FLAG_NO_DIRECT_MAP or not design.has("gmem-mmap"):
        return False
    return not design.has("gmem-ndm")
