# SPDX-License-Identifier: GPL-2.0-only
"""A cache of compiled systems on disk: compiling one takes longer than searching it. Verdicts are never cached."""

from __future__ import annotations

import functools
import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pfncache import user_cache
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.source import unwrap
from pfncache.check.program.layout import Program, link
from pfncache.check.system import Heap, System
from pfncache.lang.records import Record
from pfncache.verify.program_format import FormatError, decode, encode

SOURCES = ("check", "csource", "designs", "lang", "linux", "properties", "scenarios", "verify")
"""Rooms of the package whose sources determine a compiled system."""
MADE_FROM_C = "pfncache.designs.from_c"
"""Module of the classes that are made of C, each of which has a digest of all that was read for it."""
GENERATIONS = 3
"""Versions of the sources whose systems stay in the cache."""
_memo = Memo()
"""Compiled actors of this process: designs and scenarios have many in common."""
_covering_memo = Memo()
"""The same, compiled for coverage."""


def covering_program_of(system: System, reduction: bool = True) -> Program:
    """Return the program of `system` in which each line is a target. It is not cached. Raises CompileError."""
    return link(compile_system(system, _covering_memo, coverage=True), reduction)


def program_of(system: System, reduction: bool = True, final: bool = False) -> Program:
    """Return the program of `system`: from the cache, or compiled, linked and written there. Raises CompileError.

    With `final`, its search distinguishes final states by every variable.

    The key of a system is everything that determines its program: the sources of the package, the classes of its
    kernel, its initial state, and the calls of its actors. A system of which this is not known for certain, as of a
    design in a user's file, is compiled each time. The step code itself, which no search reads, is not cached.
    """
    heap = Heap.of(system)
    try:
        path = _path(system, heap, f"{'' if reduction else '-full'}{'-final' * final}")
    except _Uncacheable:
        path = None
    if path is None:
        return link(compile_system(system, _memo), reduction, final)
    program = _read(path, system, heap)
    if program is None:
        program = link(compile_system(system, _memo), reduction, final)
        _write(path, program)
    return program


class _Uncacheable(Exception):
    """The system has a part for which there is no key."""


# The key of a system


@functools.cache
def _generation() -> str:
    """Return a hash of the sources, their folder (events contain it), and the versions of Python and NumPy."""
    home = Path(__file__).parents[1]
    whole = hashlib.sha256(f"{sys.version} {np.__version__} {home}".encode())
    for room in SOURCES:
        for file in sorted((home / room).rglob("*.py")):
            content = file.read_bytes()
            whole.update(f"\n{file.relative_to(home)} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:16]


def newest_folder() -> Path | None:
    """Return the folder of what the package's present sources determine; None if there is no private one."""
    return user_cache.private(user_cache.root() / "systems" / _generation())


def _path(system: System, heap: Heap, suffix: str) -> Path | None:
    """Return the file of a system's program; None if there is no folder for it. Raises _Uncacheable."""
    folder = newest_folder()
    if folder is None:
        return None
    name = hashlib.sha256()
    for part in _description(system, heap):
        name.update(part.encode() + b"\n")
    return folder / f"{name.hexdigest()[:40]}{suffix}"


def _description(system: System, heap: Heap) -> Iterator[str]:
    """Yield everything that determines the program of a system, apart from the sources."""
    yield from layers_of(type(system.kernel))
    key = functools.partial(_key, system, heap)
    for name, value in sorted(vars(system.kernel).items()):
        if not name.startswith("host_") or isinstance(value, int):
            yield f"{name}={key(value)}"
    for kind, pool in heap.pools.items():
        yield key(kind)
        for record in pool:
            members = (f"{n}={key(v)}" for n, v in vars(record).items() if not n.startswith("host_"))
            yield f"{record.record_name}: {', '.join(members)}"
    for actor in system.actors:
        calls = "; ".join(
            f"{key(call.function)}{key(call.args)}{call.target!r}{key(call.result)}" for call in actor.calls
        )
        yield f"{actor.name} {key(actor.task)} {actor.interrupts} {actor.endless}: {calls}"
    if system.at_end is not None:
        yield f"at end: {key(system.at_end.function)}{key(system.at_end.args)} {key(system.at_end_task)}"


def layers_of(kernel: type) -> tuple[str, ...]:
    """Return the classes of a kernel, by names that are the same in every process."""
    return tuple(f"{layer.__module__}.{layer.__name__}{_made_of(layer)}" for layer in kernel.__mro__ if _is_ours(layer))


def _made_of(layer: type) -> str:
    """Return the digest of what a class was made of, if it was not written down in the package's sources."""
    return str(vars(layer).get("source_key", ""))


def _is_ours(layer: type) -> bool:
    """Return True if each function of the class is in the package's sources. Raises _Uncacheable if not."""
    if layer.__module__ in sys.stdlib_module_names:
        return True
    if layer.__module__ == MADE_FROM_C and _made_of(layer):
        return True
    if not layer.__module__.startswith("pfncache."):
        raise _Uncacheable
    original = getattr(sys.modules[layer.__module__], layer.__name__, None)
    if original is None:
        raise _Uncacheable
    for name, value in vars(layer).items():
        if callable(value):
            _check_function(value, layer.__module__)
            if unwrap(value).__code__ is not getattr(unwrap(vars(original).get(name)), "__code__", None):
                raise _Uncacheable
    return True


def _check_function(function: Any, module: str) -> None:
    plain = unwrap(function)
    if not hasattr(plain, "__code__") or plain.__module__ != module or "<" in plain.__qualname__:
        raise _Uncacheable


def _key(system: System, heap: Heap, value: Any) -> str:
    """Return the key of an initial value; distinct values have distinct keys."""
    if value is system.kernel:
        return "kernel"
    if isinstance(value, Record):
        number = heap.numbers.get(id(value))
        if number is None:
            raise _Uncacheable
        return f"<{type(value).__name__} {number}>"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(_key(system, heap, item) for item in value)})"
    if isinstance(value, type) and value.__module__.startswith("pfncache."):
        return f"{value.__module__}.{value.__qualname__}"
    receiver = getattr(value, "__self__", None)
    if callable(value) and str(getattr(value, "__module__", "")).startswith("pfncache."):
        _check_function(getattr(value, "__func__", value), value.__module__)
        return f"{value.__module__}.{unwrap(value).__qualname__} of {_key(system, heap, receiver)}"
    raise _Uncacheable


# Reading and writing


def _read(path: Path, system: System, heap: Heap) -> Program | None:
    """Return the program in the file `path`; None if there is none, or, with a notice, if it is not that program."""
    content = user_cache.read(path)
    if content is None:
        return None
    try:
        return decode(content, _key_of(path), system, heap)
    except FormatError as error:
        user_cache.notify(user_cache.Notice.PROGRAM, f"{path} is compiled anew: {error}")
        return None


def _write(path: Path, program: Program) -> None:
    """Write a program, atomically for readers and other writers. Without space for it, it is compiled again."""
    content = encode(replace(program, compiled=replace(program.compiled, codes=[])), _key_of(path))
    try:
        _remove_old(path.parent)
        user_cache.write(path, content)
    except OSError as error:
        notice = f"compiled systems are not kept: {user_cache.explain(error)}"
        user_cache.notify(user_cache.Notice.UNWRITABLE, notice)


def _key_of(path: Path) -> str:
    """Return what the content of a file is bound to: the version of the sources, and the system."""
    return f"{path.parent.name}/{path.name}"


@functools.cache
def _remove_old(newest: Path) -> None:
    """Remove the systems of all but the last GENERATIONS versions of the sources, once in each process."""
    others = [path for path in newest.parent.iterdir() if path != newest]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[GENERATIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
