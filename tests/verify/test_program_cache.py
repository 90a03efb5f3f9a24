# SPDX-License-Identifier: GPL-2.0-only
"""Compiled systems come back from the disk as they went there, and only when nothing that they are made of changed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pfncache import user_cache
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.program.layout import Program
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.verify import generation as sources
from pfncache.verify.job import Job
from pfncache.verify.program_cache import program_of
from pfncache.verify.runner import run
from pfncache.verify.systems import make_system

SCENARIO = "gmem/recreate-then-punch"


class Mine(Patch, X86):
    """A design that is no part of the package."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """As before."""
        super().kvm_guest_time_update(vcpu)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(user_cache, "_given", bytearray(len(user_cache.Notice)))
    return tmp_path


def kept(home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if p.is_file()]


def count_compilations(monkeypatch: pytest.MonkeyPatch) -> list[System]:
    """The systems that are compiled from now on."""
    compiled: list[System] = []
    original = compile_system

    def counting(system: System, memo: Memo) -> object:
        compiled.append(system)
        return original(system, memo)

    monkeypatch.setattr("pfncache.verify.program_cache.compile_system", counting)
    return compiled


def read(program: Program) -> tuple[object, ...]:
    """What a program is, in values that can be compared."""
    return (
        program.image.tolist(), program.initial.tolist(), program.words, program.bits, program.loops.tolist(),
        [(str(v), s) for v, s in program.slots.items()], program.actor_slots, program.events, program.failures,
        [(held, use.name, str(use.locks), event) for held, use, event in program.acquisitions],
        [(str(v), k) for v, k in program.kinds.items()], program.compiled.used,
        sorted(map(str, program.compiled.written.variables)),
    )  # fmt: skip


@pytest.mark.parametrize("design", ["mainline-7.3", "rfc-v4"])
@pytest.mark.parametrize("scenario", [SCENARIO, "clock/anon/munmap", "xen/irq-user"])
def test_a_program_comes_back_as_it_was(design: str, scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = count_compilations(monkeypatch)
    first = program_of(make_system(DESIGNS[design], scenario))
    again = program_of(make_system(DESIGNS[design], scenario))
    assert len(compiled) == 1
    assert read(again) == read(first)
    assert again.compiled.system is not first.compiled.system
    mine = {id(r) for pool in again.compiled.heap.pools.values() for r in pool}
    assert {id(again.compiled.heap.holder(v)) for v in again.slots} <= mine


def test_the_trace_of_a_violation_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = count_compilations(monkeypatch)
    job = Job(DESIGNS["rfc-v4"], "clock/anon/slot-replace", 1_000_000)
    first, again = run(job), run(job)
    assert (first.verdict, len(compiled)) == ("violated", 1)
    assert replace(again, seconds=first.seconds) == first


def test_what_differs_is_kept_apart(home: Path) -> None:
    for design in (DESIGNS["mainline-7.3"], DESIGNS["rfc-v4"]):
        program_of(make_system(design, "clock/anon/munmap"))
        for reduction in (True, False):
            program_of(make_system(design, SCENARIO), reduction)
    assert len(kept(home)) == 6


def test_an_endless_actor_is_told_apart(home: Path) -> None:
    system = make_system(DESIGNS["mainline-7.3"], SCENARIO)
    program_of(system)
    program_of(replace(system, actors=tuple(replace(actor, endless=True) for actor in system.actors)))
    assert len(kept(home)) == 2


def test_other_sources_are_another_generation(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = count_compilations(monkeypatch)
    for generation in ("a", "b", "c", "d", "d"):
        monkeypatch.setattr(sources, "generation", lambda generation=generation: generation)
        program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))
    assert len(compiled) == 4
    assert len(kept(home)) == sources.GENERATIONS == 3
    assert (home / "pfncache" / "systems" / "d").is_dir()


def truncated(whole: bytes) -> bytes:
    return whole[:-10]


def empty(whole: bytes) -> bytes:
    return b""


def garbage(whole: bytes) -> bytes:
    return b"\x80garbage"


def flipped(whole: bytes) -> bytes:
    return whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]


NOT_A_PROGRAM = "it is no compiled system"
DAMAGED = "it is damaged, or that of another system"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(truncated, DAMAGED), (flipped, DAMAGED), (empty, NOT_A_PROGRAM), (garbage, NOT_A_PROGRAM)],
)
def test_a_damaged_file_is_compiled_anew(
    damage: Callable[[bytes], bytes],
    reason: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))
    (file,) = kept(home)
    file.write_bytes(damage(file.read_bytes()))
    compiled = count_compilations(monkeypatch)
    assert read(program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))) == read(first)
    assert len(compiled) == 1
    assert capfd.readouterr().err == f"pfncache: {file} is compiled anew: {reason}\n"
    program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))
    assert (len(compiled), kept(home), capfd.readouterr().err) == (1, [file], "")


def test_the_entry_of_another_design_is_not_used(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scenario = "gmem/unmapped-punch"
    ours, theirs = (Job(DESIGNS[name], scenario, 1_000_000) for name in ("mainline-7.3", "rfc-v4-on-7.3"))
    assert run(ours).verdict == "holds"
    (entry,) = kept(home)
    assert run(theirs).verdict == "violated"
    (other,) = set(kept(home)) - {entry}
    other.write_bytes(entry.read_bytes())
    assert run(theirs).verdict == "violated"
    assert capfd.readouterr().err == f"pfncache: {other} is compiled anew: {DAMAGED}\n"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_others_can_write_is_not_used(
    what: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))
    (file,) = kept(home)
    (file if what == "file" else file.parent).chmod(0o777)
    user_cache._found_private.clear()
    compiled = count_compilations(monkeypatch)
    for _ in range(2):
        assert program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO)).words > 0
    assert len(compiled) == (1 if what == "file" else 2)  # the file is replaced, the folder is not
    assert (
        capfd.readouterr().err
        == {
            "file": f"pfncache: {file} is not used: it can be written by others; chmod go-w it\n",
            "folder": f"pfncache: the cache in {file.parent} is not used: {file.parent} can be written by others; "
            "chmod go-w it\n",
        }[what]
    )


def test_a_full_disk_is_done_without(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for _ in range(2):
        assert program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO)).words > 0
    assert kept(home) == []
    assert capfd.readouterr().err == "pfncache: compiled systems are not kept: No space left on device\n"


def test_a_design_from_elsewhere_is_compiled_each_time(home: Path) -> None:
    program_of(make_system(mainline_7_3 + [Mine], SCENARIO))
    assert kept(home) == []


def test_a_function_that_was_put_in_the_place_of_another_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kvm_guest_time_update(self: X86, vcpu: KvmVcpu) -> None:
        return

    monkeypatch.setattr(X86, "kvm_guest_time_update", kvm_guest_time_update)
    program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO))
    assert kept(home) == []


def test_a_folder_that_cannot_be_made_is_done_without(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "pfncache").write_text("a file, where the folder would be")
    for _ in range(2):
        assert program_of(make_system(DESIGNS["mainline-7.3"], SCENARIO)).words > 0
    assert capfd.readouterr().err == f"pfncache: nothing is cached: Not a directory: {home / 'pfncache'}\n"
