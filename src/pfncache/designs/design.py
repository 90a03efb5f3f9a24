# SPDX-License-Identifier: GPL-2.0-only
"""A design: a kernel as a base and patches on top, each of which replaces functions by functions of the same name."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pfncache.designs.requirement import Requirement
from pfncache.lang.atomic import atomic, guard, host_only
from pfncache.lang.part_of import is_part, linux_name, part_of
from pfncache.lang.records import Record
from pfncache.linux.vmlinux import Vmlinux

NOT_IN_MAINLINE = frozenset({"gmem-ndm", "gmem-window"})
"""Kinds of memory that no mainline kernel supports, but a patch may."""


class DesignError(TypeError):
    """What a design is made of is no design, no patch, or no name. The message is one line."""


class Patch:
    """A patch: its methods replace the kernel's functions of the same name.

    The first line of its docstring is its subject. The function that a method replaces is ``super().name(...)``.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ()
    """What the patch requires of its base."""
    provides: ClassVar[tuple[Requirement, ...]] = ()
    """The requirements of other patches that this one meets."""
    supports: ClassVar[frozenset[str]] = frozenset()
    """Kinds of memory that no mainline kernel has, and a kernel with the patch has."""
    uapi: ClassVar[tuple[str, ...]] = ()
    """What user space sees of the patch: flags and ioctls that it adds."""
    source_key: ClassVar[str] = ""
    """Of a patch that is made of other source than a class: a digest of all that determines its functions."""
    changes_nothing: ClassVar[str] = ""
    """Of a patch without functions: why it changes nothing, as a rename to a name that the model has already."""

    structs: ClassVar[tuple[type[Record], ...]] = ()
    """Structures with new members: ``class MyVcpu(KvmVcpu, extends=True)`` takes the place of struct kvm_vcpu."""
    unreachable: ClassVar[Mapping[str, str]] = {}
    """Targets of scenarios that a kernel with the patch does not reach, with the reason: what it does without."""

    @classmethod
    def subject(cls) -> str:
        """Return the first line of the docstring, or without one the name of the class."""
        text = cls.__doc__.strip() if isinstance(cls.__doc__, str) else ""
        return (text or cls.__name__).splitlines()[0]


@dataclass(frozen=True)
class Design:
    """A kernel to check: Vmlinux with patches, applied in order."""

    name: str
    title: str
    patches: tuple[type[Patch], ...] = ()
    base: Design | None = None
    """The design to which the last patches were added, so that a series can be checked patch by patch."""
    lacks: frozenset[str] = frozenset()
    """Kinds of memory that the kernel does not support."""
    shown_by: str = ""
    """Of a reverted fix: the scenario that shows why the fix is needed, and the only one that is checked by default."""

    def __post_init__(self) -> None:
        """Refuse what is no patch, a patch twice, and a name that cannot be printed in a line."""
        for what, value in (("name", self.name), ("title", self.title)):
            if not isinstance(value, str) or not value.isprintable():
                raise DesignError(f"the {what} of a design is text of one line, not {value!r:.60}")
        if self.base is not None and not isinstance(self.base, Design):
            raise DesignError(f"the base of a design is a design, not {self.base!r:.60}")
        _require_patches(self.patches)

    def __add__(self, patches: Sequence[type[Patch]]) -> Design:
        """Return the design with more patches on top. Raises DesignError for what is no list of patches."""
        if not isinstance(patches, list | tuple):
            name = getattr(patches, "__name__", "MyPatch")
            raise DesignError(f"patches are added to a design as a list; write + [{name}], not + {_text(patches)}")
        return Design("", "", (*self.patches, *patches), self, self.lacks)

    def __radd__(self, other: object) -> Design:
        """Refuse a design on top of something else."""
        raise DesignError("a design begins with its base; write BASE + [MyPatch]")

    def broken_by(self, scenario: str) -> Design:
        """Return the same design, with the scenario that shows its fault."""
        return replace(self, shown_by=scenario)

    def without(self, memory: frozenset[str]) -> Design:
        """Return the same design, without these kinds of memory."""
        return replace(self, lacks=self.lacks | memory)

    def named(self, name: str, title: str) -> Design:
        """Return the same design with a name and a title."""
        return replace(self, name=name, title=title)

    @property
    def series(self) -> tuple[type[Patch], ...]:
        """The patches of the design on top of its base."""
        return self.patches[len(self.base.patches) :] if self.base is not None else self.patches

    def has(self, memory: str) -> bool:
        """Return whether the kernel supports a kind of memory."""
        if memory in self.lacks:
            return False
        return memory not in NOT_IN_MAINLINE or any(memory in patch.supports for patch in self.patches)

    @property
    def provides(self) -> frozenset[Requirement]:
        """The requirements that the design meets."""
        return frozenset(requirement for patch in self.patches for requirement in patch.provides)

    @property
    def unreachable(self) -> dict[str, str]:
        """The targets that the design does not reach, with the reason."""
        return {target: reason for patch in self.patches for target, reason in patch.unreachable.items()}

    def prefixes(self) -> list[Design]:
        """Return the design after each patch of its series, in the order of a bisection."""
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


def _require_patches(patches: tuple[object, ...]) -> None:
    """Require different subclasses of Patch. Raises DesignError."""
    seen: set[object] = set()
    for patch in patches:
        if isinstance(patch, Patch):
            raise DesignError(f"a patch is a class; write {type(patch).__name__} without parentheses")
        if not isinstance(patch, type) or not issubclass(patch, Patch) or patch is Patch:
            raise DesignError(f"{_text(patch)} is no patch; a patch is a class that derives from Patch")
        if patch in seen:
            raise DesignError(f"patch {patch.__name__} is listed twice")
        seen.add(patch)


def _text(value: object) -> str:
    """Return what the user may have written for a value, shortened."""
    if isinstance(value, Design):
        return f"the design {value.name!r}"
    return value.__name__ if isinstance(value, type) else f"{value!r:.40}"


@functools.cache
def _link(layers: tuple[type, ...]) -> type[Vmlinux]:
    kernel = Vmlinux
    applied: set[type] = {Patch, *Vmlinux.__mro__}
    for layer in layers:
        for part in reversed(layer.__mro__):
            if part not in applied:
                applied.add(part)
                kernel = _apply(part, kernel)
    if structs := _structs(layer for layer in layers if issubclass(layer, Patch)):
        kernel.extended_structs = structs  # the class is this link's own: a patch with structures is a layer
    return kernel


def _structs(patches: Iterable[type[Patch]]) -> dict[type[Record], type[Record]]:
    """Return the structures that patches extend. Two that extend one structure, and not each other, are joined."""
    found: dict[type[Record], type[Record]] = {}
    for struct in (struct for patch in patches for struct in patch.structs):
        below = found.get(struct.root, struct.root)
        if not issubclass(below, struct):
            bases = (struct,) if issubclass(struct, below) else (struct, below)
            found[struct.root] = struct if len(bases) == 1 else _joined(bases)
    return found


@functools.cache
def _joined(bases: tuple[type[Record], ...]) -> type[Record]:
    """Return the structure with the members of all."""
    name = "And".join(base.__name__ for base in bases)
    return types.new_class(name, bases, {"extends": True}, lambda space: space.update(__module__=bases[0].__module__))


def _apply(layer: type, kernel: type[Vmlinux]) -> type[Vmlinux]:
    """Return a kernel with the functions of `layer` on top, independently of the bases of the layer.

    super() in a function refers to the class in which the function was written; here it has to be the kernel below.
    """
    cell = types.CellType()
    functions = {name: _rebind(value, cell) for name, value in vars(layer).items() if callable(value)}
    for name, function in functions.items():
        _mark_part(function, getattr(kernel, name, None))
    space = {**functions, "__doc__": layer.__doc__, "__module__": layer.__module__}
    if "source_key" in vars(layer):
        space["source_key"] = vars(layer)["source_key"]
    patched = type(layer.__name__, (kernel,), space)
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
        for mark, decorator in (("is_atomic", atomic), ("is_guard", guard), ("is_host_only", host_only)):
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
