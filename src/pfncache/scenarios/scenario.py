# SPDX-License-Identifier: GPL-2.0-only
"""A scenario: who runs against whom, on which memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from pfncache.check.system import Actor, System
from pfncache.linux.vmlinux import Vmlinux

Kernel = type[Vmlinux]


@dataclass(frozen=True)
class Scenario:
    """A named way to build a closed system on a kernel.

    ``hazard`` says in a line what could go wrong here.
    """

    name: str
    hazard: str
    build: Callable[[Kernel], System]
    memory: str = ""
    """The kind of memory, where a kernel may lack it."""


def describe(system: System) -> str:
    """The bounds of a system in a line: the actors with their operations, and how much memory there is."""
    actors = " | ".join(_describe_actor(actor) for actor in system.actors)
    return f"{actors}; {len(system.kernel.mem_map)} pages"


def _describe_actor(actor: Actor) -> str:
    names = [_short(call.function.__name__) for call in actor.calls if call.function.__name__ != "task_work_run"]
    counted = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    operations = " ".join(f"{name} x{count}" if count > 1 else name for name, count in counted)
    if actor.endless:
        operations += " for ever"
    return operations if operations == actor.name else f"{actor.name}: {operations}"


def _short(name: str) -> str:
    for prefix in ("kvm_vm_ioctl_", "kvm_vcpu_", "kvm_gmem_", "kvm_", "run_", "filp_", "vm_", "do_"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
