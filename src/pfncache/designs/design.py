# SPDX-License-Identifier: GPL-2.0-only
"""A design: a kernel as a base and patches on top, each of which replaces functions by functions of the same name."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pfncache.designs.requirement import Reliance
from pfncache.lang.atomic import atomic, guard
from pfncache.lang.part_of import is_part, linux_name, part_of
from pfncache.linux.vmlinux import Vmlinux


class Patch:
    """A patch: its docstring's first line is its subject, its methods replace the kernel's functions of the same name.

    The old function is ``super().name(...)``.
    """

    relies_on: ClassVar[tuple[Reliance, ...]] = ()
    """What a base has to have for the patch to be right there."""
    provides: ClassVar[tuple[Reliance, ...]] = ()
    """What others rely on, and have with this patch."""

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
    lacks: frozenset[str] = frozenset()
    """Kinds of memory that the kernel does not have."""
    shown_by: str = ""
    """Of a reverted fix: the scenario that shows why it was needed. One violation is all that is asked of it."""

    def __add__(self, patches: Sequence[type[Patch]]) -> Design:
        """The design with more patches on top."""
        return Design("", "", (*self.patches, *patches), self, self.lacks)

    def broken_by(self, scenario: str) -> Design:
        """The same design, whose fault a scenario is known to show."""
        return replace(self, shown_by=scenario)

    def without(self, memory: frozenset[str]) -> Design:
        """The same design, for a kernel that does not have these kinds of memory."""
        return replace(self, lacks=self.lacks | memory)

    def named(self, name: str, title: str) -> Design:
        """The same design under a name of its own."""
        return replace(self, name=name, title=title)

    @property
    def series(self) -> tuple[type[Patch], ...]:
        """The patches that the design has on top of its base."""
        return self.patches[len(self.base.patches) :] if self.base is not None else self.patches

    def has(self, memory: str) -> bool:
        """Whether the kernel has a kind of memory."""
        return memory not in self.lacks

    @property
    def provides(self) -> frozenset[Reliance]:
        """What a patch on top of it can rely on."""
        return frozenset(reliance for patch in self.patches for reliance in patch.provides)

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
        """Link the kernel: Vmlinux, the patches on top of it in order, and on top of all the probes of properties."""
        return _link((*self.patches, *probes))


@functools.cache
def _link(layers: tuple[type, ...]) -> type[Vmlinux]:
    kernel = Vmlinux
    applied: set[type] = {Patch, *Vmlinux.__mro__}
    for layer in layers:
        for part in reversed(layer.__mro__):
            if part not in applied:
                applied.add(part)
                kernel = _apply(part, kernel)
    return kernel


def _apply(layer: type, kernel: type[Vmlinux]) -> type[Vmlinux]:
    """A kernel with the functions of `layer` on top, whatever classes the layer names as its own bases.

    super() in a function goes by the class that the function was written in; here it has to mean the kernel below.
    """
    cell = types.CellType()
    functions = {name: _rebind(value, cell) for name, value in vars(layer).items() if callable(value)}
    for name, function in functions.items():
        _mark_part(function, getattr(kernel, name, None))
    patched = type(layer.__name__, (kernel,), {**functions, "__doc__": layer.__doc__, "__module__": layer.__module__})
    cell.cell_contents = patched
    return patched


def _mark_part(function: Any, replaced: Any) -> None:
    """Mark a function that replaces a part of a Linux function as a part of the same one."""
    if all(isinstance(inspect.unwrap(f), types.FunctionType) for f in (function, replaced) if callable(f)):
        if replaced is not None and is_part(replaced):
            part_of(linux_name(inspect.unwrap(replaced).__code__))(function)


def _rebind(function: Any, cell: types.CellType) -> Any:
    if hasattr(function, "__wrapped__"):
        inner = _rebind(function.__wrapped__, cell)
        for mark, decorator in (("is_atomic", atomic), ("is_guard", guard)):
            if getattr(function, mark, False):
                return decorator(inner)
        return function
    if not isinstance(function, types.FunctionType) or "__class__" not in function.__code__.co_freevars:
        return function
    closure = tuple(
        cell if name == "__class__" else old
        for name, old in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    )
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, closure
    )
    copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, function.__annotations__
    copy.__qualname__, copy.__doc__ = function.__qualname__, function.__doc__
    return copy
