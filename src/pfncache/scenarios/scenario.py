# SPDX-License-Identifier: GPL-2.0-only
"""A scenario: the actors that run against each other, and the world that they run in."""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Unpack, overload

from pfncache.check.system import Actor, System
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import MemoryKind, World, WorldOptions, with_defaults


class Build(Protocol):
    """A function that makes the closed system of a scenario on a kernel."""

    def __call__(self, kernel: type[Vmlinux], defer_setup: bool = False) -> System:
        """Return the system; with `defer_setup`, the one whose only actor runs the set-up."""


@dataclass(frozen=True)
class Scenario:
    """A named way to build a closed system on a kernel.

    ``hazard`` is a line on what could go wrong.
    """

    name: str
    hazard: str
    build: Build
    memory: str = ""
    """The kind of guest memory, where a kernel may lack it."""


Declaration = Callable[[World], object]
"""The function that a scenario is written as: it sets the world up and declares the actors."""


@overload
def scenario(declare: Declaration, /) -> Scenario: ...


@overload
def scenario(
    name: str = "", hazard: str = "", /, *, memory: MemoryKind = MemoryKind.ANON, **options: Unpack[WorldOptions]
) -> Callable[[Declaration], Scenario]: ...


def scenario(
    name: str | Declaration = "",
    hazard: str = "",
    /,
    *,
    memory: MemoryKind = MemoryKind.ANON,
    **options: Unpack[WorldOptions],
) -> Scenario | Callable[[Declaration], Scenario]:
    """Make a scenario of a function that declares actors in a :class:`World`.

    Its name is that of the file and, after a slash, `name` or else the function's name: ``two_faults`` in ``mm.py`` is
    ``mm/two-faults``; at the Python prompt, "own" stands for the file. `hazard` is by default the first line of the
    docstring. `memory` and `options` describe the world that the function gets. Operations that it runs there, by
    ``do()``, precede every actor's first step.
    """
    if callable(name):
        return scenario()(name)
    for what, text in (("name", name), ("hazard", hazard)):
        if not isinstance(text, str) or not text.isprintable():
            raise TypeError(f"the {what} of a scenario is text of one line, not {text!r:.40}")
    if memory not in list(MemoryKind):
        near = ", ".join(difflib.get_close_matches(str(memory), list(MemoryKind), n=3)) or ", ".join(MemoryKind)
        raise ValueError(f"no memory {memory!r:.40}; nearest: {near}")
    memory = MemoryKind(memory)
    with_defaults(options)  # refuses an unknown one where it is written

    def decorate(declare: Declaration) -> Scenario:
        _require_declaration(declare)

        def build(kernel: type[Vmlinux], defer_setup: bool = False) -> System:
            world = World(kernel, memory, defer_setup=defer_setup, **options)
            declare(world)
            return world.system()

        build.__wrapped__ = declare  # type: ignore[attr-defined]
        code = inspect.unwrap(declare).__code__
        prefix = "own" if code.co_filename.startswith("<") else Path(code.co_filename).stem
        full = f"{prefix}/{name or declare.__name__}".replace("_", "-")
        doc = (inspect.getdoc(declare) or "").strip()
        return Scenario(full, hazard or doc.partition("\n")[0] or full, build, memory)

    return decorate


def _require_declaration(declare: object) -> None:
    """Require a function of one argument that declares actors when it is called. Raises TypeError."""
    if not inspect.isfunction(declare) or declare.__name__ == "<lambda>":
        raise TypeError(f"a scenario is a function with a def, not {getattr(declare, '__name__', declare)!s:.40}")
    name = declare.__name__
    if inspect.iscoroutinefunction(declare) or inspect.isasyncgenfunction(declare):
        raise TypeError(f"{name} is async; a scenario is a def, which declares actors when it is called")
    if inspect.isgeneratorfunction(declare):
        raise TypeError(f"{name} is a generator; a scenario declares actors when it is called")
    try:
        inspect.signature(declare).bind(None)
    except TypeError:
        raise TypeError(f"{name}{inspect.signature(declare)} must take one argument, the World") from None


def describe(system: System) -> str:
    """Return the bounds of a system in one line: each actor with its operations, and the size of memory."""
    actors = " | ".join(_describe_actor(actor) for actor in system.actors)
    return f"{actors}; {len(system.kernel.mem_map)} pages"


def _describe_actor(actor: Actor) -> str:
    names = [_short(call.function.__name__) for call in actor.calls if call.function.__name__ != "task_work_run"]
    counted = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    operations = " ".join(f"{name} x{count}" if count > 1 else name for name, count in counted)
    if actor.endless:
        operations += " in a loop"
    return operations if operations == actor.name else f"{actor.name}: {operations}"


def _short(name: str) -> str:
    for prefix in ("kvm_vm_ioctl_", "kvm_vcpu_", "kvm_gmem_", "kvm_", "run_", "vm_", "filp_"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
