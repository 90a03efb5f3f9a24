# SPDX-License-Identifier: GPL-2.0-only
"""Try every path on every kind of memory, on a machine. Standard library only: this also runs inside a guest."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial

from pfncache.lang.report import PropertyViolated
from pfncache.machines.host.devkvm import force_emulation
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.isolate import isolated
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.matrix.cell import Refused, Seen, Verdict
from pfncache.matrix.memory import KINDS, Ground, Kind
from pfncache.matrix.paths import PATHS, WORD, Path

SECONDS = 20.0
Cells = dict[tuple[str, str], Seen]
"""By the names of the path and of the kind."""


def run_all() -> Cells:
    """Every cell on the kernel that we are on, a process for each path; where that ends badly, one for each cell."""
    cells: Cells = {}
    for path in PATHS:
        row = isolated(partial(_on_this_kernel, path, tuple(KINDS)), SECONDS).value
        cells.update(row or {(path, kind): run_one(path, kind) for kind in KINDS})
    return cells


def run_all_inside() -> Cells:
    """The same inside a guest, on a kernel that is ours: every instruction can be emulated."""
    force_emulation()
    return run_all()


def run_one(path: str, kind: str) -> Seen:
    """One cell on the kernel that we are on, in a process of its own."""
    ended = isolated(partial(_on_this_kernel, path, (kind,)), SECONDS)
    if ended.value is None:
        return Seen(Verdict.BREAKS, ended.trouble.splitlines()[-1])
    return ended.value[path, kind]


def _on_this_kernel(path: str, kinds: tuple[str, ...]) -> Cells:
    try:
        machine = KvmMachine()
    except SyscallError as error:
        return {(path, kind): Seen(Verdict.UNSEEN, str(error)) for kind in kinds}
    with machine:
        return {(path, kind): probe(machine, PATHS[path], KINDS[kind]) for kind in kinds}


def probe(machine: Machine, path: Path, kind: Kind, during: AbstractContextManager[object] | None = None) -> Seen:
    """One cell on a machine; `during` encloses what KVM does."""
    needs = (*kind.needs, *path.needs)
    missing = "; ".join(text for need in needs if (text := need(machine.capabilities)))
    if missing:
        return Seen(Verdict.UNSEEN, missing)
    try:
        ground = kind.build(machine, path.irqchip)
        _prepare(ground, path)
        return _look(ground, path, during or nullcontext())
    except PropertyViolated as splat:
        return Seen(Verdict.BREAKS, splat.kind)


def _prepare(ground: Ground, path: Path) -> None:
    """What user space and the guest have in memory before. What the guest stores comes last."""
    if any(path.others) and ground.machine.touch(ground.page(path.at)) is None:
        ground.machine.write(ground.hva + path.at, path.others)
    if any(path.mine):
        try:
            ground.vcpu.store(path.at, path.mine)
        except GuestExit:
            return  # there is no memory; the path shows what that means for it


def _look(ground: Ground, path: Path, during: AbstractContextManager[object]) -> Seen:
    """Make KVM go the path, and find out where that led."""
    how, read = "", None
    try:
        with during:
            read = path.act(ground)
    except GuestExit as leave:
        how = leave.exit.reason
    except SyscallError as error:
        how = error.name
    except Refused as refused:
        how = str(refused)
    if path.reads and not how:
        return Seen(Verdict.WORKS if read == path.mine else Verdict.ELSEWHERE)
    if not path.reads:
        if _guest_word(ground, path.at) not in (path.mine, None):
            return Seen(Verdict.WORKS)
        if _user_word(ground, path.at) not in (path.others, None):
            return Seen(Verdict.ELSEWHERE)
    return Seen(Verdict.FAILS, how) if how else Seen(Verdict.LOST)


def _guest_word(ground: Ground, gpa: int) -> bytes | None:
    try:
        return ground.vcpu.load(gpa)
    except GuestExit:
        return None


def _user_word(ground: Ground, gpa: int) -> bytes | None:
    if ground.machine.touch(ground.page(gpa), write=False) is not None:
        return None
    return ground.machine.read(ground.hva + gpa, WORD)
