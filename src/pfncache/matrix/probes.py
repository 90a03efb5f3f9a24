# SPDX-License-Identifier: GPL-2.0-only
"""Probe every access path on every kind of memory, on a machine. Standard library only: this also runs in a guest."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial

from pfncache.lang.report import PropertyViolated
from pfncache.machines.host.devkvm import force_emulation
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.isolate import isolated
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.matrix.cell import CellVerdict, Observation, Refused
from pfncache.matrix.memory import KINDS, GuestMemoryKind, ProbeSetup
from pfncache.matrix.paths import PATHS, WORD, AccessPath

SECONDS = 20.0
Cells = dict[tuple[str, str], Observation]
"""Results, by the names of the path and of the kind."""


def run_all() -> Cells:
    """Probe every cell on this kernel: in a process for each path, or after a crash, for each cell of the path."""
    cells: Cells = {}
    for path in PATHS:
        row = isolated(partial(_on_this_kernel, path, tuple(KINDS)), SECONDS).value
        cells.update(row or {(path, kind): run_one(path, kind) for kind in KINDS})
    return cells


def run_all_inside() -> Cells:
    """Probe every cell in a guest, with forced emulation enabled."""
    force_emulation()
    return run_all()


def run_one(path: str, kind: str) -> Observation:
    """Probe one cell on this kernel, in a process of its own."""
    ended = isolated(partial(_on_this_kernel, path, (kind,)), SECONDS)
    if ended.value is None:
        return Observation(CellVerdict.BREAKS, ended.trouble.splitlines()[-1])
    return ended.value[path, kind]


def _on_this_kernel(path: str, kinds: tuple[str, ...]) -> Cells:
    try:
        machine = KvmMachine()
    except SyscallError as error:
        return {(path, kind): Observation(CellVerdict.UNSEEN, str(error)) for kind in kinds}
    with machine:
        return {(path, kind): probe(machine, PATHS[path], KINDS[kind]) for kind in kinds}


def probe(
    machine: Machine, path: AccessPath, kind: GuestMemoryKind, during: AbstractContextManager[object] | None = None
) -> Observation:
    """Probe one cell on a machine; `during` encloses KVM's access."""
    needs = (*kind.needs, *path.needs)
    missing = "; ".join(text for need in needs if (text := need(machine.capabilities)))
    if path.snp and not kind.private:
        missing = "private memory only"
    if missing:
        return Observation(CellVerdict.UNSEEN, missing)
    try:
        setup = kind.build(machine, path.irqchip, path.synic, path.snp)
        _prepare(setup, path)
        return _look(setup, path, during or nullcontext())
    except PropertyViolated as splat:
        return Observation(CellVerdict.BREAKS, splat.kind)


def _prepare(setup: ProbeSetup, path: AccessPath) -> None:
    """Write the contents before the access: user space's first, then the guest's."""
    if any(path.at_hva) and setup.machine.touch(setup.page(path.at)) is None:
        setup.machine.write(setup.hva + path.at, path.at_hva)
    if any(path.in_guest):
        try:
            setup.vcpu.store(path.at, path.in_guest)
        except GuestExit:
            return  # no memory: the access shows the consequence


def _look(setup: ProbeSetup, path: AccessPath, during: AbstractContextManager[object]) -> Observation:
    """Make KVM take the path, and find out which memory it has reached."""
    how, read = "", None
    try:
        with during:
            read = path.act(setup)
    except GuestExit as leave:
        how = leave.exit.reason
    except SyscallError as error:
        how = error.name
    except Refused as refused:
        how = str(refused)
    if path.reads and not how:
        return Observation(CellVerdict.WORKS if read == path.in_guest else CellVerdict.ELSEWHERE)
    if not path.reads:
        if _guest_word(setup, path.at) not in (path.in_guest, None):
            return Observation(CellVerdict.WORKS)
        if _user_word(setup, path.at) not in (path.at_hva, None):
            return Observation(CellVerdict.ELSEWHERE)
    return Observation(CellVerdict.FAILS, how) if how else Observation(CellVerdict.LOST)


def _guest_word(setup: ProbeSetup, gpa: int) -> bytes | None:
    try:
        return setup.vcpu.load(gpa)
    except GuestExit:
        return None


def _user_word(setup: ProbeSetup, gpa: int) -> bytes | None:
    if setup.machine.touch(setup.page(gpa), write=False) is not None:
        return None
    return setup.machine.read(setup.hva + gpa, WORD)
