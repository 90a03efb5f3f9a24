# SPDX-License-Identifier: GPL-2.0-only
"""A design: a kernel as a base and patches on top, each of which replaces functions by functions of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pfncache.kernel.vmlinux import Vmlinux


class Patch:
    """A patch: its docstring's first line is its subject, its methods replace the kernel's functions of the same name.

    The old function is ``super().name(...)``.
    """

    @classmethod
    def subject(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


@dataclass(frozen=True)
class Design:
    """A kernel to check: Vmlinux with patches, applied in order."""

    name: str
    title: str
    patches: tuple[type[Patch], ...] = ()
    base: Design | None = None
    """What the last patches were added to, so that a series can be checked patch by patch."""

    def __add__(self, patches: Sequence[type[Patch]]) -> Design:
        """The design with more patches on top."""
        return Design("", "", (*self.patches, *patches), self)

    def named(self, name: str, title: str) -> Design:
        """The same design under a name of its own."""
        return replace(self, name=name, title=title)

    @property
    def series(self) -> tuple[type[Patch], ...]:
        """The patches that the design has on top of its base."""
        return self.patches[len(self.base.patches) :] if self.base is not None else self.patches

    def prefixes(self) -> list[Design]:
        """The design after each patch of its series, as a bisection would meet them."""
        if self.base is None:
            return [self]
        steps = []
        for count, patch in enumerate(self.series, 1):
            part = self.base + self.series[:count]
            steps.append(part.named(f"{self.name}:{count}/{len(self.series)}", patch.subject()))
        return steps

    def kernel(self, *probes: type) -> type[Vmlinux]:
        """Link the kernel: the probes of properties on top, then the patches, newest first, then Vmlinux."""
        return type("Kernel", (*probes, *reversed(self.patches), Vmlinux), {"__doc__": self.title})
