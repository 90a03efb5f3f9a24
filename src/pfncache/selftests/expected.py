# SPDX-License-Identifier: GPL-2.0-only
"""The design that says what is expected of a kernel: a user's, or that of the C it was built of, or the one probed."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.designs.design import Design
from pfncache.kernels import source
from pfncache.kernels.image import Changes, Image
from pfncache.kernels.patch_mail import SeriesError
from pfncache.selftests.identify import Host
from pfncache.series.step import SeriesStep, of_build

SHOWN = 3
"""Most changes that a reason names."""


@dataclass(frozen=True)
class Expected:
    """A design with the reason why it is that one."""

    design: Design
    reason: str


def expected_of(host: Host, image: Image | None = None, design: Design | None = None) -> Expected:
    """Return what is expected of a kernel: of `host`, or of an image that is one that a user has built.

    A `design` that the user has named comes first.
    """
    if design is not None:
        return Expected(design, "by --design")
    if image is None or image.changes is None:
        return Expected(host.design, host.reason)
    try:
        step = _from_c(image.name, image.changes)
    except SeriesError as error:
        return Expected(host.design, f"{host.reason}; not by its C: {error}")
    unseen = [change.name for change in step.changes if not change.is_complete]
    rest = f"; not seen: {', '.join(unseen[:SHOWN])}{', ...' * (len(unseen) > SHOWN)}" if unseen else ""
    return Expected(step.design, f"from the C that it was built of{rest}")


def _from_c(name: str, changes: Changes) -> SeriesStep:
    """Return the design of a built kernel's C. Raises SeriesError if there is none that is whole."""
    base = source.find(changes.release)
    if base is None:
        raise SeriesError(f"the source of Linux {changes.release} is not in the cache any more")
    step = of_build(base.tree, changes, name)
    if step.refused:
        raise SeriesError(f"not translated: {step.refused[0]}")
    return step
